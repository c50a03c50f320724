"""A project on one cohort in which everything before ``register`` has run, once, and copies of it."""

import shutil
from pathlib import Path

import pytest

from tests.project import Project

COHORT = "wpbc"


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which everything before ``register`` has run."""
    return Project.copy(tmp_path_factory.mktemp("project"), cohorts=[COHORT]).evaluated(COHORT)


@pytest.fixture
def project(evaluated: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A fresh copy of it, with a registry of its own."""
    shutil.copytree(evaluated.root, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Project(tmp_path / "copy")
