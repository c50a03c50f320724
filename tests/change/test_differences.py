"""Each kind of difference is told from the others: planted one at a time, found alone, and no patient's value is said."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from relapse.change.differences import Difference, differences
from relapse.change.judging import judged
from relapse.change.kept import Kept, code_digests, column_digests
from relapse.change.plan import Kind, read_plan
from relapse.change.states import State
from relapse.cohorts.schema import Cohort
from relapse.params import read_params, recorded
from relapse.promotion.decision import Version
from tests.project import ROOT

DIGEST = "0" * 64


def _state(cohort: Cohort, table: pd.DataFrame, *, table_hash: str = "a" * 64, **given: Any) -> State:
    kept = Kept(columns=column_digests(table), code=code_digests(ROOT), hyperparameters={"C": 0.1}, plan=DIGEST)
    state = State(
        candidate="linear",
        declaration=cohort.model_dump(mode="json", by_alias=True),
        params=recorded(read_params(ROOT / "params.yaml")),
        sources={"": "SurvSet:wpbc"},
        table_hash=table_hash,
        rows=table[["row", "patient"]],
        packages={"numpy": "2.4.6"},
        kept=kept,
    )
    return replace(state, **given)


@pytest.fixture
def before(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> State:
    return _state(cohorts["wpbc"], tables["wpbc"])


def _kinds(found: tuple[Difference, ...]) -> set[str]:
    return {str(item.kind) for item in found}


def test_nothing_differs_from_itself(before: State, tables: dict[str, pd.DataFrame]) -> None:
    assert differences(before, before, tables["wpbc"]) == ()


def test_all_kinds_of_a_missing_value_are_one_and_none_is_a_level() -> None:
    plain = pd.DataFrame({"row": [1, 2], "patient": ["a", "b"]})
    whole = [pd.array([3, None], dtype="Int64"), pd.array([3, None], dtype="Float64")]
    digests = [column_digests(plain.assign(nodes=values))["nodes"] for values in whole]
    assert {*digests, column_digests(plain.assign(nodes=[3.0, None]))["nodes"]} == {digests[0]}
    assert column_digests(plain.assign(nodes=[3, 4])) == column_digests(plain.assign(nodes=[3.0, 4.0]))
    levels = [["I", None], ["I", "None"], ["I", ""]]
    assert len({column_digests(plain.assign(grade=values))["grade"] for values in levels}) == 3


def _grown(table: pd.DataFrame, more: int) -> pd.DataFrame:
    extra = table.iloc[:more].copy()
    extra["patient"] = [f"new{number}" for number in range(more)]
    extra["row"] = range(len(table) + 1, len(table) + 1 + more)
    return pd.concat([table, extra], ignore_index=True)


def test_appended_rows_are_told_from_changed_and_removed_ones(
    before: State, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    changed, fewer = table.copy(), table.iloc[1:]
    changed.loc[3, "tsize"] = 98.7654
    moved = table.iloc[::-1].reset_index(drop=True)
    cases = {
        "appended": (_grown(table, 20), {"data_appended"}),
        "changed": (changed, {"data_changed"}),
        "removed": (fewer, {"data_changed"}),
        "changed and appended": (_grown(changed, 20), {"data_changed", "data_appended"}),
        "moved": (moved, set()),
    }
    for name, (now, expected) in cases.items():
        found = differences(before, _state(cohort, now, table_hash="b" * 64), now)
        assert _kinds(found) == expected, name
        assert "98.7654" not in str(found), name
    (said,) = differences(before, _state(cohort, changed, table_hash="b" * 64), changed)
    assert said.now == "other values in tsize"


def test_more_new_patients_than_the_plan_lets_pass_are_reviewed(
    before: State, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    plan = read_plan(ROOT)
    assert plan is not None
    for more, review in ((99, False), (100, True)):
        now = _grown(tables["wpbc"], more)
        found = differences(before, _state(cohorts["wpbc"], now, table_hash="b" * 64), now)
        (change,) = judged(found, plan, champion=Version("1", "linear"), digest=DIGEST).found
        assert (change.review, change.kind) == (review, "data_appended"), more


def _declared(cohort: Cohort, **update: Any) -> dict[str, Any]:
    return cohort.model_dump(mode="json", by_alias=True) | update


def test_each_part_of_the_declaration_is_a_kind_of_its_own(
    before: State, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort = cohorts["wpbc"]
    plain = _declared(cohort)
    first, *rest = plain["features"]
    labelled = {**plain["features"][first], "label": "another word"}
    wider = {**plain["features"][first], "range": [-1e9, 1e9]}
    unit = {**plain["features"][first], "unit": "furlong"}
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "title": ({"title": "Another title"}, "description_changed"),
        "label": ({"features": plain["features"] | {first: labelled}}, "description_changed"),
        "range": ({"features": plain["features"] | {first: wider}}, "data_rules_changed"),
        "unit": ({"features": plain["features"] | {first: unit}}, "features_changed"),
        "gone": ({"features": {name: plain["features"][name] for name in rest}}, "features_changed"),
        "patient": ({"patient": "id"}, "population_changed"),
        "endpoint": ({"endpoint": {**plain["endpoint"], "event": "other"}}, "endpoint_changed"),
        "reference": ({"reference": list(plain["reference"][:1])}, "policy_changed"),
        "imbalance": ({"imbalance": "none"}, "protocol_changed"),
    }
    for name, (update, expected) in cases.items():
        now = replace(before, declaration=_declared(cohort, **update))
        assert _kinds(differences(before, now, tables["wpbc"])) == {expected}, name


def test_each_part_of_settings_model_and_code_is_a_kind_of_its_own(
    before: State, tables: dict[str, pd.DataFrame]
) -> None:
    assert before.params is not None
    assert before.kept is not None
    kept = before.kept
    with_params = {
        "train": ({"train": {"inner_folds": 2, "trials": 3, "seconds": 60}}, "retuning"),
        "split": ({"split": {"folds": 3, "repeats": 1}}, "protocol_changed"),
        "candidates": ({"candidates": ["reference"]}, "protocol_changed"),
        "register": ({"register": {**before.params["register"], "margin": 0.5}}, "policy_changed"),
    }
    cases = {
        name: (replace(before, params={**before.params, **new}), kind) for name, (new, kind) in with_params.items()
    }
    cases |= {
        "hyperparameters": (replace(before, kept=kept.model_copy(update={"hyperparameters": {"C": 1.0}})), "retuning"),
        "family": (replace(before, candidate="xgboost"), "family_changed"),
        "code": (
            replace(before, kept=kept.model_copy(update={"code": {**kept.code, "relapse/new.py": DIGEST}})),
            "code_changed",
        ),
        "packages": (replace(before, packages={"numpy": "3.0"}), "packages_changed"),
        "source": (replace(before, sources={"": "elsewhere.csv"}), "source_changed"),
        "plan": (replace(before, kept=kept.model_copy(update={"plan": "1" * 64})), "plan_changed"),
    }
    for name, (now, expected) in cases.items():
        assert _kinds(differences(before, now, tables["wpbc"])) == {expected}, name
    # What shapes neither a model nor a decision is not looked at.
    explained = replace(before, params={**before.params, "explain": {"background": 1}, "budget": "other"})
    assert differences(before, explained, tables["wpbc"]) == ()


def test_what_was_not_recorded_of_the_champion_counts_as_another(
    before: State, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    old = replace(before, params=None, kept=None, sources={"": "SurvSet:wpbc"})
    now = _state(cohorts["wpbc"], tables["wpbc"], table_hash="b" * 64)
    assert _kinds(differences(old, now, tables["wpbc"])) == {"policy_changed", "code_changed", "data_changed"}


def test_every_kind_but_recalibration_is_planted_above() -> None:
    """A kind that is added needs a test of its own; a recalibration is told by the command that makes it."""
    assert {str(kind) for kind in Kind} - {"recalibration"} == {
        "data_appended",
        "retuning",
        "description_changed",
        "data_changed",
        "source_changed",
        "population_changed",
        "data_rules_changed",
        "features_changed",
        "endpoint_changed",
        "family_changed",
        "protocol_changed",
        "policy_changed",
        "code_changed",
        "packages_changed",
        "plan_changed",
    }
