"""A small project with a real registry of MLflow's: runs with files, a logged model of files, a version, a record."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.utils.file_utils import local_file_uri_to_path

from relapse.machinery import machinery
from relapse.tracking.client import connect, experiment
from tests.project import ROOT

COHORT = "wpbc"

#: What every file of a logged model is told by.
MODEL = "served by nobody"


def _make(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the project at ``root``, and stand in it."""
    shutil.copytree(ROOT / "data" / "cohorts", root / "data" / "cohorts")
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    files = {
        "data/raw/mine.csv.dvc": "outs: []\n",
        "data/raw/mine.csv": "patient_id\n1\n",
        f"data/accepted/{COHORT}.json": "{}\n",
        f"results/register/{COHORT}/decision.json": "{}\n",
        f"results/package/{COHORT}/bundle/manifest.json": "{}\n",
        f"results/package/{COHORT}/relapse-{COHORT}.bento": "made again of the bundle",
        f"mlruns/moves/{COHORT}/0001.json": "{}\n",
        f"mlruns/published/{COHORT}.json": json.dumps({"published": "0"}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "mlruns" / "moves" / COHORT / "0001.json").chmod(0o444)
    monkeypatch.chdir(root)
    client = connect(machinery())
    where = experiment(client, COHORT, machinery())
    run = client.create_run(where)
    client.log_text(run.info.run_id, "{}", "moves/0001.json")
    model = client.create_logged_model(where, name="model", source_run_id=run.info.run_id)
    folder = root / "kept"
    folder.mkdir()
    (folder / "MLmodel").write_text(MODEL)
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    shutil.rmtree(folder)
    client.create_registered_model(f"relapse-{COHORT}")
    client.create_model_version(f"relapse-{COHORT}", f"models:/{model.model_id}", run_id=run.info.run_id)
    # A run that has logged nothing has no folder.
    client.create_run(where)


def served(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What lies where MLflow, asked from ``root``, says that the registered version's files are."""
    monkeypatch.chdir(root)
    # MLflow itself sets it to what it was asked for last.
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = connect(machinery())
    version = client.get_model_version(f"relapse-{COHORT}", "1")
    place = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
    found = Path(str(local_file_uri_to_path(place)))
    assert found.is_relative_to(root), "another project's files"
    logged = Path(str(local_file_uri_to_path(client.get_run(str(version.run_id)).info.artifact_uri)))
    assert logged.is_relative_to(root), "another project's files"
    assert (logged / "moves" / "0001.json").is_file()
    return (found / "MLmodel").read_text()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, made once: MLflow takes seconds for its tables."""
    root = tmp_path_factory.mktemp("upkeep") / "template"
    with pytest.MonkeyPatch.context() as patch:
        _undo_settings(patch)
        _make(root, patch)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy whose database names its own places; no setting of this machine reaches it."""
    _undo_settings(monkeypatch)
    root = tmp_path / "first place"
    shutil.copytree(template, root)
    with closing(sqlite3.connect(root / "mlruns" / "mlflow.db")) as connection, connection:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            for before, now in ((template.as_uri(), root.as_uri()), (str(template), str(root))):
                done = connection.execute(f"update {table} set {column} = replace({column}, ?, ?)", (before, now))
                assert done.rowcount > 0
    monkeypatch.chdir(root)
    return root


def _undo_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RELAPSE_ARTIFACT_ROOT", "RELAPSE_AUDIT_LOG", "RELAPSE_MONITOR"):
        monkeypatch.delenv(name, raising=False)
