"""A PostgreSQL server of the tests' own: in a folder that goes with them, reached by a socket in that folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Set by continuous integration, which installs the server: a test must not be skipped there.
REQUIRED = "RELAPSE_TEST_REQUIRE_SERVERS"


@dataclass(frozen=True)
class Server:
    """A running server; ``folder`` holds its socket."""

    folder: Path
    programs: Path

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://relapse@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """Make an empty database; returns its URL."""
        self.run("createdb", "-h", str(self.folder), "-U", "relapse", database)
        return self.url(database)

    def ask(self, database: str, question: str) -> str:
        """The answer to an SQL query, as text."""
        return self.run("psql", "-h", str(self.folder), "-U", "relapse", "-d", database, "-Atc", question)

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs; as root it will not run, so that another user has to."""
        other = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **other,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout.strip()


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, where Debian puts them or on the path; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("pg_ctl")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def server() -> Iterator[Server]:
    """Start a server that listens on no port, and stop it again."""
    where = programs()
    assert where is not None, "PostgreSQL is not installed"
    # A socket's path may have 107 letters, fewer than pytest's folders take.
    folder = Path(tempfile.mkdtemp(prefix="relapse-pg-", dir="/tmp"))
    running = Server(folder, where)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        running.run("initdb", "-D", "data", "-U", "relapse", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        running.run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")
        yield running
        running.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
