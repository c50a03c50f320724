"""Each check of outcome, follow-up and size fires on a planted fault, and is silent on what is honest."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import Folds
from relapse.cohorts.table import typed
from relapse.evaluation.statistics.survival.kaplan_meier import censoring_survival
from relapse.ground.errors import GateError
from relapse.ground.finding import Finding
from relapse.params import read_params
from relapse.quality.checks.catalogue import findings
from relapse.quality.checks.context import DEFAULT, Context
from relapse.quality.checks.outcome import median_follow_up
from relapse.quality.gate import check

Tables = dict[str, pd.DataFrame]


def _found(table: pd.DataFrame, cohort: Cohort, code: str, context: Context = DEFAULT) -> list[Finding]:
    return [finding for finding in findings(table, cohort, context) if finding.code == code]


def _with(cohort: Cohort, name: str, **feature: Any) -> Cohort:
    """The cohort with one more feature."""
    content = cohort.model_dump(mode="json")
    declared = {"type": "continuous", "range": [-1e9, 1e9], "max_missing": 0.9} | feature
    return Cohort.model_validate(content | {"features": content["features"] | {name: declared}})


def _survival(cohort: Cohort, **changed: Any) -> Cohort:
    endpoint = {"kind": "survival", "time": "time", "event": "cens", "unit": "day", "horizons": ["3 y", "5 y"]}
    return Cohort.model_validate(cohort.model_dump(mode="json") | {"endpoint": endpoint | changed})


def _noise(table: pd.DataFrame, spread: float) -> pd.Series:
    return pd.Series(np.random.default_rng(3).normal(0, spread, len(table)), index=table.index)


DISGUISES: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "itself": lambda t: t["time"],
    "in months": lambda t: t["time"] / 30.4375,
    "in whole years": lambda t: np.floor(t["time"] / 365.25),
    "reversed": lambda t: -t["time"],
    "on another scale": lambda t: np.log(t["time"]),
    "counted from another day": lambda t: t["time"] + _noise(t, 20),
    "where the event happened": lambda t: t["time"].where(t["event"] == 1),
    "with a code for those without": lambda t: t["time"].where(t["event"] == 1, 9999),
    "longer than three years or not": lambda t: (t["time"] > 1095).astype(float),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_the_follow_up_is_found_under_another_name(cohorts: dict[str, Cohort], tables: Tables, disguise: str) -> None:
    table = tables["gbsg"].assign(last_seen=DISGUISES[disguise](tables["gbsg"]))
    (finding,) = _found(table, _with(cohorts["gbsg"], "last_seen"), "O001")
    assert (finding.severity, finding.column) == ("error", "last_seen")
    assert "known: after" in finding.message


@pytest.mark.parametrize("kind", ["ordinal", "nominal"])
def test_the_follow_up_is_found_as_levels(cohorts: dict[str, Cohort], tables: Tables, kind: str) -> None:
    levels = ["late", "early", "between"] if kind == "nominal" else ["early", "between", "late"]
    content = cohorts["gbsg"].model_dump(mode="json")
    cohort = Cohort.model_validate(
        content | {"features": content["features"] | {"phase": {"type": kind, "levels": levels}}}
    )
    cut = pd.cut(tables["gbsg"]["time"], [0, 700, 1400, 1e6], labels=["early", "between", "late"]).astype("str")
    table = typed(tables["gbsg"].assign(phase=cut), cohort)
    assert [finding.column for finding in _found(table, cohort, "O001")] == ["phase"]


HONEST: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    # Everybody is followed to one day: of the censored, a later year means a shorter time.
    "year of diagnosis": lambda t: 5000 - t["time"].where(t["event"] == 0, t["time"] + _noise(t, 900).abs()),
    "a strong predictor": lambda t: np.log(t["time"]) + _noise(t, 1.0),
    "a rare mark": lambda t: (t["time"].rank() <= 5).astype(float),
}


@pytest.mark.parametrize("feature", HONEST)
def test_what_is_known_at_baseline_is_left_alone(cohorts: dict[str, Cohort], tables: Tables, feature: str) -> None:
    table = tables["gbsg"].assign(honest=HONEST[feature](tables["gbsg"]))
    assert not _found(table, _with(cohorts["gbsg"], "honest"), "O001")


def test_a_feature_known_after_baseline_may_be_the_follow_up(cohorts: dict[str, Cohort], tables: Tables) -> None:
    table = tables["gbsg"].assign(last_seen=tables["gbsg"]["time"])
    assert not _found(table, _with(cohorts["gbsg"], "last_seen", known="after"), "O001")


def test_two_ages_that_give_the_time_are_found_together(cohorts: dict[str, Cohort], tables: Tables) -> None:
    cohort = _with(cohorts["gbsg"], "age_then")
    later = tables["gbsg"]["age"] + tables["gbsg"]["time"] / 365.25
    (finding,) = _found(tables["gbsg"].assign(age_then=later), cohort, "O002")
    assert (finding.severity, finding.column) == ("error", "age, age_then")
    assert not _found(tables["gbsg"].assign(age_then=later), cohort, "O001")
    # The same numbers of somebody else give nothing away, nor does a feature that stands there twice.
    shuffled = later.sample(frac=1, random_state=1).to_numpy()
    assert not _found(tables["gbsg"].assign(age_then=shuffled), cohort, "O002")
    assert not _found(tables["gbsg"].assign(age_then=2 * tables["gbsg"]["age"]), cohort, "O002")


def test_a_follow_up_in_months_called_days_is_asked_about(cohorts: dict[str, Cohort], tables: Tables) -> None:
    table = tables["gbsg"].assign(time=tables["gbsg"]["time"] / 30.4375)
    found = _found(table, cohorts["gbsg"], "O003")
    assert [finding.message.split(":")[0] for finding in found] == ["horizon 3 y", "horizon 5 y"]
    assert "of 686 patients, 0 are followed beyond it" in found[0].message
    assert "is 54 days: is `unit: day` right? `unit: month` would fit all horizons." in found[0].message
    with pytest.raises(GateError, match="O003 time: horizon 3 y"):
        check(table, cohorts["gbsg"]).require(source="the table")


def test_a_follow_up_in_days_called_years_is_asked_about(cohorts: dict[str, Cohort], tables: Tables) -> None:
    found = _found(tables["gbsg"], _survival(cohorts["gbsg"], unit="year"), "O003")
    assert len(found) == 2
    assert "`unit: day` would fit" in found[0].message


def test_a_horizon_that_nobody_is_followed_to_is_an_error_beside_one_that_is_fine(
    cohorts: dict[str, Cohort], tables: Tables
) -> None:
    (finding,) = _found(tables["gbsg"], _survival(cohorts["gbsg"], horizons=["3 y", "50 y"]), "O003")
    assert "horizon 50 y" in finding.message
    assert "would fit" not in finding.message
    assert "declare horizons that the follow-up reaches" in finding.message


def test_a_horizon_that_few_are_followed_to_is_warned_of(cohorts: dict[str, Cohort], tables: Tables) -> None:
    cohort = _survival(cohorts["gbsg"], horizons=["3 y", "6 y"])
    (finding,) = _found(tables["gbsg"], cohort, "O004")
    assert (finding.severity, finding.message.split(":")[0]) == ("warning", "horizon 6 y")
    assert not _found(tables["gbsg"], cohorts["gbsg"], "O004")


def test_few_events_in_all_are_no_question_of_the_unit(cohorts: dict[str, Cohort], tables: Tables) -> None:
    table = tables["gbsg"]
    table["event"] = (table.index < 3).astype(int)
    for finding in _found(table, cohorts["gbsg"], "O003"):
        assert finding.message.endswith("There are 3 events in all.")


def test_rows_of_one_patient_do_not_add_to_those_followed(cohorts: dict[str, Cohort], tables: Tables) -> None:
    few = tables["gbsg"].iloc[:40]
    many = pd.concat([few] * 5, ignore_index=True)
    one, five = (_found(table, cohorts["gbsg"], "O003") for table in (few, many))
    assert [finding.message for finding in one] == [finding.message for finding in five]


def test_the_median_follow_up_is_that_of_the_reverse_kaplan_meier_curve(tables: Tables) -> None:
    time, event = tables["gbsg"]["time"].to_numpy(), tables["gbsg"]["event"].to_numpy() == 1
    for scale in (1, 90):
        # Coarser times have ties of events and censorings.
        rounded = np.ceil(time / scale)
        curve = censoring_survival(rounded, event)
        assert median_follow_up(rounded, event) == curve.times[np.argmax(curve.values <= 0.5)]
    assert np.isnan(median_follow_up(time, np.ones_like(event)))


def _cohort_of(tables: Tables, *, with_event: int, without: int) -> pd.DataFrame:
    table = tables["wpbc"]
    parts = (table[table["event"] == 1].head(with_event), table[table["event"] == 0].head(without))
    return pd.concat(parts, ignore_index=True)


def test_fewer_patients_than_the_folds_need_are_an_error_before_anything_is_trained(
    cohorts: dict[str, Cohort], tables: Tables
) -> None:
    table = _cohort_of(tables, with_event=3, without=100)
    protocol, audit = _found(table, cohorts["wpbc"], "O005")
    message = "5 folds with 3 inside each need at least 5 patients with and 5 without the event; found 3 with and 100"
    assert message in protocol.message + audit.message
    with pytest.raises(GateError, match=r"O005 event: 5 folds .* found 3 with and 100 without\. Lower"):
        check(table, cohorts["wpbc"]).require(source="the table")


def test_rows_do_not_stand_in_for_patients(cohorts: dict[str, Cohort], tables: Tables) -> None:
    few = _cohort_of(tables, with_event=3, without=20)
    rows = pd.concat([few] * 4, ignore_index=True)
    assert _found(rows, cohorts["wpbc"], "O005") == _found(few, cohorts["wpbc"], "O005")
    assert _found(rows, cohorts["wpbc"], "O005")


def test_the_folds_and_the_policy_are_those_of_the_run(cohorts: dict[str, Cohort], tables: Tables) -> None:
    table = _cohort_of(tables, with_event=5, without=20)
    assert not _found(table, cohorts["wpbc"], "O005")
    assert _found(table, cohorts["wpbc"], "O005", Context(folds=(Folds(3, 2, "split.folds"),)))
    assert not _found(table, cohorts["wpbc"], "O006", replace(DEFAULT, events_per_parameter=0.1))
    assert not _found(table, cohorts["wpbc"], "O006", replace(DEFAULT, events_per_parameter=None))


def test_without_params_the_defaults_are_those_of_the_default_budget() -> None:
    assert Context.of(read_params()) == DEFAULT


def test_few_events_for_each_parameter_are_warned_of_and_pass(cohorts: dict[str, Cohort], tables: Tables) -> None:
    (finding,) = _found(tables["wpbc"], cohorts["wpbc"], "O006")
    assert "47 patients with the rarer outcome for 32 parameters of all predictors, 1.5 for each" in finding.message
    assert "clinical reference has 2 (23.5 for each)" in finding.message
    assert check(tables["wpbc"], cohorts["wpbc"]).passed
