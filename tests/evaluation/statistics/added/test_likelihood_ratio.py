"""The test of a score beside covariates: likelihoods maximised by hand, lifelines, what must not matter, and its edges."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from scipy import stats

from relapse.evaluation.statistics.added.likelihood_ratio import AddedScore, likelihood_ratio_test

from ..strategies import permutation, seeds

NONE = np.empty((0, 0))


def _cohort(seed: int = 0, size: int = 200) -> tuple[np.ndarray, ...]:
    """Covariates, a score tied to them and to the outcome, outcome, and follow-up in whole months."""
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(size, 3)) * [1, 10, 0.01]
    score = 5 + 0.5 * covariates[:, 0] + rng.normal(size=size)
    hazard = np.exp(0.5 * covariates[:, 0] + 0.4 * score - 2)
    relapse, censored = rng.exponential(size=size) / hazard, rng.exponential(size=size)
    time = np.ceil(24 * np.minimum(relapse, censored))
    return covariates, score, (relapse <= censored).astype(int), time


def _undefined(found: AddedScore) -> bool:
    return all(math.isnan(value) for value in (found.coefficient, found.se, found.z, found.p, found.p_one_sided))


def test_of_a_two_by_two_table_it_is_the_g_statistic() -> None:
    counts = {(1, 1): 9, (1, 0): 11, (0, 1): 5, (0, 0): 25}
    score, event = np.array([pair for pair, times in counts.items() for _ in range(times)]).T
    found = likelihood_ratio_test(np.empty((50, 0)), score, event)
    share = {1: 20 / 50, 0: 30 / 50}
    rate = {1: 14 / 50, 0: 36 / 50}
    g = 2 * sum(n * math.log(n / (50 * share[s] * rate[e])) for (s, e), n in counts.items())
    assert found.statistic == pytest.approx(g, rel=1e-10)
    assert found.z == pytest.approx(math.sqrt(g), rel=1e-10)
    assert found.p == pytest.approx(stats.chi2.sf(g, 1), rel=1e-10)
    assert found.p_one_sided == pytest.approx(found.p / 2, rel=1e-10)
    spread = score.std(ddof=1)
    odds = (9 * 25 / (11 * 5)) ** spread
    assert found.ratio.value == pytest.approx(odds, rel=1e-10)
    assert found.se == pytest.approx(spread * math.sqrt(1 / 9 + 1 / 11 + 1 / 5 + 1 / 25), rel=1e-10)
    assert found.method == "logistic regression, likelihood ratio"


def test_three_relapses_one_after_another_by_hand() -> None:
    # L(u) = u / ((2u + 1)(u + 1)) with u = exp(b): largest at u = 1/√2, where it is 1/(3 + 2√2); L(1) = 1/6
    found = likelihood_ratio_test(np.empty((3, 0)), [1, 0, 1], [1, 1, 1], [1, 2, 3])
    assert found.statistic == pytest.approx(2 * math.log(6 / (3 + 2 * math.sqrt(2))), rel=1e-10)
    assert found.coefficient == pytest.approx(-math.log(2) / 2 * math.sqrt(1 / 3), rel=1e-10)
    assert found.z < 0
    assert found.p_one_sided == pytest.approx(1 - found.p / 2, rel=1e-10)


def test_two_relapses_at_one_time_are_efrons_by_hand() -> None:
    # L(u) = u / ((u + 2)(u + 3)/2): largest at u = √6; L(1) = 1/6
    found = likelihood_ratio_test(np.empty((3, 0)), [1, 0, 0], [1, 1, 0], [1, 1, 2])
    root = math.sqrt(6)
    assert found.statistic == pytest.approx(2 * math.log(12 * root / (12 + 5 * root)), rel=1e-10)
    assert found.coefficient == pytest.approx(math.log(6) / 2 * math.sqrt(1 / 3), rel=1e-10)
    assert found.method == "Cox regression, Efron's ties, likelihood ratio"


def test_beside_covariates_it_agrees_with_lifelines() -> None:
    from lifelines import CoxPHFitter

    covariates, score, event, time = _cohort()
    table = pd.DataFrame(covariates, columns=list("abc")).assign(score=score, event=event, time=time)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"precision": 1e-12, "r_precision": 1e-15}
        both = CoxPHFitter().fit(table, "time", "event", fit_options=options)
        without = CoxPHFitter().fit(table.drop(columns="score"), "time", "event", fit_options=options)
    found = likelihood_ratio_test(covariates, score, event, time)
    assert found.statistic == pytest.approx(2 * (both.log_likelihood_ - without.log_likelihood_), rel=1e-8)
    assert found.coefficient == pytest.approx(both.params_["score"] * score.std(ddof=1), rel=1e-6)
    assert found.se == pytest.approx(both.standard_errors_["score"] * score.std(ddof=1), rel=1e-6)


@pytest.mark.parametrize("timed", [True, False])
@given(seed=seeds)
def test_order_units_and_superfluous_columns_do_not_matter(timed: bool, seed: int) -> None:
    covariates, score, event, time = _cohort(seed, 60)
    other = np.column_stack([covariates @ np.diag([3, -1, 1e4]) + 7, covariates[:, 0] + covariates[:, 1], np.ones(60)])
    order = permutation(60, seed)
    first = likelihood_ratio_test(covariates, score, event, time if timed else None)
    second = likelihood_ratio_test(other[order], (1e3 * score - 4)[order], event[order], time[order] if timed else None)
    assert second.statistic == pytest.approx(first.statistic, rel=1e-6, abs=1e-8)
    assert second.coefficient == pytest.approx(first.coefficient, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("timed", [True, False])
def test_a_turned_score_is_the_same_test_the_other_way_round(timed: bool) -> None:
    covariates, score, event, time = _cohort()
    first = likelihood_ratio_test(covariates, score, event, time if timed else None)
    second = likelihood_ratio_test(covariates, -score, event, time if timed else None)
    assert (second.p, second.z) == pytest.approx((first.p, -first.z), rel=1e-8)
    assert first.p_one_sided + second.p_one_sided == pytest.approx(1)


@pytest.mark.parametrize("timed", [True, False])
def test_rows_that_stand_twice_are_no_second_patient(timed: bool) -> None:
    covariates, score, event, time = _cohort()
    time = time + np.random.default_rng(1).random(time.size) / 2

    def repeated(times: int) -> AddedScore:
        tiled = [np.repeat(values, times, axis=0) for values in (covariates, score, event)]
        follow_up = np.repeat(time, times) if timed else None
        return likelihood_ratio_test(*tiled, follow_up, clusters=np.repeat(np.arange(200), times))

    alone, twice, four = (repeated(times) for times in (1, 2, 4))
    assert "likelihood ratio" in alone.method
    assert twice.method.endswith("Wald with sandwich by patient")
    assert twice.z == pytest.approx(alone.z, rel=0.15)
    # Efron's ties of a patient with herself change a little
    assert four.z == pytest.approx(twice.z, rel=0.02 if timed else 1e-3)


def test_a_score_that_the_covariates_determine_has_no_value() -> None:
    covariates, _, event, time = _cohort()
    for score in (np.full(200, 0.1), covariates @ [1, 2, 3] + 4):
        found = likelihood_ratio_test(covariates, score, event, time)
        assert _undefined(found)
        assert found.method.endswith("the covariates determine the score")


@pytest.mark.parametrize("timed", [True, False])
def test_a_score_that_separates_the_outcome_has_no_value(timed: bool) -> None:
    covariates, _, event, time = _cohort()
    # the first to relapse have the highest scores
    score = np.where(event == 1, 1e3 - time, -time) if timed else event + covariates[:, 0] * 1e-3
    time = np.where(event == 1, time, 1e6)
    found = likelihood_ratio_test(np.empty((200, 0)), score, event, time if timed else None)
    assert _undefined(found)
    assert found.method.endswith("no finite coefficient")


@pytest.mark.parametrize("timed", [True, False])
def test_a_rare_level_without_relapse_counts_as_if_its_rows_were_not_there(timed: bool) -> None:
    covariates, score, event, time = _cohort()
    rare = np.arange(200) % 20 == 0
    event = np.where(rare, 0, event)
    found = likelihood_ratio_test(np.column_stack([covariates, rare]), score, event, time if timed else None)
    kept = [values[~rare] for values in (covariates, score, event, time)]
    expected = likelihood_ratio_test(*(kept if timed else kept[:3]))
    assert "held by a negligible ridge" in found.method
    assert found.statistic == pytest.approx(expected.statistic, rel=0.01)


def test_impossible_arguments_are_refused() -> None:
    covariates, score, event, time = _cohort()
    with pytest.raises(ValueError, match=r"covariates: shape \(0, 0\), but 200 rows elsewhere"):
        likelihood_ratio_test(NONE, score, event)
    with pytest.raises(ValueError, match="covariates: 1 of 600 values are NaN or infinite"):
        likelihood_ratio_test(np.where(covariates == covariates.max(), np.nan, covariates), score, event)
    with pytest.raises(ValueError, match="score: 199 values, but 200 rows elsewhere"):
        likelihood_ratio_test(covariates, score[1:], event)
    with pytest.raises(ValueError, match="event: 0 of 200 rows have the event; both classes are needed"):
        likelihood_ratio_test(covariates, score, 0 * event)
    with pytest.raises(ValueError, match="event: none of 200 rows has the event; at least one is needed"):
        likelihood_ratio_test(covariates, score, 0 * event, time)
