"""Bets on drift: how often they are won by chance, and that they are won where there is one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from relapse.monitoring.betting import (
    conformal_p_values,
    log_capital,
    mean_bets,
    odds_bet,
    p_values,
    share_bets,
    smooth_bets,
)


def _p(rng, size, served, *, shares=None, now=None):
    """P-values of patients served after ``size`` of a training, in classes with these shares."""
    shares = np.full(10, 0.1) if shares is None else shares
    reference = rng.multinomial(size, shares)
    classes = rng.choice(len(shares), served, p=shares if now is None else now)
    return conformal_p_values(reference, classes, rng.random(served))


def test_p_values_are_uniform_and_independent_however_few_the_training_has():
    rng = np.random.default_rng(1)
    found = np.array([_p(rng, 12, 30) for _ in range(400)])
    assert stats.kstest(found.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.15
    assert abs(np.corrcoef(found[:, -2], found[:, -1])[0, 1]) < 0.15


def test_a_p_value_by_hand():
    # Two of the training in class 0, one in class 1; then one in class 1, and one in class 0.
    found = conformal_p_values(np.array([2, 1]), np.array([1, 0]), np.array([0.5, 0.5]))
    assert found == pytest.approx([(0 + 0.5 * 2) / 4, (2 + 0.5 * 3) / 5])


def test_within_groups_a_patient_is_compared_with_her_own():
    reference = np.array([[9, 1], [1, 9]])
    classes, groups = np.array([1, 1, 0]), np.array([0, 1, 0])
    found = conformal_p_values(reference, classes, np.full(3, 0.5), groups)
    assert found == pytest.approx([0.5 * 2 / 11, 0.5 * 10 / 11, (2 + 0.5 * 10) / 12])


@pytest.mark.parametrize(
    "bets",
    [lambda p: smooth_bets(p, 2), lambda p: smooth_bets(p, 4), lambda p: share_bets(p, downwards=True)],
    ids=["smooth", "waves", "shares"],
)
def test_no_bet_expects_to_win_on_a_uniform_p_value(bets):
    grid = (np.arange(200_000) + 0.5) / 200_000
    factors = bets(grid)
    assert (factors >= 0).all()
    assert factors.mean(axis=0) == pytest.approx(1, abs=1e-4)


@given(share=st.floats(0.01, 0.99), ratio=st.floats(0.2, 5))
def test_an_odds_bet_is_fair_at_its_share(share, ratio):
    high, low = odds_bet(np.array([0.0, 1.0]), share, ratio)
    assert share * high + (1 - share) * low == pytest.approx(1)
    assert (share * high) / ((1 - share) * low) == pytest.approx(ratio * share / (1 - share))


def test_a_bet_on_a_mean_loses_where_the_mean_is_at_least_what_is_said():
    rng = np.random.default_rng(2)
    values = rng.random(200_000)
    assert (mean_bets(values, least=0.5, largest=1.0)[:, 1:].mean(axis=0) < 1.003).all()
    assert (mean_bets(values, least=0.6, largest=1.0)[:, 1:].mean(axis=0) > 1).all()
    assert (mean_bets(np.array([1.0]), least=0.5, largest=1.0) > 0).all()


def test_capital_reaches_twenty_in_no_more_than_one_of_twenty_without_drift():
    rng = np.random.default_rng(3)
    reached = 0
    for number in range(300):
        p = _p(rng, 150 if number % 2 else 30, 400)
        logs = log_capital([smooth_bets(p, 2) if number % 3 else share_bets(p, downwards=True)])
        reached += logs.max() >= np.log(20)
    # Binomial(300, 0.05) exceeds 23 with a chance below 2%.
    assert reached <= 23


def test_a_shift_a_wider_spread_and_a_new_mixture_of_levels_are_found_also_after_a_time_of_none():
    rng = np.random.default_rng(4)
    flat = np.full(10, 0.1)
    up = np.linspace(0.02, 0.18, 10)
    wide = np.array([4, 2, 1, 0.5, 0.5, 0.5, 0.5, 1, 2, 4]) / 16
    for now in (up, up[::-1], wide):
        for quiet in (0, 400):
            classes = np.concatenate([rng.choice(10, quiet, p=flat), rng.choice(10, 300, p=now)])
            p = conformal_p_values(rng.multinomial(300, flat), classes, rng.random(classes.size))
            assert log_capital([smooth_bets(p, 2)]).max() > np.log(1000)


def test_doubled_missing_values_are_found():
    rng = np.random.default_rng(5)
    p = _p(rng, 700, 700, shares=[0.8, 0.2], now=[0.6, 0.4])
    assert log_capital([share_bets(p, downwards=True)]).max() > np.log(1000)


def test_capital_so_far_hangs_on_nobody_who_comes_later():
    p = _p(np.random.default_rng(6), 100, 120)
    assert log_capital([smooth_bets(p, 2)])[:50] == pytest.approx(log_capital([smooth_bets(p[:50], 2)]))


def test_p_values_at_any_time_never_rise_and_never_exceed_one():
    assert p_values(np.log([0.5, 4, 2, 10])) == pytest.approx([1, 0.25, 0.25, 0.1])
