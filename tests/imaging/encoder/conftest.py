"""One thread: beside other work two are several times slower, and sums come out the same everywhere."""

from collections.abc import Iterator

import pytest

from relapse.workers import one_thread


@pytest.fixture(autouse=True, scope="session")
def _alone() -> Iterator[None]:
    with one_thread():
        yield
