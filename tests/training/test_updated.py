"""A planted miscalibration is found and undone by numbers that no patient helped to choose; a right model is left."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from relapse.candidates.base import EPSILON
from relapse.candidates.risk_model import RiskModel, Shift
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.calibration.updating import AS_IT_IS, IN_THE_LARGE, WITH_SLOPE
from relapse.training import updated
from relapse.training.updated import Recalibrated, recalibrated
from tests.bundle.making import small_model


def _late(cohort: Cohort) -> Cohort:
    return Cohort.model_validate(cohort.model_dump(mode="json", by_alias=True, exclude_none=True) | {"name": "late"})


def _drawn(
    model: RiskModel, cohort: Cohort, table: pd.DataFrame, *, size: int, seed: int, intercept: float, slope: float
) -> pd.DataFrame:
    """Patients with features of the training's and outcomes by the model's risks, moved by a known shift."""
    rng = np.random.default_rng(seed)
    drawn = table.iloc[rng.integers(0, len(table), size)].reset_index(drop=True)
    drawn["row"], drawn["patient"] = np.arange(1, size + 1), [f"late{number}" for number in range(size)]
    if cohort.survival is None:
        risk = np.clip(model.predict_risk(drawn)[:, 0], EPSILON, 1 - EPSILON)
        drawn["event"] = (rng.random(size) < expit(intercept + slope * logit(risk))).astype("int8")
        return drawn
    horizon = cohort.survival.horizons[-1].time
    score = model.predict_score(drawn)
    grid = np.linspace(horizon / 200, horizon, 200)
    hazard = -np.log1p(-np.minimum(model.predict_risk(drawn, grid), 1 - EPSILON))
    hazard *= np.exp(intercept + (slope - 1) * score)[:, None]
    spent = rng.exponential(size=size)
    reached = hazard >= spent[:, None]
    drawn["event"] = reached.any(axis=1).astype("int8")
    drawn["time"] = np.where(reached.any(axis=1), grid[reached.argmax(axis=1)], horizon)
    return drawn


def _found(name: str, cohorts: Any, tables: Any, *, intercept: float, slope: float, size: int = 1500) -> Recalibrated:
    cohort, table = cohorts[name], tables[name]
    model = small_model(cohort, table, "linear")
    late = _drawn(model, cohort, table, size=size, seed=7, intercept=intercept, slope=slope)
    return recalibrated(model, cohort, late, _late(cohort), seed=1, events_per_parameter=1e9)


@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
def test_a_planted_shift_is_found_and_gains_in_patients_left_out(name: str, cohorts: Any, tables: Any) -> None:
    found = _found(name, cohorts, tables, intercept=0.9, slope=1.0)
    assert found.update is not None
    assert found.update.chosen == IN_THE_LARGE
    assert found.shift is not None
    assert found.shift.slope == 1.0
    assert found.shift.intercept == pytest.approx(0.9, abs=0.15)
    assert found.gain.mean() > 0.02
    # Cross-fitted: not the risks of the update by all, yet near to them, and never those of the model as it is.
    columns = [column for column in found.crossed if column.startswith("risk")]
    crossed, plain = found.crossed[columns].to_numpy(), found.plain[columns].to_numpy()
    assert (crossed > plain).all()
    if name == "wpbc":
        assert np.unique((logit(crossed) - logit(plain)).round(6)).size == 10
        observed = found.plain["event"].mean()
        assert crossed.mean() == pytest.approx(observed, abs=0.01)
        assert abs(plain.mean() - observed) > 0.1
    pd.testing.assert_series_equal(found.crossed["score"], found.plain["score"])


@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
def test_a_planted_slope_is_found(name: str, cohorts: Any, tables: Any) -> None:
    found = _found(name, cohorts, tables, intercept=0.3, slope=0.4, size=4000)
    assert found.update is not None
    assert found.update.chosen == WITH_SLOPE
    assert found.shift is not None
    assert found.shift.slope == pytest.approx(0.4, abs=0.15)
    assert found.gain.mean() > 0


@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
def test_a_model_that_is_right_is_left_as_it_is(name: str, cohorts: Any, tables: Any) -> None:
    found = _found(name, cohorts, tables, intercept=0.0, slope=1.0)
    assert found.update is not None
    assert found.update.chosen == AS_IT_IS
    assert found.shift is None


def test_a_patient_s_own_outcome_moves_nothing_of_her_predictions(
    cohorts: Any, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The same folds whatever the outcomes: they are dealt by them otherwise.
    monkeypatch.setattr(updated, "fold_numbers", lambda table, **_: table["row"].to_numpy() % 10)
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    model = small_model(cohort, table, "linear")
    late = _drawn(model, cohort, table, size=600, seed=3, intercept=0.9, slope=1.0)
    turned = late.copy()
    turned.loc[0, "event"] = 1 - turned.loc[0, "event"]
    first, again = (
        recalibrated(model, cohort, rows, _late(cohort), seed=1, events_per_parameter=1e9) for rows in (late, turned)
    )
    moved = first.crossed["risk"] != again.crossed["risk"]
    own = late["row"] % 10 == late.loc[0, "row"] % 10
    assert not moved[own].any()
    assert moved[~own].all()


@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
def test_two_updates_are_one_and_the_order_stays(name: str, cohorts: Any, tables: Any) -> None:
    cohort, table = cohorts[name], tables[name]
    model = small_model(cohort, table, "linear")
    times = [item.time for item in cohort.survival.horizons] if cohort.survival else None
    one, two = Shift(0.4, 0.7), Shift(-0.2, 1.3)
    twice = model.shifted(one).shifted(two)
    once = model.shifted(Shift(-0.2 + 1.3 * 0.4, 0.7 * 1.3))
    np.testing.assert_allclose(twice.predict_risk(table, times), once.predict_risk(table, times), rtol=1e-9)
    before, after = model.predict_risk(table, times)[:, -1], twice.predict_risk(table, times)[:, -1]
    assert (np.argsort(before, kind="stable") == np.argsort(after, kind="stable")).all()
    if cohort.survival:
        # At the horizon the score of an updated model is its own log cumulative hazard.
        np.testing.assert_allclose(np.log(-np.log1p(-after)), twice.predict_score(table), rtol=1e-6, atol=1e-8)
    else:
        assert ((before >= model.threshold) == (after >= twice.threshold)).all()


def test_an_update_that_turns_the_order_round_is_refused() -> None:
    with pytest.raises(ValueError, match="slope: more than 0"):
        Shift(0.0, -0.1)
