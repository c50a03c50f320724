"""Simulated type-I error at 5% of a cross-fitted score beside covariates, and of the ways that do not hold."""

import numpy as np
import pytest

from relapse.evaluation.statistics.added.likelihood_ratio import AddedScore, likelihood_ratio_test

SIMULATIONS = 600


def _ridge(block: np.ndarray, event: np.ndarray) -> np.ndarray:
    return np.linalg.solve(block.T @ block + len(block) * np.eye(block.shape[1]), block.T @ (event - event.mean()))


def _nothing_to_find(seed: int) -> tuple[AddedScore, AddedScore]:
    """A cross-fitted score of 30 useless features in 150 patients, and one learnt from the patients it is added for."""
    rng = np.random.default_rng(seed)
    clinical, block = rng.normal(size=(150, 2)), rng.normal(size=(150, 30))
    event = rng.random(150) < 1 / (1 + np.exp(1 - clinical.sum(axis=1) / 2))
    fold, score = rng.permutation(150) % 5, np.empty(150)
    for part in range(5):
        held = fold == part
        score[held] = block[held] @ _ridge(block[~held], event[~held])
    seen = block @ _ridge(block, event)
    return likelihood_ratio_test(clinical, score, event), likelihood_ratio_test(clinical, seen, event)


@pytest.mark.slow
def test_a_cross_fitted_score_needs_the_halved_statistic() -> None:
    found = [_nothing_to_find(seed) for seed in range(SIMULATIONS)]
    cross_fitted, seen = zip(*found, strict=True)

    def rejected(p: list[float]) -> float:
        return float(np.mean(np.array(p) < 0.05))

    halved = rejected([test.p_cross_fitted for test in cross_fitted])
    one_sided, two_sided = (
        rejected([test.p_one_sided for test in cross_fitted]),
        rejected([test.p for test in cross_fitted]),
    )
    naive = rejected([test.p for test in seen])
    spread = float(np.var([test.z for test in cross_fitted]))
    print(f"{halved=:.3f} {one_sided=:.3f} {two_sided=:.3f} {naive=:.3f} {spread=:.2f}")
    assert halved <= 0.065
    assert 1.6 < spread < 2.4
    assert one_sided > 0.075
    assert two_sided > 0.1
    assert naive > 0.95
