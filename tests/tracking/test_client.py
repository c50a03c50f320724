"""MLflow that does not answer is said at once."""

import socket
import time

import pytest

from relapse.ground.errors import RegistryError
from relapse.machinery import Machinery
from relapse.tracking.client import connect


def test_a_server_that_is_not_there_is_said_at_once_and_without_its_password() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(RegistryError, match=r"does not answer\. Start it, or see to MLFLOW_TRACKING_URI") as caught:
        connect(Machinery(1, f"http://me:secret@127.0.0.1:{port}", None, "loky"))
    assert time.monotonic() - start < 15
    assert "secret" not in str(caught.value)
