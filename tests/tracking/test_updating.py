"""The champion updated on new patients: by the closed test, the policy, the plan, as a version that can be undone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from relapse.bundle.load import load_bundle
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.tracking.client import connect
from relapse.tracking.registry.faults import faults
from relapse.tracking.registry.models import champion_version, fetch_champion
from tests.project import ROOT, Project
from tests.tracking.conftest import COHORT

pytestmark = pytest.mark.slow


def _late(project: Project, *, shift: float, size: int = 600) -> None:
    """Patients with features of the training's, whose log-odds of the event are moved by ``shift``."""
    at = Workspace(COHORT, project.root)
    cohort = read_cohort(at.resolved)
    table = read_table(at.table, cohort)
    client = connect(machinery())
    folder = project.root.parent / "champion"
    fetch_champion(client, COHORT, folder)
    rng = np.random.default_rng(5)
    # Between two patients each: copies of one would be stopped by the gate.
    one, other = (table.iloc[rng.integers(0, len(table), size)].reset_index(drop=True) for _ in range(2))
    weight, drawn = rng.uniform(0.2, 0.8, size), one.copy()
    for name in cohort.predictors:
        drawn[name] = weight * one[name] + (1 - weight) * other[name]
        if cohort.features[name].type == "count":
            drawn[name] = drawn[name].round()
    risk = load_bundle(folder).model.predict_risk(drawn)[:, 0]
    event = (rng.random(size) < expit(shift + logit(risk))).astype(int)
    columns = {name: cohort.source_column(name) for name in cohort.features}
    raw = pd.DataFrame({source: drawn[name] for name, source in columns.items()}).assign(event=event)
    raw.to_csv(project.root / "data" / "raw" / "late.csv", index=False)
    declared = (ROOT / f"data/cohorts/{COHORT}.yaml").read_text()
    declared = declared.replace(f"name: {COHORT}", "name: late")
    declared = declared.replace("source: {package: SurvSet, dataset: wpbc}", "source: {csv: data/raw/late.csv}")
    (project.root / "data" / "cohorts" / "late.yaml").write_text(declared)


def test_a_model_gone_off_in_the_large_is_updated_registered_promoted_and_can_be_rolled_back(project: Project) -> None:
    (project.root / "change_plan.yaml").write_text((ROOT / "change_plan.yaml").read_text())
    project.stage("register", cohort=COHORT)
    _late(project, shift=1.0)
    done = project.run("relapse", "update", f"relapse-{COHORT}@champion", "late")
    assert done.returncode == 0, done.stdout
    assert "recalibrated in the large on late, may replace version 1 as champion." in done.stdout
    assert "Registered as version 2. Champion: version 2." in done.stdout
    client = connect(machinery())
    version = champion_version(client, COHORT)
    assert version is not None
    fetch_champion(client, COHORT, project.root.parent / "updated")
    before, after = (load_bundle(project.root.parent / name) for name in ("champion", "updated"))
    assert after.model.shift is not None
    assert after.model.shift.intercept == pytest.approx(1.0, abs=0.3)
    assert after.manifest.candidate == before.manifest.candidate
    rules = {rule["name"]: rule for rule in after.decision["rules"]}
    assert {"data gate", "leakage", "reference", "calibration", "net benefit", "update", "champion"} <= set(rules)
    assert "cross-fitted" in rules["update"]["figure"]
    assert "rows, against version 1" in rules["champion"]["figure"]
    (change,) = after.decision["changes"]["found"]
    assert (change["kind"], change["review"]) == ("recalibration", False)
    assert faults(client, COHORT) == []

    again = project.run("relapse", "update", f"relapse-{COHORT}@champion", "late")
    assert "These patients ask for the model as it is" in again.stdout, again.stdout
    # The pipeline goes on above it: what it held against champion 1 it holds against the update.
    project.set_params(train={"inner_folds": 2, "trials": 3})
    project.stage("register", cohort=COHORT)
    decision = json.loads(Path(f"results/register/{COHORT}/decision.json").read_text())
    assert decision["champion_before"]["version"] == "2"
    back = project.run("relapse", "registry", "rollback", COHORT)
    assert back.returncode == 0, back.stdout
    assert faults(client, COHORT) == []


def test_a_model_that_is_right_is_not_touched(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    _late(project, shift=0.0)
    done = project.run("relapse", "update", f"relapse-{COHORT}@champion", "late")
    assert (done.returncode, "Nothing was registered." in done.stdout) == (0, True), done.stdout
    other = project.run("relapse", "update", f"relapse-{COHORT}/1", COHORT)
    assert (other.returncode, "was trained on wpbc" in other.stdout) == (2, True), other.stdout
