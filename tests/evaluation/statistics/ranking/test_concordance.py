"""Concordance and Kang's test: properties, other packages, clusters, and edges."""

import numpy as np
import pytest
from hypothesis import given
from lifelines.utils import concordance_index
from sksurv.metrics import concordance_index_ipcw

from relapse.evaluation.statistics.ranking.binary import delong_test, roc_auc
from relapse.evaluation.statistics.ranking.concordance import (
    concordance,
    concordance_counts,
    concordance_estimate,
    kang_covariance,
    kang_test,
    uno_concordance,
)
from relapse.evaluation.statistics.ranking.pairs import pair_counts

from .. import plain
from ..strategies import Binary, Survival, binary, permutation, seeds, survival


@given(survival())
def test_c_is_the_mean_over_comparable_pairs(data: Survival) -> None:
    expected = plain.concordance(data.time, data.event, data.first)
    assert concordance(data.time, data.event, data.first) == pytest.approx(expected, abs=1e-14)
    assert concordance_estimate(data.time, data.event, data.first).value == pytest.approx(expected, abs=1e-14)


@given(survival())
def test_c_agrees_with_lifelines(data: Survival) -> None:
    theirs = concordance_index(data.time, -data.first, data.event)
    assert concordance(data.time, data.event, data.first) == pytest.approx(theirs, abs=1e-12)


@given(binary())
def test_c_is_the_auc_of_an_uncensored_binary_outcome(data: Binary) -> None:
    # relapse at time 1, or followed to time 2 without
    time = np.where(data.event == 1, 1.0, 2.0)
    assert concordance(time, data.event, data.first) == pytest.approx(roc_auc(data.event, data.first), abs=1e-14)


@given(survival())
def test_reversed_score_gives_the_complement(data: Survival) -> None:
    both = [concordance(data.time, data.event, score) for score in (data.first, -data.first)]
    assert sum(both) == pytest.approx(1.0, abs=1e-14)


@given(survival(), seeds)
def test_monotone_transforms_and_row_order_do_not_matter(data: Survival, seed: int) -> None:
    order = permutation(len(data.time), seed)
    one = kang_test(data.time, data.event, data.first, data.second)
    two = kang_test(
        data.time[order] ** 2, data.event[order], np.exp(data.first[order] / 1000), 3 * data.second[order] - 1
    )
    np.testing.assert_allclose([one.difference, one.p], [two.difference, two.p], rtol=1e-9, atol=1e-12)


@given(survival())
def test_kang_variance_equals_the_full_matrices(data: Survival) -> None:
    covariance = kang_covariance(data.time, data.event, data.first, data.second)[1]
    found = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    expected = plain.kang_variance(data.time, data.event, data.first, data.second)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(survival())
def test_a_model_against_itself_differs_by_nothing(data: Survival) -> None:
    for clusters in (None, data.patient):
        test = kang_test(data.time, data.event, data.first, data.first / 4, clusters=clusters)
        assert (test.difference, test.statistic, test.p) == (0.0, 0.0, 1.0)


@given(survival())
def test_clusters_of_one_row_change_nothing(data: Survival) -> None:
    alone = concordance_estimate(data.time, data.event, data.first)
    clustered = concordance_estimate(data.time, data.event, data.first, clusters=np.arange(len(data.time)) + 7)
    assert clustered.method == "infinitesimal jackknife"
    np.testing.assert_allclose([alone.value, alone.se], [clustered.value, clustered.se], rtol=1e-12)


@given(survival())
def test_influence_is_the_derivative_by_row_weight(data: Survival) -> None:
    found = pair_counts(data.time, data.event, data.first)
    pairs = plain.comparable(data.time, data.event)
    wins = plain.wins(data.first, data.first) * pairs
    step = 1e-6
    weights = np.ones(len(data.time))
    weights[-1] += step
    shifted = (weights @ wins @ weights) / (weights @ pairs @ weights)
    assert (shifted - found.index) / step == pytest.approx(found.influence[-1], abs=1e-5)
    assert found.influence.sum() == pytest.approx(0.0, abs=1e-12)


