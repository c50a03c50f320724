"""Calibration of binary risks and of risks at a horizon; overall fit; the small regressions behind them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from lifelines import CoxPHFitter
from scipy import special

from relapse.evaluation.statistics.calibration.measures import calibration_at_horizon, calibration_binary
from relapse.evaluation.statistics.calibration.regression import cox, logistic, restricted_cubic_spline
from relapse.evaluation.statistics.calibration.smooth import lowess
from relapse.evaluation.statistics.calibration.validation import validation_indices

from ..strategies import Binary, binary


def follow_up(risk: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw follow-up whose true risk by time 1 is ``risk``, with independent censoring."""
    relapse = rng.exponential(size=risk.size) / -np.log1p(-risk)
    censoring = rng.exponential(2.0, size=risk.size)
    return np.minimum(relapse, censoring), relapse <= censoring


def test_true_risks_are_calibrated_and_distorted_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    true = special.expit(rng.normal(-0.5, 1.0, size=8000))
    event = rng.random(8000) < true
    good = calibration_binary(event, true)
    for estimate, right in ((good.slope, 1), (good.intercept, 0), (good.in_the_large, 0), (good.observed_expected, 1)):
        assert estimate.lower < right < estimate.upper
    assert good.ici < 0.02
    extreme = calibration_binary(event, special.expit(2 * special.logit(true)))
    assert extreme.slope.value == pytest.approx(0.5, abs=0.05)
    assert extreme.ici > 0.05
    low = calibration_binary(event, special.expit(special.logit(true) - 1))
    assert low.in_the_large.value == pytest.approx(1.0, abs=0.1)
    assert low.observed_expected.lower > 1.2


def test_true_risks_at_a_horizon_are_calibrated_and_distorted_ones_are_not() -> None:
    rng = np.random.default_rng(1)
    line = rng.normal(-0.8, 0.7, size=6000)
    true = -np.expm1(-np.exp(line))
    time, event = follow_up(true, rng)
    good = calibration_at_horizon(time, event, true, 1.0)
    for estimate, right in ((good.slope, 1), (good.intercept, 0), (good.in_the_large, 0), (good.observed_expected, 1)):
        assert estimate.lower < right < estimate.upper
    assert good.ici < 0.02
    assert np.mean((good.curve.lower <= good.curve.predicted) & (good.curve.predicted <= good.curve.upper)) > 0.8
    extreme = calibration_at_horizon(time, event, -np.expm1(-np.exp(2 * line)), 1.0)
    assert extreme.slope.value == pytest.approx(0.5, abs=0.05)
    low = calibration_at_horizon(time, event, -np.expm1(-np.exp(line - 0.7)), 1.0)
    assert low.in_the_large.value == pytest.approx(0.7, abs=0.1)
    assert low.observed_expected.lower > 1.2


def test_the_band_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        risk = rng.uniform(0.1, 0.7, size=400)
        curve = calibration_binary(rng.random(400) < risk, risk).curve
        inner = slice(20, -20)
        covered.append(((curve.lower <= curve.predicted) & (curve.predicted <= curve.upper))[inner].mean())
    assert 0.9 < np.mean(covered) <= 1.0


def test_clusters_of_copies_leave_the_standard_errors() -> None:
    rng = np.random.default_rng(2)
    risk = rng.uniform(0.1, 0.9, size=300)
    event = rng.random(300) < risk
    once = calibration_binary(event, risk, clusters=np.repeat(np.arange(150), 2))
    twice = calibration_binary(np.tile(event, 2), np.tile(risk, 2), clusters=np.tile(np.repeat(np.arange(150), 2), 2))
    for name in ("slope", "intercept", "in_the_large", "observed_expected"):
        one, two = getattr(once, name), getattr(twice, name)
        assert two.se == pytest.approx(one.se, rel=1e-6)
    assert once.slope.method == "logistic, sandwich by patient"
    naive = calibration_binary(np.tile(event, 2), np.tile(risk, 2))
    assert naive.slope.se < 0.8 * once.slope.se


def test_risks_of_exactly_0_or_1_are_counted_and_left_out_of_the_regression() -> None:
    event = np.array([0, 1, 0, 1, 1, 0, 0, 1])
    risk = np.array([0.0, 1.0, 0.2, 0.4, 0.7, 0.6, 0.3, 0.8])
    with_ends, without = calibration_binary(event, risk), calibration_binary(event[2:], risk[2:])
    assert (with_ends.excluded, without.excluded) == (2, 0)
    assert with_ends.slope == without.slope


