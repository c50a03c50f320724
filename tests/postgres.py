"""A PostgreSQL server of one's own, in a folder of its own, for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.project import without


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@contextmanager
def server() -> Iterator[str]:
    """Start a server on a free loopback port, and give its URL without a database; it trusts whoever connects."""
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
        run(str(programs / "pg_ctl"), "-D", f"{folder}/data", "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
        finally:
            run(str(programs / "pg_ctl"), "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def create(url: str, database: str) -> str:
    """Create a database, and give its URL."""
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "") + "/postgres", autocommit=True) as connection:
        connection.execute(f'create database "{database}"')
    return f"{url}/{database}"
