"""ROC AUC and DeLong: properties, the clustered form, and the edges that the docstrings name."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import roc_auc_score

from relapse.evaluation.statistics.ranking.binary import (
    auc_estimate,
    delong_covariance,
    delong_test,
    delong_test_unpaired,
    roc_auc,
)

from .. import plain
from ..strategies import Binary, binary, permutation, seeds


@given(binary())
def test_auc_is_the_mean_over_pairs(data: Binary) -> None:
    assert roc_auc(data.event, data.first) == pytest.approx(plain.auc(data.event, data.first), abs=1e-14)
    assert roc_auc(data.event, data.first) == pytest.approx(roc_auc_score(data.event, data.first), abs=1e-12)


@given(binary())
def test_reversed_score_gives_the_complement(data: Binary) -> None:
    assert roc_auc(data.event, data.first) + roc_auc(data.event, -data.first) == pytest.approx(1.0, abs=1e-14)


@given(binary(), seeds)
def test_monotone_transforms_and_row_order_do_not_matter(data: Binary, seed: int) -> None:
    order = permutation(len(data.event), seed)
    one = auc_estimate(data.event, data.first, clusters=data.patient)
    two = auc_estimate(data.event[order], np.arctan(data.first[order] / 1000), clusters=data.patient[order])
    np.testing.assert_allclose([one.value, one.se], [two.value, two.se], rtol=1e-9, atol=1e-12)


@given(binary())
def test_clusters_of_one_row_change_nothing(data: Binary) -> None:
    scores = np.stack([data.first, data.second])
    plain_form = delong_covariance(data.event, scores)[1]
    clustered = delong_covariance(data.event, scores, clusters=np.arange(len(data.event))[::-1])[1]
    np.testing.assert_allclose(plain_form, clustered, rtol=1e-12, atol=1e-15)


@given(binary())
def test_clustered_covariance_is_obuchowskis(data: Binary) -> None:
    positive = data.event == 1
    if min(len(np.unique(data.patient[positive])), len(np.unique(data.patient[~positive]))) < 2:
        return
    found = delong_covariance(data.event, np.stack([data.first, data.second]), clusters=data.patient)[1]
    expected = plain.clustered_covariance(data.event, [data.first, data.second], data.patient)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


@given(binary())
def test_a_model_against_itself_differs_by_nothing(data: Binary) -> None:
    for clusters in (None, np.arange(len(data.event)) // 2):
        test = delong_test(data.event, data.first, 2 * data.first + 1, clusters=clusters)
        assert test.difference == 0
        if not np.isnan(test.p):
            assert (test.statistic, test.p, test.lower, test.upper) == (0.0, 1.0, 0.0, 0.0)


@given(binary())
def test_test_and_covariance_tell_the_same(data: Binary) -> None:
    auc, covariance = delong_covariance(data.event, np.stack([data.first, data.second]), clusters=data.patient)
    test = delong_test(data.event, data.first, data.second, clusters=data.patient)
    assert test.difference == pytest.approx(auc[0] - auc[1], abs=1e-15)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    if not variance > 1e-12:
        return
    assert test.statistic == pytest.approx((auc[0] - auc[1]) / np.sqrt(variance), rel=1e-6, abs=1e-9)


def test_repeating_every_row_in_its_patient_leaves_the_clustered_variance() -> None:
    rng = np.random.default_rng(3)
    event, score = rng.integers(0, 2, 60), rng.normal(size=60)
    once = auc_estimate(event, score)
    twice = auc_estimate(np.tile(event, 2), np.tile(score, 2), clusters=np.tile(np.arange(60), 2))
    assert twice.se == pytest.approx(once.se, rel=1e-12)
    assert twice.method == "DeLong, clustered"
    assert auc_estimate(np.tile(event, 2), np.tile(score, 2)).se < 0.75 * once.se


def test_a_constant_score_is_a_coin() -> None:
    estimate = auc_estimate([0, 1, 0, 1], [1.0, 1.0, 1.0, 1.0])
    assert (estimate.value, estimate.se) == (0.5, 0.0)


def test_a_perfect_score_has_a_degenerate_wald_interval_and_no_logit_interval() -> None:
    event, score = [0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0]
    wald, logit = (auc_estimate(event, score, interval=kind) for kind in ("wald", "logit"))
    assert (wald.value, wald.lower, wald.upper) == (1.0, 1.0, 1.0)
    assert np.isnan([logit.lower, logit.upper]).all()


def test_the_logit_interval_stays_inside() -> None:
    rng = np.random.default_rng(0)
    event = np.repeat([0, 1], 8)
    score = event * 2.0 + rng.normal(size=16)
    wald, logit = (auc_estimate(event, score, interval=kind) for kind in ("wald", "logit"))
    assert wald.upper == 1.0
    assert 0 < logit.lower < logit.value < logit.upper < 1


def test_a_difference_without_variance_is_not_judged() -> None:
    test = delong_test([0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0])
    assert test.difference == 0.5
    assert np.isnan([test.statistic, test.p]).all()


def test_one_relapse_gives_an_auc_without_interval() -> None:
    estimate = auc_estimate([0, 0, 1], [1.0, 2.0, 3.0])
    assert estimate.value == 1.0
    assert np.isnan([estimate.se, estimate.lower, estimate.upper]).all()
    all_in_one_patient = auc_estimate([0, 0, 1, 1], [1.0, 2.0, 3.0, 0.0], clusters=[1, 2, 3, 3])
    assert np.isnan(all_in_one_patient.se)


def test_samples_compared_with_themselves_unpaired() -> None:
    test = delong_test_unpaired([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0], [0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0], reference="t")
    assert (test.statistic, test.p) == (0.0, 1.0)


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="event: 3 of 3 rows have the event"):
        roc_auc([1, 1, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="second: 2 values, but 3 rows elsewhere"):
        delong_test([0, 1, 1], [1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="scores: expected two dimensions"):
        delong_covariance([0, 1], [1.0, 2.0])
    with pytest.raises(ValueError, match="level: 95 is not allowed"):
        auc_estimate([0, 1], [1.0, 2.0], level=95)
