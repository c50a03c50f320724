"""Whether models of different folds rest on the same features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stability:
    """Agreement of the folds on the order of the features.

    ``agreement`` is Kendall's W over the features that any fold's model uses: 1 if all folds order them alike, near 0
    if there is no more agreement than by chance, NaN for fewer than two. ``best`` and ``worst`` are the ranks
    (features,) that each feature takes among the folds, 1 the most important.
    """

    agreement: float
    best: tuple[float, ...]
    worst: tuple[float, ...]


def stability(importance: Array) -> Stability:
    """Stability of an importance (folds, features), higher = more important.

    Kendall MG, Babington Smith B (1939), Ann Math Stat 10:275-287, with their correction for ties.
    """
    ranks = rankdata(-importance, axis=1)
    used = (importance != 0).any(axis=0)
    return Stability(
        _kendalls_w(rankdata(-importance[:, used], axis=1)),
        tuple(map(float, ranks.min(axis=0))),
        tuple(map(float, ranks.max(axis=0))),
    )


def _kendalls_w(ranks: Array) -> float:
    judges, items = ranks.shape
    if judges < 2 or items < 2:
        return float("nan")
    spread = float(((ranks.sum(axis=0) - judges * (items + 1) / 2) ** 2).sum())
    counts = [np.unique(row, return_counts=True)[1].astype(np.float64) for row in ranks]
    ties = sum(float((count**3 - count).sum()) for count in counts)
    most = judges**2 * (items**3 - items) - judges * ties
    return 12.0 * spread / most if most > 0 else float("nan")
