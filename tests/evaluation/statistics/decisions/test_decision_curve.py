"""Decision curves: treat-all, treat-none, and edges."""

import numpy as np
import pytest
from hypothesis import given

from relapse.evaluation.statistics.decisions.decision_curve import net_benefit, net_benefit_at_horizon

from ..strategies import Binary, binary

THRESHOLDS = np.array([0.05, 0.2, 0.5, 0.8])


@given(binary())
def test_acting_on_everyone_is_treat_all_and_on_nobody_treat_none(data: Binary) -> None:
    everyone = net_benefit(data.event, np.ones(len(data.event)), THRESHOLDS)
    np.testing.assert_allclose(everyone.net_benefit, everyone.treat_all, atol=1e-12)
    nobody = net_benefit(data.event, np.zeros(len(data.event)), THRESHOLDS)
    np.testing.assert_array_equal(nobody.net_benefit, nobody.treat_none)


@given(binary())
def test_a_horizon_without_censoring_is_the_binary_curve(data: Binary) -> None:
    time = np.where(data.event == 1, 1.0, 3.0)
    risk = np.clip(data.first / 20_000 + 0.5, 0, 1)
    one = net_benefit(data.event, risk, THRESHOLDS)
    two = net_benefit_at_horizon(time, np.ones(len(time)), risk, 2.0, THRESHOLDS)
    reached = ~np.isnan(two.net_benefit)  # where all who were called relapsed, nobody reached the horizon
    np.testing.assert_allclose(one.net_benefit[reached], two.net_benefit[reached], atol=1e-12)
    np.testing.assert_allclose(one.treat_all, two.treat_all, atol=1e-12)


def test_a_risk_on_the_threshold_is_acted_on() -> None:
    assert net_benefit([1, 0], [0.5, 0.4], [0.5]).true_positive_rate.tolist() == [0.5]


def test_a_threshold_whose_positives_were_not_followed_has_no_value() -> None:
    curve = net_benefit_at_horizon([1.0, 5.0, 6.0], [0, 1, 0], [0.9, 0.1, 0.2], 3.0, [0.5, 0.95, 0.05])
    assert np.isnan(curve.net_benefit[0])
    assert curve.net_benefit[1] == 0.0
    assert np.isfinite(curve.net_benefit[2])


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="thresholds: 2 of 3 values do not lie between 0 and 1"):
        net_benefit([1, 0], [0.5, 0.4], [0.0, 0.5, 1.0])
    with pytest.raises(ValueError, match="horizon: 0 is not allowed"):
        net_benefit_at_horizon([1.0, 2.0], [1, 0], [0.5, 0.4], 0, [0.5])
