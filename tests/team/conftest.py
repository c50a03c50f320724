import os
from collections.abc import Iterator

import pytest

from tests.team.postgres import REQUIRED, Server, programs, server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running PostgreSQL server."""
    if programs() is None:
        assert not os.environ.get(REQUIRED), "PostgreSQL is required here and not installed"
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with server() as running:
        yield running
