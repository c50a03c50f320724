"""A team's set-up: MLflow's tables and registry in PostgreSQL, by URL alone."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from relapse.ground.errors import RegistryError
from relapse.machinery import Machinery
from relapse.tracking.client import connect
from relapse.tracking.locks import alone
from tests import postgres
from tests.project import Project
from tests.tracking.conftest import COHORT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.server() as url:
        yield url


def _ask(url: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(question).fetchall()


def test_processes_that_meet_an_empty_database_wait_for_each_other(project: Project, server: str) -> None:
    project.settings["MLFLOW_TRACKING_URI"] = postgres.create(server, "empty")
    code = "from relapse.tracking.client import connect; from relapse.machinery import machinery; connect(machinery())"
    running = [project.start("python", "-c", code) for _ in range(3)]
    for process in running:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output


def test_the_registry_lives_in_the_database_alone(project: Project, server: str) -> None:
    url = project.settings["MLFLOW_TRACKING_URI"] = postgres.create(server, "registry")
    for stage in ("register", "register", "package"):
        done = project.run("python", f"pipelines/{stage}.py", "--cohort", COHORT)
        assert done.returncode == 0, done.stdout
    champion = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"
    assert _ask(url, champion) == [("relapse-wpbc", 1)]
    assert _ask(url, "SELECT count(*) FROM model_versions") == [(1,)]
    assert not (project.root / "mlruns" / "mlflow.db").exists()


def test_a_lock_keeps_others_out_and_goes_with_its_holder(server: str) -> None:
    url = postgres.create(server, "locks")
    asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with alone(url, "one"), alone(url, "two"):
        assert _ask(url, asked) == [(2,)]
    assert _ask(url, asked) == [(0,)]


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    machine = Machinery(1, f"postgresql+psycopg://relapse:secret@/x?host={tmp_path}", None, "loky")
    with pytest.raises(RegistryError, match="does not answer") as caught:
        connect(machine)
    assert "secret" not in str(caught.value)
    assert "***" in str(caught.value)
