"""A table and its declaration come into the project together or not at all, and nothing is overwritten unasked."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.drafting import placing
from relapse.ground.errors import SourceError
from relapse.params import read_params

from .making import clinic, text, two_headers
from .running import run


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with params.yaml, and a table beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_bytes((root / "params.yaml").read_bytes())
    (tmp_path / "clinic.csv").write_text(text(clinic()))
    monkeypatch.chdir(folder)
    return folder


def _there(folder: Path) -> dict[str, bytes]:
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and not {".git", ".dvc"} & set(path.parts)]
    return {str(path): path.read_bytes() for path in kept}


def test_the_cohort_joins_those_of_params_and_all_else_stays(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_params()
    assert run("cohort", "new", "../clinic.csv", "--yes", "--name", "mine") == 0
    said = capsys.readouterr().out
    assert read_params() == before.model_copy(update={"cohorts": (*before.cohorts, "mine")})
    assert (project / "data/raw/mine.csv").read_bytes() == (project.parent / "clinic.csv").read_bytes()
    assert "Next: read data/cohorts/mine.yaml, then `relapse cohort check mine`" in said
    assert run("cohort", "check", "mine") == 0
    assert re.search(r"mine: all \d+ rules kept", capsys.readouterr().out)


def test_a_declaration_is_not_overwritten_unasked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cohort", "new", "../clinic.csv", "--yes") == 0
    before = _there(project)
    assert run("cohort", "new", "../clinic.csv", "--yes") == 2
    assert "there is a declaration of this name" in capsys.readouterr().err
    assert _there(project) == before
    assert run("cohort", "new", "../clinic.csv", "--yes", "--force", "--time", "none") == 0
    assert read_cohort(Path("data/cohorts/clinic.yaml")).survival is None
    assert read_params().cohorts.count("clinic") == 1


def test_another_table_of_that_name_is_not_overwritten_unasked(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data" / "raw").mkdir(parents=True)
    (project / "data" / "raw" / "clinic.csv").write_text("another\n")
    assert run("cohort", "new", "../clinic.csv", "--yes") == 2
    assert "there is another table of this name" in capsys.readouterr().err
    assert (project / "data" / "raw" / "clinic.csv").read_text() == "another\n"


def test_a_table_that_lies_in_its_place_already_stays_there(project: Path) -> None:
    target = project / "data" / "raw" / "2019" / "Clinic of ours.csv"
    target.parent.mkdir(parents=True)
    target.write_text(text(clinic()))
    assert run("cohort", "new", str(target), "--yes") == 0
    assert "csv: data/raw/2019/Clinic of ours.csv\n" in Path("data/cohorts/clinic_of_ours.yaml").read_text()
    assert len(list((project / "data" / "raw").rglob("*.csv"))) == 1


def test_with_a_question_open_the_cohort_does_not_stop_every_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.parent / "bare.csv").write_text(text(clinic().drop(columns=["relapse", "rfs_months"])))
    before = read_params()
    assert run("cohort", "new", "../bare.csv", "--yes") == 0
    assert read_params() == before
    assert "endpoint.event is for you to say" in capsys.readouterr().out
    assert run("cohort", "check", "bare") == 2
    assert "endpoint.event: still TODO" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["_add", "choose", "write_text"])
def test_a_step_that_fails_leaves_the_project_as_it_was(
    step: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / ".dvc").mkdir()
    monkeypatch.setattr(placing, "_add", lambda target: None)

    def fails(*_: object) -> None:
        raise SourceError("the disk is full.")

    monkeypatch.setattr(placing, step, fails)
    before = _there(project)
    assert run("cohort", "new", "../clinic.csv", "--yes") == 2
    assert _there(project) == before


@pytest.mark.slow
def test_dvc_follows_the_table_in_one_of_its_repositories(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True, capture_output=True)
    table = two_headers(project.parent / "sheet.xlsx")
    assert run("cohort", "new", str(table), "--yes") == 0
    assert "data/raw/sheet.xlsx: the table, followed by DVC" in capsys.readouterr().out
    assert (project / "data/raw/sheet.xlsx.dvc").is_file()
    done = subprocess.run([sys.executable, "-m", "dvc", "status"], capture_output=True, text=True, check=True)
    assert "up to date" in done.stdout


@pytest.mark.slow
def test_a_table_that_dvc_fetched_from_an_address_keeps_it(project: Path) -> None:
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True, capture_output=True)
    (project / "data" / "raw").mkdir(parents=True)
    imported = ["import-url", "--quiet", str(project.parent / "clinic.csv"), "data/raw/mine.csv"]
    subprocess.run([sys.executable, "-m", "dvc", *imported], check=True, capture_output=True)
    assert run("cohort", "new", "data/raw/mine.csv", "--yes") == 0
    assert "clinic.csv" in (project / "data/raw/mine.csv.dvc").read_text()


@pytest.mark.slow
def test_what_dvc_refuses_is_said_and_nothing_is_kept(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".dvc").mkdir()
    before = _there(project)
    assert run("cohort", "new", "../clinic.csv", "--yes") == 2
    assert "dvc add data/raw/clinic.csv: " in capsys.readouterr().err
    assert _there(project) == before
