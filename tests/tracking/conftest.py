"""A project on one cohort in which everything before ``register`` has run, once, and copies of it."""

import shutil
from pathlib import Path

import pytest

from tests.project import Project

COHORT = "wpbc"


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which everything before ``register`` has run."""
    project = Project.copy(tmp_path_factory.mktemp("project"), cohorts=[COHORT])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        for stage in ("ingest", "gate", "split"):
            project.stage(stage, cohort=COHORT)
        for candidate in ("reference", "linear"):
            project.stage("train", cohort=COHORT, candidate=candidate)
        project.stage("evaluate", cohort=COHORT)
    return project


@pytest.fixture
def project(evaluated: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A fresh copy of it, with a registry of its own."""
    shutil.copytree(evaluated.root, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Project(tmp_path / "copy")
