"""A model meets another cohort: features translated, outcomes composed, risks recalibrated on patients not measured."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import canonical, ingest, typed
from relapse.cohorts.translation import as_features_of
from relapse.evaluation.evidence import endpoint_of
from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.evaluation.recalibration import recalibrated
from relapse.evaluation.statistics.calibration.measures import calibration_at_horizon, calibration_binary
from relapse.evaluation.statistics.ranking.concordance import concordance
from relapse.ground.errors import DeclarationError
from relapse.training.external import LARGE, PLAIN, SLOPE, external_predictions, update_for
from tests.bundle.making import small_model
from tests.conftest import ROOT


def _changed(cohort: Cohort, **changes: Any) -> Cohort:
    return Cohort.model_validate(cohort.model_dump(mode="json", exclude_none=True) | changes)


def test_numbers_are_cut_and_levels_renamed_as_declared(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"]
    found = as_features_of(table, cohorts["gbsg"], cohorts["rotterdam"])
    assert list(found) == cohorts["rotterdam"].predictors
    assert found["tsize"].astype(str).tolist() == [
        "<=20" if size <= 20 else "20-50" if size <= 50 else ">50" for size in table["tsize"]
    ]
    assert (found["tgrade"] == "III").equals(table["tgrade"] == "III")
    assert not found.isna().any().any()
    pd.testing.assert_series_equal(found["pnodes"], table["pnodes"])


@pytest.mark.parametrize(
    ("translation", "message"),
    [
        ({}, r"gbsg\.yaml: validates\.rotterdam\.tsize: levels are made from a number by cut"),
        ({"tsize": {"cut": [20]}}, r"tsize: cut makes 3 levels of a number by one cut fewer"),
        ({"tsize": {"cut": [20, 50]}}, r"tgrade: levels I, II, III have to become II, III by levels"),
        ({"tsize": {"feature": "width", "cut": [20, 50]}}, r"tsize: gbsg has no feature width"),
        ({"age": {"feature": "estrec"}, "tsize": {"cut": [20, 50]}}, r"age: a number is taken as it is.*same unit"),
        ({"chemo": {}}, r"chemo: rotterdam has no such predictor"),
    ],
)
def test_what_cannot_be_made_to_fit_is_named(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], translation: dict[str, Any], message: str
) -> None:
    mine = _changed(cohorts["gbsg"], validates={"rotterdam": translation})
    with pytest.raises(DeclarationError, match=message):
        as_features_of(tables["gbsg"], mine, cohorts["rotterdam"])


def test_a_model_for_another_kind_of_outcome_is_refused(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    model = small_model(cohorts["wpbc"], tables["wpbc"], "reference")
    with pytest.raises(DeclarationError, match="wpbc has a binary endpoint"):
        external_predictions(model, cohorts["wpbc"], tables["gbsg"], cohorts["gbsg"], seed=1)


def test_of_several_events_the_first_counts_and_without_one_the_shortest_follow_up(cohorts: dict[str, Cohort]) -> None:
    rows = [  # recur, rtime, death, dtime -> event, time
        (1, 10, 0, 30, 1, 10),
        (1, 10, 1, 30, 1, 10),
        (0, 20, 1, 30, 1, 30),
        (0, 20, 0, 25, 0, 20),
        (1, 30, 1, 30, 1, 30),
    ]
    raw = pd.DataFrame(rows, columns=["recur", "rtime", "death", "dtime", "event", "time"]).astype(str)
    shared = {"pid": "1", "age": "50", "meno": "0", "size": "<=20", "grade": "3", "nodes": "1", "pgr": "1", "er": "1"}
    table = canonical(raw.assign(row=range(1, 6), hormon="0", **shared), cohorts["rotterdam"])
    assert table["event"].tolist() == [row[4] for row in rows]
    assert table["time"].tolist() == [row[5] for row in rows]


@pytest.mark.parametrize("column", ["death", "dtime"])
def test_a_second_outcome_that_cannot_be_read_comes_through_for_the_gate(
    cohorts: dict[str, Cohort], column: str
) -> None:
    raw = pd.DataFrame({"recur": ["0"], "rtime": ["5"], "death": ["1"], "dtime": ["6"]}).assign(**{column: "x"})
    shared = {"pid": "1", "age": "50", "meno": "0", "size": "<=20", "grade": "3", "nodes": "1", "pgr": "1", "er": "1"}
    table = canonical(raw.assign(row=1, hormon="0", **shared), cohorts["rotterdam"])
    assert "x" in table[["event", "time"]].astype(str).to_numpy()


def _risks(rng: np.random.Generator, *, timed: bool, n: int = 3000) -> tuple[pd.DataFrame, Endpoint]:
    """Risks that are too extreme by half and too high."""
    line = rng.normal(size=n)
    if timed:
        time = rng.exponential(np.exp(-line))
        end = rng.uniform(0.5, 3, size=n)
        table = pd.DataFrame({"event": (time <= end).astype(int), "time": np.minimum(time, end)})
        wrong = -np.expm1(-np.exp(2 * line + 0.7))
        endpoint = Endpoint((Horizon("risk_1y", 1.0, "1 y"),))
        return table.assign(row=range(n), patient=range(n), risk_1y=wrong.clip(1e-6, 1 - 1e-6)), endpoint
    event = (rng.random(n) < 1 / (1 + np.exp(-line))).astype(int)
    return pd.DataFrame(
        {"row": range(n), "patient": range(n), "event": event, "risk": 1 / (1 + np.exp(-2 * line - 0.7))}
    ), Endpoint()


@pytest.mark.parametrize("timed", [False, True])
def test_recalibration_puts_right_what_it_is_meant_to(timed: bool) -> None:
    table, endpoint = _risks(np.random.default_rng(0), timed=timed)
    folds = np.arange(len(table)) % 10

    def calibration(found: pd.DataFrame):
        if timed:
            return calibration_at_horizon(found["time"], found["event"], found["risk_1y"], 1.0)
        return calibration_binary(found["event"], found["risk"])

    before = calibration(table)
    large, slope = (calibration(recalibrated(table, endpoint, folds, how)) for how in ("in the large", "slope"))
    assert before.slope.upper < 0.7
    assert before.observed_expected.upper < 0.95
    assert large.observed_expected.value == pytest.approx(1, abs=0.01)
    assert large.slope.upper < 0.7
    assert slope.observed_expected.value == pytest.approx(1, abs=0.01)
    assert slope.slope.value == pytest.approx(1, abs=0.03)


def test_no_patient_is_recalibrated_by_its_own_outcome() -> None:
    table, endpoint = _risks(np.random.default_rng(1), timed=False, n=200)
    folds = np.arange(200) % 10
    flipped = table.assign(event=table["event"].where(folds != 3, 1 - table["event"]))
    for how in ("in the large", "slope"):
        one, two = (recalibrated(item, endpoint, folds, how)["risk"].to_numpy() for item in (table, flipped))
        np.testing.assert_array_equal(one[folds == 3], two[folds == 3])
        assert (one[folds != 3] != two[folds != 3]).all()


def test_a_rotterdam_model_ranks_german_patients_as_published(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Path(os.environ.get("RELAPSE_SHARED") or ROOT.parent / "shared")
    if not (shared / "data" / "rotterdam.csv").is_file():
        pytest.skip(f"{shared / 'data' / 'rotterdam.csv'} is not there")
    monkeypatch.setenv("RELAPSE_ROTTERDAM", str(shared / "data" / "rotterdam.csv"))
    rotterdam, gbsg = cohorts["rotterdam"], cohorts["gbsg"]
    table, flow, _ = ingest(rotterdam, root=ROOT)
    assert (flow.rows_kept, int(table["event"].sum())) == (1546, 1080)
    model = small_model(rotterdam, typed(table, rotterdam), "linear")
    found = external_predictions(model, rotterdam, tables["gbsg"], gbsg, seed=1)
    assert list(found) == [PLAIN, LARGE, SLOPE]
    plain = found[PLAIN]
    assert 0.67 <= concordance(plain["time"].to_numpy(), plain["event"].to_numpy(), plain["score"].to_numpy()) <= 0.69
    assert plain[endpoint_of(gbsg).risk_columns].gt(0).all().all()


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_patients_whose_outcomes_are_as_the_model_says_ask_for_no_update(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str
) -> None:
    cohort, table = cohorts[name], tables[name]
    model = small_model(cohort, table, "linear")
    many = pd.concat([table] * 6, ignore_index=True)
    many["row"], many["patient"] = range(1, len(many) + 1), [f"p{row}" for row in range(len(many))]

    def outcomes(odds: float, seed: int) -> pd.DataFrame:
        """Outcomes drawn from the model's risks, with that many times the odds, or the hazard."""
        rng = np.random.default_rng(seed)
        if cohort.survival is None:
            risk = model.predict_risk(many)[:, 0]
            raised = risk * odds / (1 - risk + risk * odds)
            return many.assign(event=(rng.random(len(many)) < raised).astype("int8"))
        grid = np.linspace(1, cohort.survival.horizons[-1].time, 200)
        hazard = odds * -np.log1p(-model.predict_risk(many, grid))
        reached = hazard >= rng.exponential(size=len(many))[:, None]
        event = reached.any(axis=1)
        time = np.where(event, grid[reached.argmax(axis=1)], grid[-1])
        return many.assign(event=event.astype("int8"), time=time)

    def asked(found: pd.DataFrame):
        return update_for(model, cohort, found, cohort, events_per_parameter=10)

    # Each is asked for an update by chance once in twenty.
    as_said = [asked(outcomes(1.0, seed)) for seed in range(4)]
    assert [found.chosen for found in as_said].count(PLAIN) >= 3
    assert np.median([found.slope for found in as_said]) == pytest.approx(1.0, abs=0.2)
    assert {found.largest for found in as_said} == {"revised"}
    doubled = [asked(outcomes(2.0, seed)) for seed in range(4)]
    assert [found.chosen for found in doubled].count(LARGE) >= 3
    assert np.median([found.intercept for found in doubled]) == pytest.approx(np.log(2), abs=0.2)


def test_with_few_events_the_weights_are_left_alone(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    model = small_model(cohort, table, "xgboost")
    found = update_for(model, cohort, table, cohort, events_per_parameter=10)
    assert found is not None
    assert found.largest == SLOPE
    assert update_for(model, cohort, table[table["event"] == 0], cohort, events_per_parameter=10) is None
