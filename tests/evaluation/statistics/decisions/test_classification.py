"""Threshold metrics, average precision, Brier score and log loss, with and without weights."""

import numpy as np
import pytest
from hypothesis import given
from sklearn import metrics

from relapse.evaluation.statistics.decisions.classification import (
    average_precision,
    brier_score,
    classification_metrics,
    log_loss,
    scaled_brier_score,
)

from ..strategies import Binary, binary


@given(binary())
def test_metrics_agree_with_scikit_learn(data: Binary) -> None:
    called = data.first > 0
    found = classification_metrics(data.event, called)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(data.event, called))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(data.event, called))
    assert found.f1 == pytest.approx(metrics.f1_score(data.event, called, zero_division=0))
    assert found.sensitivity == pytest.approx(metrics.recall_score(data.event, called))
    if 0 < called.sum() < len(called):
        assert found.mcc == pytest.approx(metrics.matthews_corrcoef(data.event, called))
        assert found.ppv == pytest.approx(metrics.precision_score(data.event, called))
        assert found.npv == pytest.approx(metrics.precision_score(1 - data.event, ~called))
    theirs = metrics.average_precision_score(data.event, data.first)
    assert average_precision(data.event, data.first) == pytest.approx(theirs)


@given(binary())
def test_weights_count_rows(data: Binary) -> None:
    counts = np.stack([data.patient, np.ones_like(data.patient)])
    repeated = np.repeat(np.arange(len(data.event)), data.patient)
    risk = 1 / (1 + np.exp(-data.first / 2000))
    weighted = classification_metrics(data.event, data.first > 0, weights=counts)
    unweighted = classification_metrics(data.event, data.first > 0)
    assert weighted.mcc.shape == (2,)
    np.testing.assert_allclose(weighted.mcc[1], unweighted.mcc)
    if not repeated.size:
        assert np.isnan(weighted.accuracy[0])
        return
    event, first, risks = data.event[repeated], data.first[repeated], risk[repeated]
    by_rows = classification_metrics(event, first > 0)
    np.testing.assert_allclose(weighted.mcc[0], by_rows.mcc)
    np.testing.assert_allclose(weighted.npv[0], by_rows.npv)
    np.testing.assert_allclose(
        average_precision(data.event, data.first, weights=counts)[0], average_precision(event, first)
    )
    np.testing.assert_allclose(
        brier_score(data.event, risk, counts), [brier_score(event, risks), brier_score(data.event, risk)]
    )
    np.testing.assert_allclose(log_loss(data.event, risk, counts)[0], log_loss(event, risks))


def test_empty_denominators_are_missing() -> None:
    nobody = classification_metrics([0, 1, 0], [0, 0, 0])
    assert np.isnan([nobody.ppv, nobody.mcc]).all()
    assert (nobody.sensitivity, nobody.specificity, nobody.f1) == (0.0, 1.0, 0.0)
    no_relapse = classification_metrics([0, 0], [0, 1])
    assert np.isnan([no_relapse.sensitivity, no_relapse.balanced_accuracy]).all()
    assert no_relapse.specificity == 0.5
    assert np.isnan(average_precision([0, 0], [1.0, 2.0]))


def test_brier_of_the_prevalence_is_scaled_to_zero() -> None:
    event = np.array([1, 0, 0, 0])
    assert scaled_brier_score(event, np.full(4, 0.25)) == pytest.approx(0.0)
    assert scaled_brier_score(event, event) == 1.0
    assert np.isnan(scaled_brier_score(np.zeros(4), np.zeros(4)))


def test_log_loss_of_an_impossible_outcome_is_infinite_unless_it_weighs_nothing() -> None:
    assert log_loss([1, 0], [0.0, 0.5]) == float("inf")
    assert log_loss([1, 0], [0.0, 0.5], [0.0, 1.0]) == pytest.approx(np.log(2))
    assert log_loss([1, 0], [1.0, 0.0]) == 0.0


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="positive: 2 values, but 3 rows elsewhere"):
        classification_metrics([0, 1, 0], [0, 1])
    with pytest.raises(ValueError, match=r"weights: shape \(2,\), but 3 rows elsewhere"):
        classification_metrics([0, 1, 0], [0, 1, 1], weights=[1, 2])
    with pytest.raises(ValueError, match="weights: every weight must be finite and not negative"):
        brier_score([0, 1], [0.1, 0.2], [1, -1])
    with pytest.raises(ValueError, match=r"risk: 1 of 2 values lie outside \[0, 1\]"):
        log_loss([0, 1], [0.1, 1.2])