def test_constant_or_separating_risks_have_no_slope_but_still_a_ratio() -> None:
    constant = calibration_binary([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5])
    assert np.isnan(constant.slope.value)
    assert constant.in_the_large.value == pytest.approx(0.0, abs=1e-9)
    assert constant.observed_expected.value == 1.0
    assert (constant.curve.predicted.tolist(), constant.ici) == ([0.5], 0.0)
    perfect = calibration_binary([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert np.isnan([perfect.slope.value, perfect.slope.lower]).all()
    certain = calibration_binary([0, 1], [0.0, 1.0])
    assert np.isnan(certain.in_the_large.value)
    assert certain.excluded == 2


def test_at_a_horizon_that_nobody_reached_or_without_relapse_there_is_no_calibration() -> None:
    time, risk = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([0.1, 0.4, 0.3, 0.2, 0.6])
    beyond = calibration_at_horizon(time, [1, 0, 1, 0, 1], risk, 9.0)
    assert np.isnan([beyond.slope.value, beyond.in_the_large.value, beyond.observed_expected.value, beyond.ici]).all()
    without = calibration_at_horizon(time, np.zeros(5), risk, 2.0)
    assert np.isnan([without.slope.value, without.ici]).all()
    assert np.isnan(without.curve.observed).all()
    constant = calibration_at_horizon(time, [1, 0, 1, 0, 1], np.full(5, 0.3), 2.0)
    assert np.isnan(constant.slope.value)
    assert constant.observed_expected.value == pytest.approx(0.2 / 0.3)


@given(binary())
def test_any_outcome_and_risk_can_be_calibrated(data: Binary) -> None:
    risk = np.clip(special.expit(data.first), 0, 1)
    found = calibration_binary(data.event, risk, clusters=data.patient)
    assert 0 <= found.e50 <= found.e90 <= found.emax
    assert found.observed_expected.value == pytest.approx(data.event.mean() / risk.mean())
    assert len(found.curve.predicted) <= 101
    assert np.all(np.diff(found.curve.predicted) > 0)
    at_horizon = calibration_at_horizon(data.patient + 1.0, data.event, risk, 2.0)
    assert at_horizon.curve.predicted.shape == at_horizon.curve.upper.shape


def test_one_class_is_refused() -> None:
    for routine in (calibration_binary, validation_indices):
        with pytest.raises(ValueError, match="both classes are needed"):
            routine([1, 1], [0.5, 0.6])
    with pytest.raises(ValueError, match="horizon: nan is not allowed"):
        calibration_at_horizon([1.0], [1], [0.5], float("nan"))


def test_indices_of_useless_and_undefined_risks() -> None:
    prevalence = validation_indices([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5])
    assert np.isnan([prevalence.r2, prevalence.spiegelhalter_z]).all()
    rng = np.random.default_rng(3)
    risk = rng.uniform(0.1, 0.9, size=2000)
    right = validation_indices(rng.random(2000) < risk, risk)
    assert right.unreliability_p > 0.01
    assert right.spiegelhalter_p > 0.01
    assert 0 < right.r2 < 1


# lifelines 0.30 calls DataFrame.var in a way that pandas 4 will refuse
@pytest.mark.filterwarnings("ignore:Starting with pandas version 4.0")
def test_cox_agrees_with_lifelines() -> None:
    rng = np.random.default_rng(4)
    design = rng.normal(size=(200, 2))
    time = np.ceil(rng.exponential(size=200) * np.exp(-design[:, 0]) * 10)
    event = rng.random(200) < 0.7
    ours = cox(design, time, event)
    theirs = CoxPHFitter().fit(pd.DataFrame({"a": design[:, 0], "b": design[:, 1], "t": time, "e": event}), "t", "e")
    np.testing.assert_allclose(ours.fit.coefficients, theirs.params_, rtol=1e-4)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.fit.covariance)), theirs.standard_errors_, rtol=1e-4)


def test_regressions_without_a_finite_maximum_say_so() -> None:
    line = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    assert logistic(line, line[:, 0] > 0, np.zeros(4)) is None
    assert logistic(np.ones((4, 2)), np.array([True, False, True, False]), np.zeros(4)) is None
    assert cox(line, np.array([4.0, 3.0, 2.0, 1.0]), np.ones(4, dtype=bool)) is None
    assert cox(line, np.array([4.0, 3.0, 2.0, 1.0]), np.zeros(4, dtype=bool)) is None


def test_spline_is_linear_outside_its_knots_and_a_line_with_fewer_than_three() -> None:
    x = np.linspace(-3, 3, 61)
    columns = restricted_cubic_spline(x, np.array([-1.0, 0.0, 1.0]))
    assert columns.shape == (61, 2)
    bend = np.diff(columns[:, 1], 2)
    np.testing.assert_allclose(bend[(x[1:-1] < -1.05) | (x[1:-1] > 1.05)], 0, atol=1e-12)
    assert restricted_cubic_spline(x, np.array([0.0])).shape == (61, 1)


def test_lowess_returns_a_line_and_copes_with_ties() -> None:
    x = np.sort(np.random.default_rng(5).random(50))
    np.testing.assert_allclose(lowess(x, 2 * x + 1).fitted, 2 * x + 1, atol=1e-9)
    tied = lowess(np.array([0.2, 0.2, 0.2, 0.2]), np.array([0.0, 1.0, 0.0, 1.0]))
    np.testing.assert_allclose(tied.fitted, 0.5)
