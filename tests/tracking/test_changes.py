"""A promotion that the plan of changes does not let pass is held until a person's review is recorded, and no longer."""

import json
import shutil
from typing import Any

import pytest

from relapse.ground.errors import RegistryError
from relapse.machinery import machinery
from relapse.tracking.client import connect
from relapse.tracking.registry.faults import faults
from relapse.tracking.registry.moves import promote
from tests.project import ROOT, Project
from tests.tracking.conftest import COHORT

pytestmark = pytest.mark.slow


def _decision(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.root / f"results/register/{COHORT}/decision.json").read_text())
    return found


def _aliases() -> dict[str, str]:
    model = connect(machinery()).get_registered_model(f"relapse-{COHORT}")
    return {name: str(version) for name, version in model.aliases.items()}


def _policy(project: Project, **changed: object) -> None:
    from ruamel.yaml import YAML

    content = YAML().load(project.root / "params.yaml")
    content["register"].update(changed)
    YAML().dump(content, project.root / "params.yaml")
    project.stage("register", cohort=COHORT)


def test_a_changed_policy_is_held_until_it_is_reviewed_and_a_retuning_is_not(project: Project) -> None:
    shutil.copyfile(ROOT / "change_plan.yaml", project.root / "change_plan.yaml")
    project.stage("register", cohort=COHORT)
    assert _aliases() == {"champion": "1"}, "the first champion is held against nothing"
    same = project.run("relapse", "change", "check", COHORT)
    assert (same.returncode, "0 differences" in same.stdout) == (0, True), same.stdout

    _policy(project, significance=0.06)
    decision = _decision(project)
    assert decision["promoted"], decision["summary"]
    assert "The plan of changes asks for a review (policy_changed: register.significance)" in decision["summary"]
    assert [(item["kind"], item["before"], item["now"]) for item in decision["changes"]["found"]] == [
        ("policy_changed", "0.05", "0.06")
    ]
    assert _aliases() == {"champion": "1", "challenger": "2"}
    checked = project.run("relapse", "change", "check", COHORT, "--out", "changes.json")
    assert checked.returncode == 4, checked.stdout
    assert json.loads((project.root / "changes.json").read_text())["needs_review"] is True
    held = project.run("relapse", "registry", "promote", COHORT)
    assert (held.returncode, "version 2 is held. The plan of changes" in held.stdout) == (1, True), held.stdout
    unattended = project.run("relapse", "registry", "promote")
    assert (unattended.returncode, f"relapse-{COHORT}: held." in unattended.stdout) == (0, True), unattended.stdout

    # Neither without the plan nor with one that lets it pass now: it was held by the plan that there was.
    plan = project.root / "change_plan.yaml"
    text = plan.read_text()
    plan.unlink()
    client = connect(machinery())
    with pytest.raises(RegistryError, match="version 2 is held"):
        promote(client, machinery(), COHORT, "2", decision=decision)
    plan.write_text(text)

    nothing = project.run("relapse", "change", "review", COHORT, "--reason", " ")
    assert (nothing.returncode, "--reason" in nothing.stdout) == (2, True), nothing.stdout
    done = project.run("relapse", "change", "review", COHORT, "--reason", "looked at in the meeting")
    assert done.returncode == 0, done.stdout
    assert "policy_changed: register.significance: 0.05 → 0.06" in done.stdout
    again = project.run("relapse", "change", "check", COHORT)
    assert (again.returncode, "looked at in the meeting" in again.stdout) == (0, True), again.stdout
    promoted = project.run("relapse", "registry", "promote", COHORT)
    assert (promoted.returncode, "version 2 is champion" in promoted.stdout) == (0, True), promoted.stdout

    # What the plan lets pass needs nobody.
    project.set_params(train={"inner_folds": 2, "trials": 3})
    project.stage("register", cohort=COHORT)
    assert _aliases() == {"champion": "3", "previous": "2"}
    assert {item["kind"] for item in _decision(project)["changes"]["found"]} == {"retuning"}
    assert faults(client, COHORT) == []


def test_a_review_of_a_version_that_was_altered_in_mlflow_counts_for_nothing(project: Project) -> None:
    shutil.copyfile(ROOT / "change_plan.yaml", project.root / "change_plan.yaml")
    project.stage("register", cohort=COHORT)
    _policy(project, significance=0.06)
    assert project.run("relapse", "change", "review", COHORT, "--reason", "seen").returncode == 0
    (path,) = (project.root / "mlruns" / "artifacts").rglob("change/review.json")
    path.write_text(path.read_text().replace("seen", "seen by all"))
    held = project.run("relapse", "registry", "promote", COHORT)
    assert (held.returncode, "is held" in held.stdout) == (1, True), held.stdout
    # Nor does a champion whose bundle cannot be read any more let anything pass, or stop the stage.
    for model in (project.root / "mlruns" / "artifacts").rglob("bundle/model.skops"):
        model.write_bytes(model.read_bytes()[:-1] + b"x")
    _policy(project, significance=0.07)
    (change,) = _decision(project)["changes"]["found"]
    assert (change["kind"], change["review"]) == ("data_changed", True)
    assert "altered since the bundle was written" in change["before"]


def test_without_a_plan_a_project_promotes_as_its_policy_says(project: Project) -> None:
    project.stage("register", cohort=COHORT)
    _policy(project, significance=0.06)
    assert _aliases() == {"champion": "2", "previous": "1"}
    assert _decision(project)["changes"] is None
    # A plan that comes later does not know what this version was made of.
    shutil.copyfile(ROOT / "change_plan.yaml", project.root / "change_plan.yaml")
    _policy(project, significance=0.07)
    assert _aliases()["challenger"] == "3"
    assert {item["kind"] for item in _decision(project)["changes"]["found"]} == {"policy_changed", "plan_changed"}
