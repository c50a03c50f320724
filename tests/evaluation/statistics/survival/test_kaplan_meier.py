"""Kaplan-Meier curves of relapse and censoring, and pseudo-values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from relapse.evaluation.statistics.survival.kaplan_meier import censoring_survival, kaplan_meier, pseudo_risks

from ..strategies import Survival, survival


@given(survival())
def test_curve_agrees_with_lifelines(data: Survival) -> None:
    theirs = KaplanMeierFitter().fit(data.time, data.event)
    at = np.unique(data.time)
    np.testing.assert_allclose(kaplan_meier(data.time, data.event)(at), theirs.predict(at), atol=1e-12)


@given(survival())
def test_censoring_and_relapse_curves_share_out_the_rows_at_risk(data: Survival) -> None:
    """With relapses first at ties, S(t)·G(t) is the share of rows followed beyond t."""
    at = np.unique(data.time)
    both = kaplan_meier(data.time, data.event)(at) * censoring_survival(data.time, data.event)(at)
    np.testing.assert_allclose(both, (data.time[:, None] > at).mean(axis=0), atol=1e-12)


@given(survival(), st.floats(0.4, 15.0))
def test_pseudo_values_are_what_leaving_a_row_out_gives(data: Survival, horizon: float) -> None:
    size = len(data.time)
    whole = 1 - kaplan_meier(data.time, data.event)(horizon)
    for row, pseudo in enumerate(pseudo_risks(data.time, data.event, horizon)):
        rest = np.arange(size) != row
        without = 1 - kaplan_meier(data.time[rest], data.event[rest])(horizon)
        assert pseudo == pytest.approx(size * whole - (size - 1) * without, abs=1e-10)


def test_pseudo_values_are_the_outcomes_without_censoring() -> None:
    time = np.array([1.0, 2.0, 2.0, 5.0])
    np.testing.assert_allclose(pseudo_risks(time, np.ones(4), 2.0), [1, 1, 1, 0], atol=1e-12)


def test_just_before_and_just_after_a_step() -> None:
    curve = kaplan_meier([1.0, 2.0], [1, 0])
    assert (float(curve(1.0)), float(curve.before(1.0)), float(curve(0.5)), float(curve(9.0))) == (0.5, 1.0, 1.0, 0.5)


def test_greenwood_has_no_end_where_nobody_is_left() -> None:
    curve = kaplan_meier([1.0, 2.0], [1, 1])
    assert curve.greenwood(1.0) == pytest.approx(1 / 2)
    assert curve.greenwood(2.0) == float("inf")
    assert curve.greenwood(0.5) == 0.0


def test_negative_times_are_refused() -> None:
    with pytest.raises(ValueError, match="time: 1 of 2 values are negative"):
        kaplan_meier([-1.0, 1.0], [1, 0])