def test_repeating_every_row_in_its_patient_leaves_the_clustered_error() -> None:
    rng = np.random.default_rng(1)
    time, event = rng.exponential(size=80), rng.integers(0, 2, 80)
    first, second = -time + rng.normal(size=80), -time + rng.normal(size=80)
    patient = np.arange(80)
    once = kang_test(time, event, first, second, variance="jackknife")
    tiled = [np.tile(column, 2) for column in (time, event, first, second, patient)]
    twice = kang_test(*tiled[:4], clusters=tiled[4])
    assert twice.p == pytest.approx(once.p, rel=1e-9)
    assert twice.method == "paired C test, jackknife by patient"


def test_jackknife_and_u_statistic_agree_for_many_rows() -> None:
    rng = np.random.default_rng(2)
    time, event = rng.exponential(size=2000), rng.integers(0, 2, 2000)
    score = -time + rng.normal(size=2000)
    one, two = (concordance_estimate(time, event, score, variance=kind) for kind in ("jackknife", "u-statistic"))
    assert one.se == pytest.approx(two.se, rel=0.01)


def test_kang_is_close_to_delong_for_an_uncensored_binary_outcome() -> None:
    rng = np.random.default_rng(4)
    event = rng.integers(0, 2, 400)
    first, second = event + rng.normal(size=400), event + rng.normal(size=400)
    kang = kang_test(np.where(event == 1, 1.0, 2.0), event, first, second)
    delong = delong_test(event, first, second)
    assert kang.difference == pytest.approx(delong.difference, abs=1e-12)
    assert kang.statistic == pytest.approx(delong.statistic, rel=0.05)


def test_uno_agrees_with_scikit_survival_without_ties() -> None:
    rng = np.random.default_rng(5)
    relapse, censoring = rng.exponential(size=300), rng.exponential(1.5, size=300)
    time, event = np.minimum(relapse, censoring), relapse <= censoring
    score = -np.log(relapse) + rng.normal(size=300)
    outcome = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    tau = float(np.quantile(time, 0.8))
    theirs = concordance_index_ipcw(outcome, outcome, score, tau=tau)[0]
    assert uno_concordance(time, event, score, tau=tau) == pytest.approx(theirs, rel=1e-9)


def test_uno_is_harrell_without_censoring() -> None:
    time, score = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 1.0, 3.0, 2.0])
    assert uno_concordance(time, np.ones(4), score) == pytest.approx(concordance(time, np.ones(4), score))


def test_which_pairs_are_comparable_at_equal_times() -> None:
    relapse_and_censoring = concordance_counts([1.0, 1.0], [1, 0], [2.0, 1.0])
    assert (relapse_and_censoring.concordant, relapse_and_censoring.tied_time) == (1, 0)
    two_relapses = concordance_counts([1.0, 1.0], [1, 1], [2.0, 1.0])
    assert (two_relapses.concordant, two_relapses.tied_time, two_relapses.tied_both) == (0, 1, 0)
    with_equal_scores = concordance_counts([1.0, 1.0], [1, 1], [2.0, 2.0])
    assert (with_equal_scores.tied_time, with_equal_scores.tied_both) == (0, 1)


def test_without_a_comparable_pair_there_is_no_c() -> None:
    time, event = [1.0, 2.0, 3.0, 4.0], [0, 0, 0, 0]
    score, other = [1.0, 2.0, 3.0, 4.0], [4.0, 2.0, 3.0, 1.0]
    assert np.isnan(concordance(time, event, score))
    assert np.isnan(uno_concordance(time, event, score))
    estimate = concordance_estimate(time, event, score)
    assert np.isnan([estimate.value, estimate.se, estimate.lower]).all()
    assert np.isnan(kang_test(time, event, score, other).p)


def test_a_constant_score_is_a_coin() -> None:
    assert concordance([1.0, 2.0, 3.0], [1, 1, 0], [5.0, 5.0, 5.0]) == 0.5


def test_impossible_arguments_are_refused() -> None:
    time, event, score = [1.0, 2.0, 3.0, 4.0], [1, 0, 1, 0], [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match="'u-statistic' needs one row a patient"):
        kang_test(time, event, score, score, clusters=[1, 1, 2, 3], variance="u-statistic")
    with pytest.raises(ValueError, match="'u-statistic' needs at least 4 rows, found 3"):
        kang_test(time[:3], event[:3], score[:3], score[:3])
    with pytest.raises(ValueError, match="score: 3 values, but 4 rows elsewhere"):
        concordance(time, event, score[:3])
    with pytest.raises(ValueError, match="tau: 0 is not allowed"):
        uno_concordance(time, event, score, tau=0)
