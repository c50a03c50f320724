"""Which cohorts a run is of: `relapse use`, and `make run`, of all or of one that is named."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from relapse.params import read_params
from tests.drafting.running import run
from tests.project import ROOT, without


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Declarations and params.yaml of the project, and nothing else of it."""
    shutil.copytree(ROOT / "data" / "cohorts", tmp_path / "data" / "cohorts")
    for name in ("params.yaml", "Makefile"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in ("ROTTERDAM", "METABRIC", "MAMA_MIA", "MAMA_MIA_CLINICAL", "DENSENET121"):
        monkeypatch.delenv(f"RELAPSE_{name}", raising=False)
    monkeypatch.delenv("COHORT", raising=False)
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


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        (("run",), ["relapse run"]),
        (("run", "COHORT=rotterdam"), ["relapse use rotterdam --keep", "relapse run --cohort rotterdam"]),
        (("run", "COHORT=gbsg"), ["relapse use gbsg --keep", "relapse run --cohort gbsg"]),
    ],
)
def test_make_run_is_of_every_cohort_unless_one_is_named(
    arguments: tuple[str, ...], commands: list[str], project: Path
) -> None:
    if shutil.which("make") is None:
        without("make")
    # Where `make test` runs this test, what that make hands down is none of this one's.
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-n", "-o", "setup", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=settings)
    assert [line for line in done.stdout.splitlines() if not line.startswith("echo")] == commands
