"""The pieces below the candidates: Breslow's baseline, step functions, recalibration, and the fits against others."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from sksurv.linear_model import CoxPHSurvivalAnalysis

from relapse.candidates.base import breslow, outcome, step_values
from relapse.candidates.catalogue import family
from relapse.candidates.cox import CoxRegression
from relapse.candidates.risk_model import Isotonic, Platt, recalibration_from
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.ranking.concordance import concordance


def test_breslow_of_equal_patients_is_nelson_aalen() -> None:
    time = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    event = np.array([True, True, True, False, True])
    times, hazard = breslow(time, event, np.zeros(5))
    np.testing.assert_array_equal(times, [1, 2, 4])
    np.testing.assert_allclose(hazard, np.cumsum([1 / 5, 2 / 4, 1 / 1]))


def test_step_values_are_zero_before_and_constant_after() -> None:
    values = step_values(np.array([1.0, 2.0]), np.array([0.5, 0.8]), np.array([0.5, 1.0, 1.5, 9.0]))
    np.testing.assert_array_equal(values, [0, 0.5, 0.5, 0.8])


def test_survival_risks_agree_with_scikit_survival(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    target = outcome(table, cohort)
    model = family("reference").head(cohort).build(cohort, {}, 0).fit(table, target)
    matrix = model.transform_.transform(table)
    theirs = CoxPHSurvivalAnalysis(ties="efron").fit(matrix, target)
    times = [1095.75, 1826.25]
    expected = np.array([[1 - curve(t) for t in times] for curve in theirs.predict_survival_function(matrix)])
    np.testing.assert_allclose(model.predict_risk(table, times), expected, atol=1e-6)


def test_a_penalty_shrinks_coefficients(tables: dict[str, pd.DataFrame], cohorts: dict[str, Cohort]) -> None:
    target = outcome(tables["gbsg"], cohorts["gbsg"])
    matrix = tables["gbsg"][["tsize", "pnodes"]].to_numpy()
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    free = CoxRegression().fit(matrix, target).coef_
    shrunk = CoxRegression(penalty=0.05).fit(matrix, target).coef_
    nothing = CoxRegression(penalty=10.0).fit(matrix, target).coef_
    assert np.abs(shrunk).sum() < np.abs(free).sum()
    np.testing.assert_array_equal(nothing, 0)


@pytest.mark.parametrize("l1_ratio", [0.05, 1.0])
def test_little_penalty_on_many_columns_comes_to_an_end(l1_ratio: float) -> None:
    """A cold start overshoots: it raises, or ends with coefficients of a million."""
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((120, 90))
    time = np.round(rng.exponential(np.exp(-matrix[:, 0])), 3) + 0.001
    target = np.array(list(zip(rng.random(120) < 0.4, time, strict=True)), dtype=[("event", bool), ("time", float)])
    fitted = CoxRegression(penalty=0.002, l1_ratio=l1_ratio).fit(matrix, target)
    assert 0.5 < np.abs(fitted.coef_).max() < 20
    assert concordance(target["time"], target["event"], fitted.predict(matrix)) > 0.9


def test_recalibration_restores_distorted_odds() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(-1, 1, 20_000)
    event = (rng.random(20_000) < 1 / (1 + np.exp(-true))).astype(int)
    found = Platt.fit(2 * true + 1, event)
    assert found.slope == pytest.approx(0.5, abs=0.03)
    assert found.risk(2 * true + 1).mean() == pytest.approx(event.mean(), abs=1e-4)


def test_recalibration_never_turns_a_ranking_round() -> None:
    event = np.r_[np.ones(30, dtype=int), np.zeros(70, dtype=int)]
    found = Platt.fit(np.r_[np.zeros(30), np.ones(70)] + np.linspace(0, 0.1, 100), event)
    np.testing.assert_allclose(found.risk(np.array([-3.0, 3.0])), 0.3)


def test_isotonic_recalibration_rises_stays_off_0_and_1_and_survives_plain_values() -> None:
    rng = np.random.default_rng(2)
    score = rng.normal(size=200)
    event = (rng.random(200) < 1 / (1 + np.exp(-3 * score))).astype(int)
    found = Isotonic.fit(score, event)
    risk = found.risk(np.linspace(-9, 9, 500))
    assert (np.diff(risk) >= 0).all()
    assert 0 < risk.min() < risk.max() < 1
    assert recalibration_from(asdict(found)) == found
    assert recalibration_from(asdict(Platt(0.5, 0.1))) == Platt(0.5, 0.1)


def test_weights_shift_risks_as_oversampling_does(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    for name, params in {
        "linear": {"C": 0.1, "l1_ratio": 0.0, "scaling": "standard"},
        "svm": {"kernel": "linear", "C": 0.01},
        "forest": {"min_samples_leaf": 20, "max_features": 0.5},
        "xgboost": {"n_estimators": 20, "max_depth": 2},
        "catboost": {"iterations": 20, "depth": 2},
    }.items():
        head = family(name).head(cohort)
        mean = {
            choice: head.build(cohort, params | {"balance": choice}, 1)
            .fit(table, outcome(table, cohort))
            .predict_risk(table)
            .mean()
            for choice in ("none", "weight", "smotenc")
        }
        assert mean["none"] < min(mean["weight"], mean["smotenc"]), name


def test_columns_that_determine_each_other_do_not_stop_an_unpenalised_cox_regression() -> None:
    rng = np.random.default_rng(0)
    hr, her2 = rng.integers(0, 2, (2, 300)).astype(float)
    time = rng.exponential(np.exp(-0.7 * hr + 0.5 * her2))
    target = np.array(
        list(zip(time < 1.5, np.minimum(time, 1.5), strict=True)), dtype=[("event", bool), ("time", float)]
    )
    alone = CoxRegression().fit(np.column_stack([hr, her2]), target)
    # A copy, a column made of both, and one that is constant.
    wider = np.column_stack([hr, her2, hr, hr + her2, np.ones(300)])
    both = CoxRegression().fit(wider, target)
    centred = [found - found.mean() for found in (alone.predict(wider[:, :2]), both.predict(wider))]
    np.testing.assert_allclose(centred[1], centred[0], atol=1e-3)
