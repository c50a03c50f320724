"""The plan names every kind of change once, strictly; what it does not say of a change nobody may assume."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from relapse.change.plan import ALWAYS_REVIEWED, Kind, plan_digest, read_plan
from relapse.ground.errors import DeclarationError
from tests.project import ROOT


def _written(folder: Path, **changes: object) -> Path:
    content = YAML(typ="safe").load(ROOT / "change_plan.yaml")
    for kind, value in changes.items():
        if value is None:
            del content["changes"][kind]
        else:
            content["changes"][kind] = value
    with (folder / "change_plan.yaml").open("w") as stream:
        YAML().dump(content, stream)
    return folder


def test_the_plan_of_the_repository_decides_on_every_kind() -> None:
    plan = read_plan(ROOT)
    assert plan is not None
    allowed = {kind for kind in Kind if plan.of(kind).verdict == "allowed"}
    assert allowed == {Kind.DATA_APPENDED, Kind.RETUNING, Kind.RECALIBRATION, Kind.DESCRIPTION}


def test_a_change_of_the_plan_itself_is_always_reviewed(tmp_path: Path) -> None:
    plan = read_plan(_written(tmp_path))
    assert plan is not None
    assert plan.of(Kind.PLAN).verdict == "review"
    assert ALWAYS_REVIEWED == (Kind.PLAN,)


def test_without_a_file_there_is_no_plan(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    assert plan_digest(tmp_path) is None


def test_a_part_needs_a_share_and_nothing_else_has_one(tmp_path: Path) -> None:
    _written(tmp_path)
    path = tmp_path / "change_plan.yaml"
    content = YAML(typ="safe").load(path)
    for step, given in (
        ("part", {"requests": 1, "seconds": 1}),
        ("shadow", {"requests": 1, "seconds": 1, "share": 0.1}),
    ):
        with path.open("w") as stream:
            YAML().dump(content | {"rollout": {**content["rollout"], step: given}}, stream)
        with pytest.raises(DeclarationError, match="share belongs to the step part"):
            read_plan(tmp_path)


ALLOWED = {"verdict": "allowed", "because": "a test"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"endpoint_changed": None}, "no verdict for endpoint_changed: say allowed or review"),
        ({"plan_changed": ALLOWED}, "plan_changed is always reviewed"),
        ({"retuning": {**ALLOWED, "at_most": 0.1}}, "changes.retuning: at_most is a share of patients"),
        ({"retuning": {"verdict": "perhaps", "because": "x"}}, r"retuning\.verdict: .*'allowed' or 'review'"),
        ({"retuning": {"verdict": "allowed"}}, r"retuning\.because: this key is required"),
        ({"weather_changed": ALLOWED}, "weather_changed"),
    ],
)
def test_a_plan_that_leaves_something_open_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        read_plan(_written(tmp_path, **changes))
