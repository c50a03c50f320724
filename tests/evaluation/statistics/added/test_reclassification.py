"""Reclassification: cases worked by hand, resamples as repeated rows, a useless marker, and its edges."""

import math

import numpy as np
import pytest
from hypothesis import given

from relapse.evaluation.statistics.added.reclassification import (
    Reclassification,
    integrated_discrimination,
    integrated_discrimination_at_horizon,
    net_reclassification,
    net_reclassification_at_horizon,
)

from ..strategies import Binary, Survival, binary, survival

EVENT = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0])
BEFORE = np.array([0.10, 0.30, 0.30, 0.60, 0.10, 0.20, 0.30, 0.40, 0.50])
AFTER = np.array([0.25, 0.35, 0.20, 0.60, 0.05, 0.25, 0.10, 0.38, 0.20])
ONCE = np.ones((3, 9), dtype=int)


def _values(found: Reclassification) -> tuple[float, float, float]:
    return found.events.value, found.nonevents.value, found.total.value


def _risk(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(score, -30, 30)))


def test_without_cuts_every_change_counts() -> None:
    found = net_reclassification(EVENT, BEFORE, AFTER)
    # with the event two rise, one falls, of four; without it one rises, four fall, of five
    assert _values(found) == pytest.approx((1 / 4, 3 / 5, 17 / 20), abs=1e-10)
    # Pencina et al. 2011: (p_up + p_down − (p_up − p_down)²) / n
    events, nonevents = (3 / 4 - 1 / 16) / 4, (1 - 9 / 25) / 5
    assert found.events.se == pytest.approx(math.sqrt(events), abs=1e-10)
    assert found.nonevents.se == pytest.approx(math.sqrt(nonevents), abs=1e-10)
    assert found.total.se == pytest.approx(math.sqrt(events + nonevents), abs=1e-10)
    assert found.total.upper == pytest.approx(17 / 20 + 1.959963984540054 * math.sqrt(events + nonevents), abs=1e-10)


def test_with_cuts_only_another_category_counts() -> None:
    found = net_reclassification(EVENT, BEFORE, AFTER, cuts=[0.2, 0.4])
    # categories of those with the event: 0→1, 1→1, 1→1 (at the cut), 2→2; without: 0→0, 1→1, 1→0, 2→1, 2→1
    assert _values(found) == pytest.approx((1 / 4, 3 / 5, 17 / 20), abs=1e-10)
    assert _values(net_reclassification(EVENT, BEFORE, AFTER, cuts=[0.5])) == pytest.approx((0, 1 / 5, 1 / 5))


def test_discrimination_is_the_change_of_the_mean_risks() -> None:
    found = integrated_discrimination(EVENT, BEFORE, AFTER)
    # with the event +0.15 +0.05 −0.10 +0; without −0.05 +0.05 −0.20 −0.02 −0.30
    assert _values(found) == pytest.approx((0.10 / 4, 0.52 / 5, 0.025 + 0.104), abs=1e-10)
    events = (0.15**2 + 0.05**2 + 0.1**2 - 4 * 0.025**2) / 3 / 4
    nonevents = (0.05**2 + 0.05**2 + 0.2**2 + 0.02**2 + 0.3**2 - 5 * 0.104**2) / 4 / 5
    assert found.total.se == pytest.approx(math.sqrt(events + nonevents), abs=1e-10)


def test_under_censoring_cases_weigh_for_those_lost_by_hand() -> None:
    # horizon 5: relapses at 1 and 4, censored at 2 (G = 3/4 after it), relapse-free at 6, 7; five patients
    time, event = [1, 2, 4, 6, 7], [1, 0, 1, 0, 0]
    before, after = [0.2, 0.3, 0.4, 0.5, 0.6], [0.4, 0.2, 0.3, 0.4, 0.8]
    once = np.ones((2, 5), dtype=int)
    # cases weigh 1 (rises 0.2) and 4/3 (falls 0.1); controls 4/3 each (falls 0.1, rises 0.2)
    net = net_reclassification_at_horizon(time, event, before, after, 5, once)
    assert _values(net) == pytest.approx((-1 / 7, 0, -1 / 7), abs=1e-10)
    integrated = integrated_discrimination_at_horizon(time, event, before, after, 5, once)
    events = (0.2 - 0.1 * 4 / 3) / (7 / 3)
    assert _values(integrated) == pytest.approx((events, -0.05, events - 0.05), abs=1e-10)


