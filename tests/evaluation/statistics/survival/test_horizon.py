"""Accuracy at a horizon: properties, other packages, the standard errors, and edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sksurv.metrics import brier_score as sksurv_brier
from sksurv.metrics import integrated_brier_score

from relapse.evaluation.statistics.decisions.classification import brier_score
from relapse.evaluation.statistics.ranking.binary import auc_estimate, roc_auc
from relapse.evaluation.statistics.survival.horizon import (
    integrated_brier,
    ipcw_brier,
    ipcw_brier_test,
    prediction_accuracy_index,
    time_dependent_auc,
    time_dependent_auc_test,
)
from relapse.evaluation.statistics.survival.landmark import landmark

from ..strategies import Survival, permutation, seeds, survival

horizons = st.sampled_from([1.0, 2.0, 5.0, 200.0])


def expit(score: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-score / 1000))


@given(survival(), horizons)
def test_without_censoring_these_are_the_binary_statistics(data: Survival, horizon: float) -> None:
    event = np.ones(len(data.time))
    relapsed = data.time <= horizon
    risk = expit(data.first)
    if data.time.max() >= horizon:
        found = ipcw_brier(data.time, event, risk, horizon)
        assert found.value == pytest.approx(brier_score(relapsed, risk), abs=1e-12)
    if 1 < relapsed.sum() < len(relapsed) - 1:
        auc = time_dependent_auc(data.time, event, data.first, horizon)
        assert auc.value == pytest.approx(roc_auc(relapsed, data.first), abs=1e-12)


def test_without_censoring_the_standard_error_is_delongs() -> None:
    rng = np.random.default_rng(0)
    time = rng.exponential(size=500)
    score = -time + rng.normal(size=500)
    auc = time_dependent_auc(time, np.ones(500), score, 1.0)
    assert auc.se == pytest.approx(auc_estimate(time <= 1.0, score).se, rel=0.01)


@given(survival(), horizons, seeds)
def test_row_order_and_monotone_transforms_do_not_matter(data: Survival, horizon: float, seed: int) -> None:
    order = permutation(len(data.time), seed)
    one = time_dependent_auc(data.time, data.event, data.first, horizon, clusters=data.patient)
    shuffled = [column[order] for column in (data.time, data.event, data.first * 3 + 1, data.patient)]
    two = time_dependent_auc(*shuffled[:3], horizon, clusters=shuffled[3])
    np.testing.assert_allclose([one.value, one.se], [two.value, two.se], rtol=1e-8, atol=1e-9)


@given(survival(), horizons)
def test_a_model_against_itself_differs_by_nothing(data: Survival, horizon: float) -> None:
    if data.time.max() < horizon:
        return
    brier = ipcw_brier_test(data.time, data.event, expit(data.first), expit(data.first), horizon)
    assert (brier.difference, brier.statistic, brier.p) == (0.0, 0.0, 1.0)
    auc = time_dependent_auc_test(data.time, data.event, data.first, data.first / 2, horizon)
    assert np.isnan(auc.difference) or (auc.difference, auc.p) == (0.0, 1.0)


@given(survival(), horizons)
def test_influence_sums_to_nothing_and_weights_to_the_rows(data: Survival, horizon: float) -> None:
    place = landmark(data.time, data.event, horizon)
    if place.control.any():
        assert place.weight.sum() == pytest.approx(len(data.time))
    share = place.censoring_share(place.weight, data.time)
    assert share.sum() == pytest.approx(0.0, abs=1e-9)


def test_repeating_every_row_in_its_patient_hardly_moves_the_clustered_error() -> None:
    rng = np.random.default_rng(1)
    relapse, censoring = rng.exponential(size=200), rng.exponential(2.0, size=200)
    time, event, risk = np.minimum(relapse, censoring), relapse <= censoring, rng.random(200)
    twice = [np.tile(column, 2) for column in (time, event, risk)]
    for statistic in (time_dependent_auc, ipcw_brier):
        once = statistic(time, event, risk, 1.0)
        clustered = statistic(*twice, 1.0, clusters=np.tile(np.arange(200), 2))
        assert clustered.value == pytest.approx(once.value, rel=1e-9)
        assert clustered.se == pytest.approx(once.se, rel=0.01)
        assert statistic(*twice, 1.0).se < 0.8 * once.se


def test_brier_agrees_with_scikit_survival_without_ties() -> None:
    rng = np.random.default_rng(2)
    relapse, censoring = rng.exponential(size=300), rng.exponential(2.0, size=300)
    time, event = np.minimum(relapse, censoring), relapse <= censoring
    at = np.array([0.3, 0.6, 1.0])
    risk = 1 - np.exp(-at * rng.uniform(0.5, 1.5, size=(300, 1)))
    outcome = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    ours = [ipcw_brier(time, event, risk[:, column], horizon).value for column, horizon in enumerate(at)]
    # scikit-survival looks the weight of a case up at its time, R just before: see docs/statistics.md
    np.testing.assert_allclose(ours, sksurv_brier(outcome, outcome, 1 - risk, at)[1], rtol=1e-3)
    theirs = integrated_brier_score(outcome, outcome, 1 - risk, at)
    assert integrated_brier(time, event, risk, at) == pytest.approx(theirs, rel=1e-3)


def test_an_event_at_the_horizon_is_a_case_and_a_censoring_at_it_is_neither() -> None:
    place = landmark([1.0, 2.0, 2.0, 3.0], [1, 1, 0, 1], 2.0)
    assert place.case.tolist() == [True, True, False, False]
    assert place.control.tolist() == [False, False, False, True]


def test_without_cases_or_controls_there_is_no_auc() -> None:
    time, event, score = [1.0, 2.0, 3.0], [0, 1, 1], [0.1, 0.2, 0.3]
    for horizon in (1.5, 3.0):
        estimate = time_dependent_auc(time, event, score, horizon)
        assert np.isnan([estimate.value, estimate.se, estimate.lower]).all()
        assert np.isnan(time_dependent_auc_test(time, event, score, score[::-1], horizon).p)


def test_a_horizon_that_nobody_reached_gives_no_brier_score() -> None:
    time, event, risk = [1.0, 2.0, 3.0], [0, 1, 1], [0.1, 0.2, 0.3]
    assert np.isnan(ipcw_brier(time, event, risk, 4.0).value)
    assert np.isnan(prediction_accuracy_index(time, event, risk, 4.0))


def test_index_of_prediction_accuracy_at_its_ends() -> None:
    time, event = np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4)
    assert prediction_accuracy_index(time, event, (time <= 2.0).astype(float), 2.0) == 1.0
    assert prediction_accuracy_index(time, event, np.full(4, 0.5), 2.0) == pytest.approx(0.0)
    assert np.isnan(prediction_accuracy_index(time, event, np.zeros(4), 0.5))


def test_impossible_arguments_are_refused() -> None:
    time, event, risk = [1.0, 2.0], [0, 1], [0.1, 0.2]
    with pytest.raises(ValueError, match="horizon: -1 is not allowed"):
        ipcw_brier(time, event, risk, -1)
    with pytest.raises(ValueError, match=r"second: 1 of 2 values lie outside \[0, 1\]"):
        ipcw_brier_test(time, event, risk, [0.1, 2.0], 1.0)
    with pytest.raises(ValueError, match="horizons: 1 given; at least two"):
        integrated_brier(time, event, [[0.1], [0.2]], [1.0])
    with pytest.raises(ValueError, match=r"risk: shape \(2, 1\), but 2 horizons"):
        integrated_brier(time, event, [[0.1], [0.2]], [1.0, 2.0])
