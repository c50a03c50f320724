"""scikit-survival's ranking machine, with its pairs of patients counted by matrix products where they are few.

Its own counter (0.28) goes through the patients one by one and keeps a tree of them, which pays from some thousand;
with hundreds, nine tenths of a fit were spent there (``benchmarks/training.py``). Objective, optimiser and coefficients
are the library's.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sksurv.svm import FastSurvivalSVM
from sksurv.svm.survival_svm import Counter, LargeScaleOptimizer

Array = NDArray[np.float64]

#: Up to so many patients: a matrix of at most 32 MB.
MOST = 2000


class RankingMachine(FastSurvivalSVM):
    """A linear machine that ranks patients by their time to the event."""

    def _create_optimizer(self, X: Array, y: tuple[Array, NDArray[np.int_]], status: NDArray[np.bool_]) -> Any:
        if len(X) > MOST:
            return super()._create_optimizer(X, y, status)
        time, ranks = y
        return LargeScaleOptimizer(self.alpha, self.rank_ratio, self.fit_intercept, _Pairs(X, ranks, status, time))


class _Pairs(Counter):
    """All pairs of a patient with an event and one followed for longer.

    ``close`` (events, n) is 1 for those that the machine does not part by a margin of 1, which alone count.
    """

    def __init__(self, x: Array, y: NDArray[np.int_], status: NDArray[np.bool_], time: Array) -> None:
        super().__init__(x, y, status, time)
        self.events = np.flatnonzero(status)
        self.longer = y[None, :] > y[self.events, None]

    def update_sort_order(self, w: Array) -> Array:
        """Look up which pairs count with coefficients ``w``; the scores (n,)."""
        scores = np.dot(self.x, w)
        self.close = (self.longer & (scores[None, :] - scores[self.events, None] < 1)).astype(np.float64)
        self.partners = np.zeros(len(scores), dtype=np.int64)
        self.partners[self.events] = self.close.sum(axis=1)
        self.of_partners = self.close.sum(axis=0).astype(np.int64)
        return np.asarray(scores)

    def calculate(self, v: Array) -> tuple[NDArray[np.int_], Array, NDArray[np.int_], Array]:
        """What each patient (n,) is in, first as the one with the event, then as the one followed for longer.

        For either the number of partners, and the sum of their values ``x @ v``.
        """
        values = np.dot(self.x, v)
        with_event = np.zeros(len(values))
        with_event[self.events] = self.close @ values
        return self.partners, with_event, self.of_partners, values[self.events] @ self.close