def test_without_censoring_the_horizon_is_a_binary_outcome() -> None:
    time = np.where(EVENT == 1, 1.0, 9.0)
    for cuts in (None, [0.2, 0.4]):
        timed = net_reclassification_at_horizon(time, EVENT, BEFORE, AFTER, 5, ONCE, cuts=cuts)
        assert _values(timed) == pytest.approx(
            _values(net_reclassification(EVENT, BEFORE, AFTER, cuts=cuts)), abs=1e-10
        )
    timed = integrated_discrimination_at_horizon(time, EVENT, BEFORE, AFTER, 5, ONCE)
    assert _values(timed) == pytest.approx(_values(integrated_discrimination(EVENT, BEFORE, AFTER)), abs=1e-10)


@given(binary())
def test_resamples_are_repeated_rows(data: Binary) -> None:
    before, after, size = _risk(data.first), _risk(data.second), data.event.size
    strata = [np.flatnonzero(data.event == outcome) for outcome in (0, 1)]
    rng = np.random.default_rng(0)
    drawn = [np.concatenate([rng.choice(rows, rows.size) for rows in strata]) for _ in range(20)]
    weights = np.stack([np.bincount(rows, minlength=size) for rows in drawn])
    for statistic in (net_reclassification, integrated_discrimination):
        found = statistic(data.event, before, after, weights=weights)
        alone = [statistic(data.event[rows], before[rows], after[rows]).total.value for rows in drawn]
        expected = np.quantile(alone, [0.025, 0.975])
        assert (found.total.lower, found.total.upper) == pytest.approx(tuple(expected), abs=1e-10)
        assert found.total.value == pytest.approx(statistic(data.event, before, after).total.value, abs=1e-10)


@given(survival())
def test_turned_round_it_changes_its_sign(data: Survival) -> None:
    before, after = _risk(data.first), _risk(data.second)
    once = np.ones((2, data.time.size), dtype=int)
    horizon = float(np.median(data.time))
    for statistic in (net_reclassification_at_horizon, integrated_discrimination_at_horizon):
        one = _values(statistic(data.time, data.event, before, after, horizon, once))
        two = _values(statistic(data.time, data.event, after, before, horizon, once))
        assert two == pytest.approx(tuple(-value for value in one), abs=1e-12, nan_ok=True)


def test_risks_that_only_become_more_extreme_are_rewarded() -> None:
    """Why the docstrings warn: the extended risks know nothing more and rank alike, yet both indices are far above 0."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=5000)
    event = (rng.random(5000) < _risk(truth)).astype(int)
    shrunken, overconfident = _risk(truth / 2), _risk(3 * truth)
    assert net_reclassification(event, shrunken, overconfident).total.lower > 0.5
    assert integrated_discrimination(event, shrunken, overconfident).total.lower > 0.15
    assert np.mean((event - overconfident) ** 2) > np.mean((event - shrunken) ** 2)


def test_nobody_at_the_horizon_is_no_figure() -> None:
    found = net_reclassification_at_horizon([1, 2], [1, 0], [0.2, 0.3], [0.3, 0.2], 5, np.ones((2, 2), dtype=int))
    assert math.isnan(found.nonevents.value)
    assert math.isnan(found.total.value)
    assert found.events.value == 1


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="extended: 1 of 9 values lie outside"):
        net_reclassification(EVENT, BEFORE, AFTER * 2)
    with pytest.raises(ValueError, match="cuts: 2 given; they must lie between 0 and 1, strictly ascending"):
        net_reclassification(EVENT, BEFORE, AFTER, cuts=[0.4, 0.2])
    with pytest.raises(ValueError, match="horizon: 0 is not allowed"):
        net_reclassification_at_horizon(np.ones(9), EVENT, BEFORE, AFTER, 0, ONCE)
    with pytest.raises(ValueError, match=r"weights: shape \(3, 8\), but 9 rows elsewhere"):
        integrated_discrimination(EVENT, BEFORE, AFTER, weights=ONCE[:, 1:])
