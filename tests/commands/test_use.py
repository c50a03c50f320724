"""Which cohorts a run is of: `relapse use`."""

import shutil
from pathlib import Path

import pytest

from relapse.params import read_params
from tests.drafting.running import run
from tests.project import ROOT


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Declarations and params.yaml of the project, and nothing else of it."""
    shutil.copytree(ROOT / "data" / "cohorts", tmp_path / "data" / "cohorts")
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    for name in ("ROTTERDAM", "METABRIC", "MAMA_MIA", "MAMA_MIA_CLINICAL", "DENSENET121"):
        monkeypatch.delenv(f"RELAPSE_{name}", raising=False)
    return tmp_path


def _list() -> list[str]:
    return list(read_params().cohorts)


def test_a_cohort_is_put_beside_those_that_are_there_and_said_to_be(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _list()
    monkeypatch.setenv("RELAPSE_ROTTERDAM", "rotterdam.csv")
    assert run("use", "rotterdam", "--keep") == 0
    assert _list() == [*before, "rotterdam"]
    said = capsys.readouterr().out
    assert "rotterdam added" in said
    assert f"`relapse use {' '.join(before)}` brings back the list" in said
    text = Path("params.yaml").read_bytes()
    assert run("use", "rotterdam", "--keep") == 0
    assert "as it was" in capsys.readouterr().out
    assert Path("params.yaml").read_bytes() == text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rotterdam", ["rotterdam: environment variable RELAPSE_ROTTERDAM is not set. To be had from: R's survival"]),
        ("metabric", ["RELAPSE_METABRIC is not set. To be had from: cBioPortal, study brca_metabric"]),
        ("mama_mia_mri", ["RELAPSE_MAMA_MIA_CLINICAL is not set. To be had", "RELAPSE_MAMA_MIA is not set", "RELAPSE_DENSENET121 is not set"]),
    ],
)  # fmt: skip
def test_without_its_variable_a_cohort_is_not_added_and_it_is_said_where_the_file_is_had(
    name: str, said: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("params.yaml").read_bytes()
    assert run("use", name, "--keep") == 2
    told = capsys.readouterr().err
    assert all(words in told for words in said), told
    assert Path("params.yaml").read_bytes() == before


def test_list_says_which_variables_are_set_and_where_the_others_files_are_had(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RELAPSE_METABRIC", "somewhere")
    assert run("cohort", "list") == 0
    told = capsys.readouterr().out
    assert "RELAPSE_ROTTERDAM is not set. To be had from: R's survival package" in told
    assert "RELAPSE_METABRIC is not set" not in told
