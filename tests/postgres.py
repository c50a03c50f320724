"""A PostgreSQL server of one's own, in a folder of its own, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.project import without


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@dataclass(frozen=True)
class Server:
    """A server that can go and come back; ``url`` is without a database."""

    url: str
    stop: Callable[[], None]
    start: Callable[[], None]


@contextmanager
def server() -> Iterator[str]:
    """Start a server on a free loopback port, and give its URL without a database; it trusts whoever connects."""
    with stoppable() as found:
        yield found.url


@contextmanager
def stoppable() -> Iterator[Server]:
    """The same, which can be stopped and started meanwhile; it is started at the beginning."""
    programs = _programs()
    if programs is None:
        without("PostgreSQL (Debian package postgresql)")
    # PostgreSQL refuses to run as root; the user that its package makes does it there.
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(
        subprocess.check_output([*become, "mktemp", "-d", "/tmp/postgres.XXXXXX"], text=True, cwd="/").strip()
    )

    def run(*words: str) -> None:
        done = subprocess.run([*become, *words], cwd="/", capture_output=True, text=True, check=False)
        if done.returncode:
            log = folder / "log"
            raise RuntimeError(f"{words[0]}: {done.stdout}{done.stderr}{log.read_text() if log.is_file() else ''}")

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        run(str(programs / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "--auth=trust", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        control = [str(programs / "pg_ctl"), "-D", f"{folder}/data", "-l", f"{folder}/log", "-w"]

        def start() -> None:
            run(*control, "-o", options, "start")

        def stop() -> None:
            run(*control, "-m", "immediate", "stop")

        start()
        try:
            yield Server(f"postgresql+psycopg://postgres@127.0.0.1:{port}", stop, start)
        finally:
            if Path(f"{folder}/data/postmaster.pid").exists():
                stop()
    finally:
        shutil.rmtree(folder)


def create(url: str, database: str) -> str:
    """Create a database, and give its URL."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "") + "/postgres", autocommit=True) as connection:
        connection.execute(f'create database "{database}"')
    return f"{url}/{database}"
