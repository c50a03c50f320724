"""A release as a running BentoML service: its processes, started and stopped."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from relapse.deployment.release import Release

#: Variables that let a service write down what it answers: not where its answers are not given out.
KEEPING = ("RELAPSE_AUDIT_LOG", "RELAPSE_AUDIT_KEY", "RELAPSE_MONITOR", "RELAPSE_MONITOR_KEY")

#: Variables of this process that would make the service another one than what its Bento holds.
_OWN = ("RELAPSE_BUNDLE", "PYTHONPATH", "BENTOML_HOME", "PROMETHEUS_MULTIPROC_DIR")

#: Seconds for what is in flight when a service is stopped.
_GRACE = 30.0


@dataclass(slots=True)
class Service:
    """A release that is served on a port of this machine alone.

    ``shadow`` says that its answers are given to nobody: it then keeps neither audit log nor monitoring store.
    """

    release: Release
    home: Path
    shadow: bool = False
    port: int = field(default=0, init=False)
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What its processes say: as the service says it, without values of patients."""
        return self.home / "service.log"

    def start(self) -> None:
        """Start it; it is not ready then."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        command = [sys.executable, "-m", "bentoml", "serve", str(self.release.folder.resolve())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=self.home,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether its process is there no more."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """Stop it, once what is in flight is answered."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        # Its own session: whatever of it is left, and nothing else.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _environment(self) -> dict[str, str]:
        left_out = (*_OWN, *(KEEPING if self.shadow else ()))
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        # BentoML shares metrics of workers in its home: a service has its own.
        return kept | {"BENTOML_HOME": str((self.home / "bentoml").resolve()), "BENTOML_DO_NOT_TRACK": "True"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
