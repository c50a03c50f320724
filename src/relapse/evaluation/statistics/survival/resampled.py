"""Kaplan-Meier curves of many resamples at once, in the places where they step."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.evaluation.statistics.arrays import BoolArray, FloatArray
from relapse.evaluation.statistics.ranking.counting import running_sums


class ResampledCurve:
    """A Kaplan-Meier curve of ``rows``, up to a time, that can be drawn in any resample of them.

    Parameters
    ----------
    time, event
        (n,)
    upto
        The curve ends here; in the unit of ``time``.
    of_censoring
        Whether it is the curve of staying uncensored. At equal times events come before censorings, so that those
        with the event are no longer at risk of being censored (as in R's ``prodlim(reverse=TRUE)``).
    rows
        Whom the curve is of (n,); everybody if left out.

    Attributes
    ----------
    moments
        (m,) times at which it can step, ascending.
    """

    def __init__(
        self,
        time: FloatArray,
        event: BoolArray,
        *,
        upto: float,
        of_censoring: bool = False,
        rows: BoolArray | None = None,
    ) -> None:
        everybody = np.ones(time.size, dtype=np.bool_) if rows is None else rows
        self._rows = np.flatnonzero(everybody)
        leaving = np.flatnonzero(everybody & (time <= upto))
        self._leaving = leaving[np.lexsort((~event[leaving], time[leaving]))]
        moment, falls = time[self._leaving], event[self._leaving] ^ of_censoring
        places = np.flatnonzero(falls)
        self.moments, first = np.unique(moment[places], return_index=True)
        # Falls at one time stand side by side.
        self._first = places[first]
        self._last = self._first + np.diff(np.append(first, places.size))

    def __call__(self, counts: NDArray[Any]) -> FloatArray:
        """Draw the curve: (b, m + 1), 1 and then its value from each moment on, for row counts (b, n).

        It stays where it is at a time at which nobody is at risk.
        """
        gone = running_sums(np.take(counts, self._leaving, axis=1).astype(np.int32))
        total = np.take(counts, self._rows, axis=1).sum(axis=1, dtype=np.int32)
        before = np.take(gone, self._first, axis=1)
        at_risk, falls = total[:, None] - before, np.take(gone, self._last, axis=1) - before
        values = np.ones((len(counts), self.moments.size + 1))
        share = np.divide(falls, at_risk, out=np.zeros(at_risk.shape), where=at_risk > 0)
        np.cumprod(1 - share, axis=1, out=values[:, 1:])
        return values
