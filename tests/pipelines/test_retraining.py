"""Retraining as continuous integration does it, by the same targets, without GitHub."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.project import ROOT, Project

pytestmark = pytest.mark.slow

DECLARATION = """
name: mine
title: A table of one's own
source: {csv: data/raw/mine.csv}
licence: none
citation: none
patient: id
endpoint: {kind: binary, event: relapse}
features:
  size: {type: continuous, unit: mm, range: [-100, 100]}
  grade: {type: continuous, range: [-100, 100]}
reference: [size]
"""


def _rows(first: int, last: int) -> str:
    """Patients whose tumour size tells much of their relapse, and whose grade tells nothing."""
    lines = []
    for number in range(first, last):
        rng = np.random.default_rng(number)
        size, grade = rng.normal(size=2)
        relapse = int(rng.random() < 1 / (1 + np.exp(1 - 2 * size)))
        lines.append(f"p{number},{relapse},{size:.4f},{grade:.4f}\n")
    return "".join(lines)


def _project(root: Path) -> Project:
    project = Project.copy(root, cohorts=["mine"], candidates=["reference", "linear"])
    shutil.copyfile(ROOT / "Makefile", root / "Makefile")
    declaration = root / "data" / "cohorts" / "mine.yaml"
    declaration.write_text(DECLARATION)
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    config = (ROOT / ".dvc" / "config").read_text()
    (root / ".dvc" / "config").write_text(config.replace("[core]", "[core]\n    no_scm = true"))
    return project


def _bring(project: Project, last: int, extra: str = "") -> None:
    table = project.root / "data" / "raw" / "mine.csv"
    table.write_text("id,relapse,size,grade\n" + _rows(0, last) + extra)
    added = project.run("dvc", "add", "--quiet", "data/raw/mine.csv")
    assert added.returncode == 0, added.stdout


def _make(project: Project, target: str) -> tuple[int, str]:
    done = project.run("make", "-o", ".venv/.done", "-o", "setup", target)
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


def _aliases(project: Project) -> str:
    return project.run("relapse", "registry", "list", "mine").stdout


def _decision(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.root / "results" / "register" / "mine" / "decision.json").read_text())
    return found


def _dvc_shows_this_cohort_and_no_other(project: Project) -> None:
    shown = project.run("dvc", "metrics", "show")
    assert shown.returncode == 0, shown.stdout
    named = {line.split()[0] for line in shown.stdout.splitlines() if line.startswith("results/")}
    measured = {f"results/evaluate/mine/metrics/{name}.json" for name in ("reference", "linear")}
    assert named == measured | {"results/added_value/mine/metrics.json"}
    assert "failed" not in shown.stdout
    drawn = project.run("dvc", "plots", "show")
    assert drawn.returncode == 0, drawn.stdout
    assert "failed" not in drawn.stdout.lower()
    page = (project.root / "dvc_plots" / "index.html").read_text()
    for name in ("ranking.png", "roc.png", "calibration.png", "importance.png", "optimism.png", "calibration.csv"):
        assert f"results/plots/mine/{name}" in page
    assert "gbsg" not in page


def test_new_data_are_retrained_and_promoted_bad_data_stopped_and_a_worse_model_kept_out(tmp_path: Path) -> None:
    project = _project(tmp_path / "project")
    _bring(project, 300)
    status, said = _make(project, "retrain")
    assert status == 0, said
    assert _decision(project)["champion"] is None
    _dvc_shows_this_cohort_and_no_other(project)
    status, said = _make(project, "promote")
    assert (status, "relapse-mine: version 1 is champion (record 1)" in said) == (0, True), said

    # New data arrive: the champion's scores of the patients it has not seen are those of the registered model.
    _bring(project, 450)
    status, said = _make(project, "retrain")
    assert status == 0, said
    decision = _decision(project)
    assert decision["promoted"], decision["summary"]
    assert decision["champion_before"]["version"] == decision["champion"]["version"] == "1"
    assert "450 rows, against version 1" in decision["rules"][-1]["figure"]
    proposal = (project.root / "results" / "proposal.md").read_text()
    assert "**May be promoted.**" in proposal
    assert "| ROC AUC |" in proposal
    assert "relapse-mine: version 2 is champion (record 2)" in _make(project, "promote")[1]

    # What a machine pushes, another one pulls: nothing is left to do.
    assert _make(project, "push")[0] == 0
    for name in (".dvc/cache", "results", "data/raw/mine.csv"):
        target = project.root / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    status, said = _make(project, "pull")
    assert status == 0, said
    again = project.run("dvc", "repro", "evaluate")
    assert again.returncode == 0, again.stdout
    assert "Running stage" not in again.stdout

    # Bad data: the gate ends the run before anything is trained.
    _bring(project, 450, "p0,2,0.1,0.2\n")
    status, said = _make(project, "retrain")
    assert status != 0
    assert "event: expected one of 0=0, 1=1; 1 row breaks this: data row 451." in said
    assert "train@mine" not in said
    _bring(project, 450)

    # A worse model: the reference is put forward, on a feature that tells nothing.
    declaration = project.root / "data" / "cohorts" / "mine.yaml"
    declaration.write_text(DECLARATION.replace("reference: [size]", "reference: [grade]"))
    project.set_params(candidates=["reference"])
    status, said = _make(project, "retrain")
    assert status == 0, said
    assert not _decision(project)["promoted"]
    assert "**Is kept out.**" in (project.root / "results" / "proposal.md").read_text()
    status, said = _make(project, "promote")
    assert (status, "relapse-mine: kept as it is." in said) == (0, True), said
    assert _decision(project)["champion"]["version"] == "2"
    shown = _aliases(project)
    assert "champion" in shown
    assert "challenger" in shown
