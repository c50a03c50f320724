"""The ranking machine is the library's: the same coefficients, from the same steps."""

import numpy as np
import pytest
from sksurv.svm import FastSurvivalSVM

from relapse.candidates import pairs
from relapse.candidates.pairs import RankingMachine


def _rows(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    X = rng.normal(size=(size, 4))
    time = np.ceil(20 * np.exp(-X[:, 0] + 0.5 * rng.normal(size=size)))
    event = rng.random(size) < 0.5
    return X, np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])


@pytest.mark.parametrize("alpha", [1e-4, 0.05])
@pytest.mark.parametrize("steps", [2, 30])
def test_as_the_library_ranks(alpha: float, steps: int) -> None:
    X, y = _rows(90)
    settings = {"alpha": alpha, "rank_ratio": 1.0, "max_iter": steps, "random_state": 1}
    with pytest.warns() if steps == 2 else _quiet():
        ours = RankingMachine(**settings).fit(X, y)
        theirs = FastSurvivalSVM(**settings).fit(X, y)
    assert ours.coef_ == pytest.approx(theirs.coef_, rel=1e-6)
    assert ours.n_iter_ == theirs.n_iter_


def test_with_a_regression_beside_the_ranking() -> None:
    X, y = _rows(90)
    settings = {"alpha": 0.05, "rank_ratio": 0.6, "fit_intercept": True, "max_iter": 100, "random_state": 1}
    ours, theirs = RankingMachine(**settings).fit(X, y), FastSurvivalSVM(**settings).fit(X, y)
    assert ours.coef_ == pytest.approx(theirs.coef_, rel=1e-4)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-4)


def test_with_many_patients_the_library_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = _rows(90)
    few = RankingMachine(random_state=1).fit(X, y).coef_
    monkeypatch.setattr(pairs, "MOST", 80)
    monkeypatch.setattr(pairs, "_Pairs", None)
    assert RankingMachine(random_state=1).fit(X, y).coef_ == pytest.approx(few, rel=1e-6)


def _quiet():
    from contextlib import nullcontext

    return nullcontext()
