"""One cluster of two workers for all tests that do it no harm."""

from collections.abc import Iterator

import pytest

from tests.cluster.running import Cluster, running, until


@pytest.fixture(scope="package")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and two workers, which live as long as the tests of this folder."""
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        until(lambda: cluster.said().count("Register worker addr") == 2, "two workers")
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The same, set as the cluster of this process."""
    monkeypatch.setenv("RELAPSE_BACKEND", "dask")
    monkeypatch.setenv("RELAPSE_SCHEDULER", shared_cluster.address)
    return shared_cluster
