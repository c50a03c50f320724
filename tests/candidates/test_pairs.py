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


@pytest.mark.parametrize("size", [2, 3, 64, 65, 301])
def test_of_many_patients_the_same_pairs_are_counted(size: int) -> None:
    rng = np.random.default_rng(size)
    x, w, v = rng.normal(size=(size, 3)), rng.normal(size=3), rng.normal(size=3)
    # Scores a whole margin apart, and equal ones.
    x[: size // 2] = np.round(x[: size // 2])
    rank, event = rng.permutation(size), rng.random(size) < 0.6
    few, many = (counter(x, rank, event, None) for counter in (pairs._Pairs, pairs._Halves))
    for coefficients in (np.zeros(3), np.array([1.0, 0.0, 0.0]), w):
        assert np.array_equal(few.update_sort_order(coefficients), many.update_sort_order(coefficients))
        for found, expected in zip(many.calculate(v), few.calculate(v), strict=True):
            assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
            assert found.dtype == expected.dtype


def test_many_patients_are_ranked_as_few_and_as_the_library_ranks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = _rows(90)
    few = RankingMachine(random_state=1).fit(X, y)
    monkeypatch.setattr(pairs, "MOST", 80)
    monkeypatch.setattr(pairs, "_Pairs", None)
    many, theirs = RankingMachine(random_state=1).fit(X, y), FastSurvivalSVM(random_state=1).fit(X, y)
    assert many.coef_ == pytest.approx(few.coef_, rel=1e-6)
    assert many.coef_ == pytest.approx(theirs.coef_, rel=1e-6)
    assert many.n_iter_ == theirs.n_iter_


def _quiet():
    from contextlib import nullcontext

    return nullcontext()
