"""Comparable pairs of rows in right-censored follow-up, counted row by row.

A pair is comparable if one row relapsed, and the other one was still followed without relapse after that time; a
censoring at the very time of a relapse is comparable with it, two relapses at one time are not. A pair is concordant
if the row that relapsed has the higher score.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import BoolArray, FloatArray, IntArray, follow_up, numbers
from relapse.evaluation.statistics.ranking.counting import arrange, dense_rank, partners


@dataclass(frozen=True)
class PairCounts:
    """Comparable pairs of every row, and pairs in total.

    Attributes
    ----------
    concordant, tied, comparable : int array (n,)
        Pairs in which the row takes part: concordant, tied in score, and all comparable ones.
    as_first : tuple of int arrays (n,)
        The same three, counting only pairs in which the row is the one that relapsed first.
    """

    concordant: IntArray
    tied: IntArray
    comparable: IntArray
    as_first: tuple[IntArray, IntArray, IntArray]

    @cached_property
    def signed(self) -> IntArray:
        """Concordant minus discordant pairs of each row, an int array (n,)."""
        return 2 * self.concordant + self.tied - self.comparable

    @cached_property
    def index(self) -> float:
        """The C-index; NaN where no pair is comparable."""
        pairs = int(self.comparable.sum())
        return (int(self.concordant.sum()) + int(self.tied.sum()) / 2) / pairs if pairs else float("nan")

    @cached_property
    def influence(self) -> FloatArray:
        """Derivative of the C-index by the weight of each row, a float array (n,) that sums to 0."""
        pairs = int(self.comparable.sum()) / 2
        own = self.concordant + self.tied / 2 - self.index * self.comparable
        return own / pairs if pairs else np.full(own.size, np.nan)


def moments(time: npt.ArrayLike, event: npt.ArrayLike) -> tuple[IntArray, BoolArray]:
    """Rank follow-up times such that a pair is comparable exactly if the relapse has the smaller rank.

    Returns
    -------
    moment : int array (n,)
        Equal for relapses at one time; a censoring at that time ranks after them.
    event : bool array (n,)
    """
    times, events = follow_up(time, event)
    return dense_rank(2 * dense_rank(times) + ~events), events


def pair_counts(time: npt.ArrayLike, event: npt.ArrayLike, score: npt.ArrayLike) -> PairCounts:
    """Count the comparable pairs of every row in O(n log n); see :func:`concordance` for the arguments."""
    moment, events = moments(time, event)
    downward = dense_rank(-numbers("score", score, moment.size))
    ordered = [_partners(moment, downward, events, ties=False)]
    ordered.append(_partners(moment, downward, events, ties=True) if downward.max() + 1 < moment.size else ordered[0])
    everyone, event_moments = np.sort(moment), np.sort(moment[events])
    after = (moment.size - np.searchsorted(everyone, moment, side="right")) * events
    before = np.searchsorted(event_moments, moment, side="left")
    (earlier, later), (earlier_tied, later_tied) = ordered
    tied_later = later_tied - later
    return PairCounts(
        concordant=earlier + later,
        tied=earlier_tied - earlier + tied_later,
        comparable=before + after,
        as_first=(later, tied_later, after),
    )


def _partners(moment: IntArray, downward: IntArray, events: BoolArray, *, ties: bool) -> tuple[IntArray, IntArray]:
    """Count concordant partners by row: relapses before it with a higher score, rows after it with a lower one."""
    order, rows = arrange(moment, downward, ties=ties)
    relapses = events[rows].astype(np.int64)
    found = partners(order, relapses, np.ones(rows.size, dtype=np.int64))
    by_row = np.empty((2, rows.size), dtype=np.int64)
    by_row[:, rows] = found
    return by_row[0], by_row[1] * events
