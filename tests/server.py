"""The service by BentoML's real server: a process of its own, in an environment that knows nothing of this one."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest


@dataclass(frozen=True)
class Server:
    """A running server and where it listens."""

    process: "subprocess.Popen[bytes]"
    url: str


def environment(home: Path) -> dict[str, str]:
    """Nothing of this environment but the interpreter's own folder."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(home),
        "BENTOML_HOME": str(home / "bentoml"),
    }


def command(served: Path | str, *, port: int, host: str | None = "127.0.0.1") -> list[str]:
    """What starts the server of a built Bento, or of ``bento/service.py:RelapseService``."""
    at = ["--host", host] if host else []
    return [sys.executable, "-m", "bentoml", "serve", str(served), "--port", str(port), *at]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    served: Path | str, home: Path, *, settings: dict[str, str] | None = None, host: str = "127.0.0.1", cwd: Path
) -> Iterator[Server]:
    """Serve until the end of the block, ready at its beginning; what the server says goes to ``home``/server.log."""
    port = free_port()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            command(served, port=port, host=host),
            cwd=cwd,
            env=environment(home) | (settings or {}),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}", home / "server.log")
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, f"the server ended: {log.read_text()}"
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server was not ready after a minute: {log.read_text()}")
