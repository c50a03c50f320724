"""MLflow's UI as a process of its own, and a browser that is shown it once it answers."""

import os
import socket
import subprocess
import sys
import threading
import time
import webbrowser

from relapse.ground.errors import RegistryError

#: Seconds that the UI is given to answer before no browser is opened.
_PATIENCE = 60


def serve_ui(uri: str, *, host: str, port: int, opened: str | None) -> None:
    """Run MLflow's UI on a data base until it is interrupted; on a desktop a browser is shown ``opened``.

    Raises
    ------
    RegistryError
        Something else listens there, or the UI ends by itself.
    """
    if _answers(host, port):
        raise RegistryError(f"Something listens on {host}:{port} already: name another port, `make ui UI_PORT=5001`.")
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1"]
    command += ["--backend-store-uri", uri, "--host", host, "--port", str(port)]
    # The job engine of MLflow's assistants is not needed, and would start more processes.
    settings = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with subprocess.Popen(command, env=settings) as process:
        if opened and _desktop():
            threading.Thread(target=_open, args=(host, port, opened), daemon=True).start()
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            return
    if status:
        raise RegistryError(f"MLflow's UI ended with status {status}; what it said stands above.")


def _open(host: str, port: int, opened: str) -> None:
    until = time.monotonic() + _PATIENCE
    while not _answers(host, port) and time.monotonic() < until:
        time.sleep(0.3)
    webbrowser.open(opened)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _desktop() -> bool:
    """Whether a person sits before a screen here."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
