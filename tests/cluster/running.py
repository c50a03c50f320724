"""A real cluster: a scheduler and workers in processes of their own, started by the commands that are documented."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: The command `relapse` of the library that PYTHONPATH names.
RELAPSE = (sys.executable, "-P", "-c", "from relapse.commands.app import main; main()")


@dataclass
class Cluster:
    """A scheduler at ``address``, and what it and its workers say, in files below ``folder``."""

    folder: Path
    address: str
    settings: Mapping[str, str]
    scheduler: "subprocess.Popen[bytes]"
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def add(self, processes: int = 1, before: Sequence[str] = (), **settings: str) -> None:
        """Start worker processes, with environment variables of their own; ``before`` is what starts the command."""
        words = [*before, *RELAPSE, "cluster", "worker", self.address, "--processes", str(processes)]
        name = f"worker-{len(self.workers)}"
        self.workers.append(_started(words, self.folder / name, environment(self.settings) | settings))

    def said(self) -> str:
        """All that scheduler and workers said so far."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*/log")))


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The interpreter and the library of this process, none of its settings, and ``settings``."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("RELAPSE_", "DASK_"))}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **settings}


@contextmanager
def running(folder: Path, *, processes: int = 2, scheme: str = "tcp", **settings: str) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts, with environment variables for all of its processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [*RELAPSE, "cluster", "scheduler", "--port", str(port)]
    scheduler = _started(words, folder / "scheduler", environment(settings))
    cluster = Cluster(folder, f"{scheme}://127.0.0.1:{port}", settings, scheduler)
    try:
        if processes:
            cluster.add(processes)
        yield cluster
    finally:
        # Workers first: those whose scheduler is gone wait for it a while.
        for process in [*cluster.workers, cluster.scheduler]:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def certificates(folder: Path) -> dict[str, str]:
    """Dask's settings for an authority and a certificate, both made by the commands of docs/cluster.md."""
    folder.mkdir(parents=True)

    def openssl(words: str) -> None:
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)

    openssl("req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=relapse-authority -keyout ca-key.pem -out ca.pem")
    openssl("req -newkey rsa:3072 -nodes -subj /CN=relapse -keyout key.pem -out request.pem")
    openssl("x509 -req -in request.pem -days 365 -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem")
    tls = "DASK_DISTRIBUTED__COMM__TLS"
    return {
        f"{tls}__CA_FILE": str(folder / "ca.pem"),
        **{f"{tls}__{role}__CERT": str(folder / "cert.pem") for role in ("SCHEDULER", "WORKER", "CLIENT")},
        **{f"{tls}__{role}__KEY": str(folder / "key.pem") for role in ("SCHEDULER", "WORKER", "CLIENT")},
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    }


def until(condition: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait until a condition holds, and fail where it does not come to that."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to be in {seconds:g} s"
        time.sleep(0.05)


def _started(words: Sequence[str], folder: Path, settings: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    folder.mkdir(parents=True)
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            words, cwd=folder, env=dict(settings), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
