"""The ridge regression that a head starts from is one, and finds what small random weights do not."""

import numpy as np
import pytest

from relapse.candidates.networks.losses import BINARY, COX
from relapse.imaging.encoder.asking import predict_heads
from relapse.imaging.encoder.beginning import ridge
from relapse.imaging.encoder.head import start
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, fit_heads

from .making import encoder, maps


def drawn(count: int, signal: np.ndarray, seed: int = 0) -> np.ndarray:
    target = np.empty(count, dtype=[("event", bool), ("time", np.float64)])
    rng = np.random.default_rng(seed)
    target["time"], target["event"] = rng.exponential(size=count) * np.exp(-signal), rng.random(count) < 0.6
    return target


def test_with_a_wide_prior_it_is_a_cox_model() -> None:
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    seen = np.random.default_rng(0).standard_normal((300, 3)) * [1, 2, 0.5] + 4
    target = drawn(300, seen @ [0.5, -0.3, 1.0])
    found = ridge(seen, None, target, COX, expected=1000.0)
    np.testing.assert_allclose(found[:3], CoxPHSurvivalAnalysis().fit(seen, target).coef_, atol=1e-3)


def test_it_is_the_ridge_of_scikit_learn_on_log_odds() -> None:
    from sklearn.linear_model import LogisticRegression

    seen = np.random.default_rng(0).standard_normal((200, 50))
    label = (np.random.default_rng(1).random(200) < 1 / (1 + np.exp(-seen[:, 0]))).astype(int)
    width = seen.var(axis=0).sum()
    theirs = LogisticRegression(C=1 / width, max_iter=1000, tol=1e-8).fit(seen - seen.mean(axis=0), label)
    found = ridge(seen, None, label, BINARY, expected=1.0)
    np.testing.assert_allclose(found[:50], theirs.coef_[0], atol=2e-3)


def test_covariates_are_learnt_beside_pictures() -> None:
    rng = np.random.default_rng(0)
    seen, known = rng.standard_normal((400, 20)), rng.standard_normal((400, 2))
    found = ridge(seen, known, drawn(400, known @ [0.9, -0.5]), COX, expected=0.1)
    assert found.shape == (23,)
    np.testing.assert_allclose(found[-2:], [0.9, -0.5], atol=0.15)


@pytest.mark.parametrize("count", [12, 40])
def test_pictures_that_are_all_alike_tell_nothing(count: int) -> None:
    found = ridge(np.ones((count, 5)), None, drawn(count, np.zeros(count)), COX, expected=1.0)
    np.testing.assert_allclose(found, 0, atol=1e-8)


def test_a_head_starts_from_it_and_stays_there_where_no_epoch_is_better() -> None:
    made = encoder()
    some = maps(160, channels=start(made)[1].means[0].size)
    signal = np.random.default_rng(3).standard_normal(160)
    some.values[..., 0] += signal[:, None, None, None].astype(np.float32)
    train = np.arange(120)
    job = HeadTask(train, drawn(160, 1.5 * signal)[train], train % 4 == 0, 0)
    (begun,), (spoilt,) = (
        fit_heads(some, start(made), COX, [job], schedule)
        for schedule in (HeadSchedule(epochs=0), HeadSchedule(epochs=3, learning_rate=10.0))
    )
    for mine, theirs in zip(begun, spoilt, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(begun[:-2], start(made)[0][:-2], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    found = predict_heads(some, start(made)[1], [begun], np.arange(120, 160))[0]
    assert np.corrcoef(found, signal[120:])[0, 1] > 0.5
