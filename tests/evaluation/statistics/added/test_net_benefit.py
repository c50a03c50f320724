"""Differences of net benefit: the decision curves' own, from the same resamples."""

import math

import numpy as np
import pytest

from relapse.evaluation.statistics.added.net_benefit import net_benefit_difference, net_benefit_difference_at_horizon
from relapse.evaluation.statistics.decisions.decision_curve import net_benefit, net_benefit_at_horizon
from relapse.evaluation.statistics.decisions.gain import net_benefit_gain
from relapse.evaluation.statistics.intervals import patient_weights

POINTS = [0.1, 0.3, 0.5]


def _risks(size: int = 150) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=size)
    event = (rng.random(size) < 1 / (1 + np.exp(1 - 2 * truth))).astype(int)
    first, second = (1 / (1 + np.exp(1 - truth - noise * rng.normal(size=size))) for noise in (0.3, 1.5))
    return event, first, second, rng.exponential(5, size)


def test_each_threshold_has_the_difference_of_the_two_curves_in_every_resample() -> None:
    event, first, second, _ = _risks()
    weights = patient_weights(None, event, n_resamples=50, seed=1)
    found = net_benefit_difference(event, first, second, POINTS, weights)
    rows = [np.repeat(np.arange(150), counts) for counts in (np.ones(150, dtype=int), *weights)]
    table = np.stack(
        [
            net_benefit(event[row], first[row], POINTS).net_benefit
            - net_benefit(event[row], second[row], POINTS).net_benefit
            for row in rows
        ]
    )
    for index, item in enumerate(found.differences):
        assert item.value == pytest.approx(table[0, index], abs=1e-12)
        expected = np.quantile(table[1:, index], [0.025, 0.975])
        assert (item.lower, item.upper) == pytest.approx(tuple(expected), abs=1e-12)
    assert found.thresholds == (0.1, 0.3, 0.5)
    gains = [net_benefit_gain(event, risk, POINTS, np.ones((1, 150)))[0] for risk in (first, second)]
    assert found.mean.value == pytest.approx(gains[0] - gains[1], abs=1e-12)
    assert found.mean.lower < found.mean.value < found.mean.upper


def test_at_a_horizon_it_is_that_of_the_curves_under_censoring() -> None:
    event, first, second, time = _risks()
    weights = patient_weights(None, event, n_resamples=50, seed=1)
    found = net_benefit_difference_at_horizon(time, event, first, second, 3.0, POINTS, weights)
    curves = [net_benefit_at_horizon(time, event, risk, 3.0, POINTS).net_benefit for risk in (first, second)]
    assert [item.value for item in found.differences] == pytest.approx(list(curves[0] - curves[1]), abs=1e-12)
    assert found.mean.method == "bootstrap by patient, paired"


def test_a_risk_against_itself_differs_by_exactly_nothing() -> None:
    event, first, _, _ = _risks()
    weights = patient_weights(None, event, n_resamples=50, seed=1)
    found = net_benefit_difference(event, first, first, POINTS, weights)
    assert {(item.value, item.lower, item.upper) for item in (*found.differences, found.mean)} == {(0, 0, 0)}


def test_nobody_followed_to_the_horizon_is_no_figure() -> None:
    risk = np.array([0.5, 0.5, 0.6, 0.6])
    found = net_benefit_difference_at_horizon(
        [1, 2, 3, 4], [1, 0, 1, 0], risk, risk / 2, 9.0, [0.3], np.ones((5, 4), dtype=int)
    )
    assert math.isnan(found.mean.value)
    assert math.isnan(found.differences[0].lower)


def test_impossible_arguments_are_refused() -> None:
    event, first, second, _ = _risks()
    with pytest.raises(ValueError, match="thresholds: 1 of 1 values do not lie between 0 and 1"):
        net_benefit_difference(event, first, second, [1.0], np.ones((2, 150), dtype=int))
    with pytest.raises(ValueError, match=r"weights: shape \(2, 3\), but 150 rows elsewhere"):
        net_benefit_difference(event, first, second, POINTS, np.ones((2, 3), dtype=int))
