"""A team's set-up: tables of MLflow and trials of Optuna in PostgreSQL, by URL alone."""

import json
from pathlib import Path

import pandas as pd
import pytest

from relapse.errors import RegistryError
from relapse.settings import Machinery, Workspace
from relapse.tracking.client import connect
from relapse.tracking.locks import alone
from tests.project import Project
from tests.team.postgres import Server

pytestmark = pytest.mark.slow

COHORT = "wpbc"
CANDIDATES = ["reference", "linear", "mlp"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, postgres: Server) -> Project:
    """A project with a cohort evaluated by two workers; its trials are kept in the database ``trials``."""
    made = Project.copy(tmp_path_factory.mktemp("team") / "copy", cohorts=[COHORT], candidates=CANDIDATES)
    made.settings["RELAPSE_OPTUNA_STORAGE"] = postgres.create("trials")
    made.settings["MLFLOW_TRACKING_URI"] = postgres.create("registry")
    made.settings["RELAPSE_WORKERS"] = "2"
    return made.evaluated(COHORT)


def test_trials_are_kept_in_the_database_and_shape_no_prediction(project: Project, postgres: Server) -> None:
    at = Workspace(COHORT, project.root)
    kept = int(postgres.ask("trials", "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')"))
    assert kept >= json.loads(at.record("linear").read_text())["trials"] > 0
    assert int(postgres.ask("trials", "SELECT count(*) FROM study_user_attributes WHERE key LIKE 'set-%'")) > 0
    before = {name: pd.read_parquet(at.predictions(name)) for name in CANDIDATES}
    settings = {"RELAPSE_WORKERS": "1", "RELAPSE_OPTUNA_STORAGE": str(project.root / "files")}
    Project(project.root, settings).evaluated(COHORT)
    for name, expected in before.items():
        pd.testing.assert_frame_equal(pd.read_parquet(at.predictions(name)), expected, check_exact=True)


def test_processes_that_meet_an_empty_database_wait_for_each_other(project: Project, postgres: Server) -> None:
    others = Project(project.root, {"MLFLOW_TRACKING_URI": postgres.create("empty")})
    code = "from relapse.tracking.client import connect; from relapse.settings import machinery; connect(machinery())"
    running = [others.start("python", "-c", code) for _ in range(3)]
    for process in running:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output


def test_the_registry_lives_in_the_database_alone(project: Project, postgres: Server) -> None:
    for stage in ("register", "register", "package"):
        done = project.run("python", f"pipelines/{stage}.py", "--cohort", COHORT)
        assert done.returncode == 0, done.stdout
    champion = "SELECT name, version FROM registered_model_aliases WHERE alias = 'champion'"
    assert postgres.ask("registry", champion) == "relapse-wpbc|1"
    assert postgres.ask("registry", "SELECT count(*) FROM model_versions") == "1"
    assert not (project.root / "mlruns" / "mlflow.db").exists()


def test_a_lock_keeps_others_out_and_goes_with_its_holder(postgres: Server) -> None:
    uri = postgres.create("locks")
    asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with alone(uri, "one"), alone(uri, "two"):
        assert postgres.ask("locks", asked) == "2"
    assert postgres.ask("locks", asked) == "0"


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    machine = Machinery(1, f"postgresql+psycopg://relapse:secret@/x?host={tmp_path}", None, "loky")
    with pytest.raises(RegistryError, match="does not answer") as caught:
        connect(machine)
    assert "secret" not in str(caught.value)
    assert "***" in str(caught.value)
