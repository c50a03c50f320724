"""The gain over treating all and none: the decision curve's own figures, resamples as repeated rows, and its edges."""

import math

import numpy as np
import pytest
from hypothesis import given

from relapse.evaluation.statistics.decisions.decision_curve import DecisionCurve, net_benefit, net_benefit_at_horizon
from relapse.evaluation.statistics.decisions.gain import net_benefit_gain, net_benefit_gain_at_horizon

from ..strategies import Binary, Survival, binary, survival

POINTS = np.array([0.1, 0.25, 0.4, 0.7])


def _risk(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(score, -30, 30)))


def _mean(curve: DecisionCurve) -> float:
    gain = curve.net_benefit - np.maximum(curve.treat_all, 0)
    return float(np.nanmean(gain)) if np.isfinite(gain).any() else math.nan


@given(binary())
def test_a_resample_gains_what_the_curve_of_its_rows_says(data: Binary) -> None:
    risk, size = _risk(data.first), data.event.size
    weights = np.vstack([np.ones(size), np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), 3)])
    found = net_benefit_gain(data.event, risk, POINTS, weights.astype(int))
    for counts, gain in zip(weights.astype(int), found, strict=True):
        rows = np.repeat(np.arange(size), counts)
        assert gain == pytest.approx(_mean(net_benefit(data.event[rows], risk[rows], POINTS)), abs=1e-12)


@given(survival())
def test_a_resample_gains_what_the_curve_of_its_rows_says_under_censoring(data: Survival) -> None:
    risk, size = _risk(data.first), data.time.size
    horizon = float(np.median(data.time))
    weights = np.vstack([np.ones(size), np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), 3)])
    found = net_benefit_gain_at_horizon(data.time, data.event, risk, horizon, POINTS, weights.astype(int))
    for counts, gain in zip(weights.astype(int), found, strict=True):
        rows = np.repeat(np.arange(size), counts)
        expected = net_benefit_at_horizon(data.time[rows], data.event[rows], risk[rows], horizon, POINTS)
        assert gain == pytest.approx(_mean(expected), abs=1e-9, nan_ok=True)


def test_one_right_risk_for_all_gains_exactly_nothing() -> None:
    event = np.tile([1, 0, 0], 20)
    weights = np.vstack([np.ones(60, dtype=int), np.full(60, 2)])
    around = np.linspace(0.25, 0.45, 11)
    assert net_benefit_gain(event, np.full(60, 1 / 3), around, weights).max() == 0
    time = np.where(event == 1, 1.0, 3.0)
    assert net_benefit_gain_at_horizon(time, event, np.full(60, 1 / 3), 2.0, around, weights).max() == 0


def test_nobody_followed_to_the_horizon_is_no_figure() -> None:
    weights = np.ones((1, 4), dtype=int)
    found = net_benefit_gain_at_horizon([1, 2, 3, 4], [1, 0, 1, 0], [0.5, 0.5, 0.6, 0.6], 9.0, [0.3], weights)
    assert np.isnan(found).all()


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="thresholds: 1 of 2 values do not lie between 0 and 1"):
        net_benefit_gain([1, 0], [0.2, 0.3], [0.5, 1.0], np.ones((1, 2)))
    with pytest.raises(ValueError, match="horizon: -1 is not allowed"):
        net_benefit_gain_at_horizon([1, 2], [1, 0], [0.2, 0.3], -1, [0.5], np.ones((1, 2)))
