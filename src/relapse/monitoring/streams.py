"""A stream: one thing watched patient by patient, and the capital won by betting that it drifted."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from relapse.evaluation.statistics.multiplicity import holm
from relapse.ground.finding import Code
from relapse.monitoring.betting import p_values

Array = NDArray[np.float64]

#: Chance of a false alarm, over all looks and all streams together.
LEVEL = 0.05


class Kind(StrEnum):
    """Kinds of streams; each has a quarter of the chance of a false alarm, shared among its streams by Holm's rule."""

    VALUES = "values"
    MISSING = "missing values"
    WHOLE = "patients as a whole"
    OUTCOMES = "outcomes"


@dataclass(frozen=True, slots=True)
class Stream:
    """One thing watched.

    Attributes
    ----------
    code, column, title
        What an alarm is called, the feature that it is of ("" for none), and what is watched in words.
    rows : array (m,)
        The rows of the patients who count for it, in the order in which they came.
    day : datetime64[D] array (m,)
        Theirs.
    logs : array (m,)
        Logarithm of the capital after each.
    """

    code: Code
    kind: Kind
    column: str
    title: str
    rows: NDArray[np.int64]
    day: NDArray[np.datetime64]
    logs: Array

    def p_by(self, days: NDArray[np.datetime64]) -> Array:
        """P-values at the end of each day."""
        running = np.concatenate([[1.0], p_values(self.logs)])
        return np.asarray(running[np.searchsorted(self.day, days, side="right")])


@dataclass(frozen=True, slots=True)
class Alarm:
    """When a stream's capital sufficed, and since when, about, it had grown."""

    day: np.datetime64
    since: np.datetime64
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judged:
    """A stream with its p-value at the end, adjusted within its kind, and its alarm, None where there is none."""

    stream: Stream
    adjusted: float
    alarm: Alarm | None


def judge(streams: Sequence[Stream], *, level: float = LEVEL) -> list[Judged]:
    """Adjust the streams among their kind, at the end of each day on which somebody came.

    A p-value at a time is no smaller than the one after all patients, so that whatever is rejected on any day is
    rejected by Holm's rule at the end: the chance of any false alarm is at most ``level``, whatever depends on what.
    """
    found: dict[int, Judged] = {}
    for kind in Kind:
        mine = [place for place, stream in enumerate(streams) if stream.kind is kind]
        days = np.unique(np.concatenate([streams[place].day for place in mine])) if mine else np.array([])
        if not days.size:
            found |= {place: Judged(streams[place], 1.0, None) for place in mine}
            continue
        by_day = np.array([holm(p) for p in np.column_stack([streams[place].p_by(days) for place in mine])])
        for place, adjusted in zip(mine, by_day.T, strict=True):
            share = np.minimum(adjusted * len(Kind), 1.0)
            alarmed = np.flatnonzero(share <= level)
            alarm = _alarm(streams[place], days[alarmed[0]]) if alarmed.size else None
            found[place] = Judged(streams[place], float(share[-1]), alarm)
    return [found[place] for place in range(len(streams))]


def _alarm(stream: Stream, day: np.datetime64) -> Alarm:
    """The capital is lowest where the drift began, or not long after."""
    upto = int(np.searchsorted(stream.day, day, side="right"))
    logs = np.concatenate([[0.0], stream.logs[:upto]])
    began = min(int(logs.size - 1 - np.argmin(logs[::-1])), upto - 1)
    return Alarm(day=day, since=stream.day[began], rows=stream.rows[began:])
