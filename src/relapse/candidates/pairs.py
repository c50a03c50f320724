"""scikit-survival's ranking machine, with its pairs of patients counted by whole arrays.

Its own counter (0.28) goes through the patients one by one, in every step, and keeps a tree of them, where nine tenths
of a fit were spent (``benchmarks/training.py``). Objective, optimiser and coefficients are the library's.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sksurv.svm import FastSurvivalSVM
from sksurv.svm.survival_svm import Counter, LargeScaleOptimizer

Array = NDArray[np.float64]

#: Up to so many patients a matrix of their pairs takes less time than halves.
MOST = 600


class RankingMachine(FastSurvivalSVM):
    """A linear machine that ranks patients by their time to the event."""

    def _create_optimizer(self, X: Array, y: tuple[Array, NDArray[np.int_]], status: NDArray[np.bool_]) -> Any:
        time, ranks = y
        counter = (_Pairs if len(X) <= MOST else _Halves)(X, ranks, status, time)
        return LargeScaleOptimizer(self.alpha, self.rank_ratio, self.fit_intercept, counter)


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


class _Halves(Counter):
    """The same pairs, of so many patients that a matrix of them takes longer.

    Those sorted by time are halved again and again; where two part, the one followed for longer is in the later half.
    Each half is kept in order of score, so that those of it who count stand side by side, and the sum of their values
    is a difference of two running sums. From where to where is carried down by counting, as in a wavelet tree (Navarro
    G (2014), J Discrete Algorithms 25:2-20); it hangs on the coefficients alone, and serves all steps that ask with
    the same.

    Ranks of time ``y`` (n,) are 0 to n - 1, each once, as the machine makes them.
    """

    def __init__(self, x: Array, y: NDArray[np.int_], status: NDArray[np.bool_], time: Array) -> None:
        super().__init__(x, y, status, time)
        self.levels: list[_Level] = []

    def update_sort_order(self, w: Array) -> Array:
        """Look up which pairs count with coefficients ``w``; the scores (n,)."""
        scores = np.dot(self.x, w)
        order = np.argsort(scores, kind="stable")
        # Those followed for longer count below a score 1 higher, the others above a score 1 lower.
        until = np.searchsorted(scores[order], scores + 1, side="left")
        since = np.searchsorted(scores[order], scores - 1, side="right")
        self.levels = []
        everyone = np.arange(len(scores))
        for size in reversed(range((len(scores) - 1).bit_length())):
            cut = _Cut(self.y, order, size)
            order = cut.order
            until_earlier, until_later = cut.places(until, everyone)
            since_earlier, since_later = cut.places(since, everyone)
            earlier, later = np.flatnonzero(self.status & ~cut.later), np.flatnonzero(cut.later)
            longer = _Range(earlier, cut.middle[earlier], until_later[earlier])
            shorter = _Range(later, since_earlier[later], cut.middle[later])
            self.levels.append(_Level(order, longer, shorter))
            until = np.where(cut.later, until_later, until_earlier)
            since = np.where(cut.later, since_later, since_earlier)
        partners, of_partners = self._sums(np.ones(len(scores)))
        self.partners, self.of_partners = partners.astype(np.int64), of_partners.astype(np.int64)
        return np.asarray(scores)

    def calculate(self, v: Array) -> tuple[NDArray[np.int_], Array, NDArray[np.int_], Array]:
        """As :meth:`_Pairs.calculate`."""
        with_event, followed = self._sums(np.dot(self.x, v))
        return self.partners, with_event, self.of_partners, followed

    def _sums(self, values: Array) -> tuple[Array, Array]:
        """Sums (n,) of the ``values`` (n,) of each patient's partners, as the one with the event and as the other."""
        with_event, followed = np.zeros(len(values)), np.zeros(len(values))
        of_events = np.where(self.status, values, 0.0)
        for level in self.levels:
            level.longer.add(values[level.order], with_event)
            level.shorter.add(of_events[level.order], followed)
        return with_event, followed


class _Cut:
    """Groups of 2 ** (size + 1) patients, each in order of score, cut into halves by their rank of time.

    ``later`` (n,) says who stands in a later half, ``middle`` (n,) where that of her group begins; ``order`` (n,) are
    the patients by half, each half in order of score.
    """

    def __init__(self, rank: NDArray[np.int_], order: NDArray[np.int_], size: int) -> None:
        self.later = (rank >> size) & 1 == 1
        self._start = (rank >> (size + 1)) << (size + 1)
        self.middle = np.minimum(self._start + (1 << size), len(rank))
        self._passed = np.concatenate([[0], np.cumsum(self.later[order])])
        in_earlier, in_later = self.places(np.arange(len(rank)), order)
        self.order = np.empty_like(order)
        self.order[np.where(self.later[order], in_later, in_earlier)] = order

    def places(self, places: NDArray[np.int_], of: NDArray[np.int_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Places (k,) in the groups of patients ``of`` (k,), as places in the earlier and in the later halves."""
        passed = self._passed[places] - self._passed[self._start[of]]
        return places - passed, self.middle[of] + passed


class _Range(NamedTuple):
    """Patients (k,), and from where to before where their partners stand."""

    rows: NDArray[np.int_]
    first: NDArray[np.int_]
    end: NDArray[np.int_]

    def add(self, values: Array, sums: Array) -> None:
        """Add to the ``sums`` (n,) of the patients those of their partners' ``values`` (n, in the partners' order)."""
        running = np.concatenate([[0.0], np.cumsum(values)])
        sums[self.rows] += running[self.end] - running[self.first]


class _Level(NamedTuple):
    """All halves of a size, and in them who is followed for longer, and for shorter, than those of the half beside."""

    order: NDArray[np.int_]
    longer: _Range
    shorter: _Range
