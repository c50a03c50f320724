"""A project that was moved finds its models again by one command, which changes nothing where files are lacking."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.drafting.running import run
from tests.upkeep.conftest import MODEL, served


def _places(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return "\n".join(connection.iterdump()).splitlines()


def test_a_moved_project_serves_its_models_again_after_one_command_and_a_second_changes_nothing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "später & anderswo"
    project.rename(moved)
    monkeypatch.chdir(moved)
    assert run("registry", "relocate") == 0
    assert f"below {project} are now named below {moved}" in capsys.readouterr().out
    assert not [line for line in _places(moved / "mlruns" / "mlflow.db") if "first" in line], "a place was overlooked"
    assert served(moved, monkeypatch) == MODEL
    before = (moved / "mlruns" / "mlflow.db").read_bytes()
    assert run("registry", "relocate") == 0
    assert "none of MLflow's places had to be changed" in capsys.readouterr().out
    assert (moved / "mlruns" / "mlflow.db").read_bytes() == before


@pytest.mark.parametrize("lacking", ["models", "moves"])
def test_a_database_that_was_moved_without_its_files_is_left_as_it_is(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lacking: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    for folder in [path for path in (copy / "mlruns" / "artifacts").rglob(lacking) if path.is_dir()]:
        shutil.rmtree(folder if lacking == "models" else folder.parent)
    before = (copy / "mlruns" / "mlflow.db").read_bytes()
    monkeypatch.chdir(copy)
    assert run("registry", "relocate") == 1
    assert "have no files here, such as" in capsys.readouterr().err
    assert (copy / "mlruns" / "mlflow.db").read_bytes() == before
    assert run("registry", "relocate", "--despite-missing") == 0


def test_a_database_in_use_is_left_as_it_is_and_said_to_be(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "second"
    project.rename(moved)
    monkeypatch.chdir(moved)
    with closing(sqlite3.connect(moved / "mlruns" / "mlflow.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        assert run("registry", "relocate") == 1
    assert "database is locked. Nothing was changed" in capsys.readouterr().err


def test_a_registry_that_is_not_in_the_project_is_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret-word@db.example/mlflow")
    assert run("registry", "relocate") == 1
    said = capsys.readouterr().err
    assert "nothing there moves with the project" in said
    assert "secret-word" not in said
