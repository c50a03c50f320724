"""`relapse cohort check`, `describe` and `list`, and `relapse check`, which is the same as the first."""

from pathlib import Path

import pytest

from tests.drafting.making import clinic, text
from tests.drafting.running import run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A project with one declared cohort, drawn."""
    (tmp_path / "clinic.csv").write_text(text(clinic()))
    monkeypatch.chdir(tmp_path)
    assert run("cohort", "new", "clinic.csv", "--yes", "--name", "mine") == 0
    capsys.readouterr()
    return tmp_path


def test_check_takes_a_name_or_a_file_and_both_commands_are_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for command in (("cohort", "check", "mine"), ("cohort", "check", "data/cohorts/mine.yaml"), ("check", "mine")):
        assert run(*command) == 0
        said.append(capsys.readouterr().out)
    assert "160 patients" in said[0]
    assert len(set(said)) == 1


def test_a_data_base_is_drafted_from_a_file_of_its_answer_and_its_password_is_not_repeated(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cohort", "new", "postgresql://me:hidden@host/clinic", "--yes") == 2
    said = capsys.readouterr()
    assert "a data base is not read here. Write the answer to your query into a file" in said.err
    assert "hidden" not in said.out + said.err


def test_describe_says_who_what_how_long_and_whether_it_is_enough(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("cohort", "describe", "mine") == 0
    said = capsys.readouterr().out
    for words in (
        "160 rows read",
        "size_mm (mm)",
        "chemo †",
        "No feature has a missing value",
        "Follow-up (reverse Kaplan-Meier): median",
        "followed beyond it",
        "Riley et al., BMJ 2020;368:m441",
        "shrinkage of 0.9",
        "is to be expected",
    ):
        assert words in said, words
    assert "K1" not in said


def test_describe_tells_what_is_missing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = clinic()
    table["nodes"] = table["nodes"].astype(object).where(table.index % 8 > 0, "NC")
    (project / "other.csv").write_text(text(table.drop(columns="rfs_months")))
    assert run("cohort", "new", "other.csv", "--yes") == 0
    assert run("cohort", "describe", "other", "--r2", "0.3", "--shrinkage", "0.95") == 0
    said = capsys.readouterr().out
    assert "12.5%" in said
    assert "shrinkage of 0.95" in said
    assert "mean risk to 0.05" in said
    assert "Horizons" not in said


def test_list_names_every_declaration_also_one_that_waits(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "bare.csv").write_text(text(clinic().drop(columns=["relapse", "rfs_months"])))
    assert run("cohort", "new", "bare.csv", "--yes") == 0
    capsys.readouterr()
    assert run("cohort", "list") == 0
    said = capsys.readouterr().out
    assert "mine" in said
    assert "relapse, by" in said
    assert "endpoint.event: still TODO" in said


def test_where_nothing_is_declared_list_says_how_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("cohort", "list") == 2
    assert "`relapse cohort new TABLE` writes one" in capsys.readouterr().err
    assert run("cohort", "check", "mine") == 2
    assert "data/cohorts/mine.yaml: no such file" in capsys.readouterr().err


def test_a_table_is_held_against_the_one_that_was_accepted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("cohort", "accept", "mine") == 0
    assert "data/accepted/mine.json: 160 patients" in capsys.readouterr().out
    assert run("cohort", "check", "mine") == 0
    assert " V0" not in capsys.readouterr().out
    raw = project / "data" / "raw" / "mine.csv"
    lines = raw.read_text().splitlines(keepends=True)
    raw.write_text("".join(lines[:150]))
    assert run("cohort", "check", "mine") == 0
    assert "warning V004 patient: 11 patients fewer than the 160" in capsys.readouterr().out
