"""Time-dependent AUC and Brier score of many resamples at once; the censoring curve is drawn anew in each."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from relapse.evaluation.statistics.intervals import blocks
from relapse.evaluation.statistics.ranking.counting import running_sums
from relapse.evaluation.statistics.survival.resampled import ResampledCurve

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

#: What the last sets of resamples weigh, up to so many cells in all: three metrics of each candidate ask for the same
#: ones, on all patients and in each subgroup. A set too large for that is weighed anew for each, block by block.
_KEPT: dict[bytes, "_Weighed"] = {}
_CELLS = 2**24


class _Weighed(NamedTuple):
    """Inverse-probability-of-censoring weights at a horizon in each resample.

    ``cases`` (B, k), of the rows with the event by the horizon: count / G(time-). ``control`` (B,): what each count of
    a row still at risk after it weighs, 1 / G(horizon), 0 in a resample without such rows. G as for
    :func:`censoring_weights`.
    """

    cases: Array
    control: Array


class _Drawn(NamedTuple):
    """A block of resamples: which ones, how often each row stands in them (b, n), and what the rows weigh."""

    rows: slice
    counts: NDArray[Any]
    weighed: _Weighed


def censoring_weights(time: Array, event: NDArray[np.int_], *, horizon: float, weights: Array) -> tuple[Array, Array]:
    """Inverse-probability-of-censoring weights of cases and controls at a horizon, in each resample.

    Parameters
    ----------
    time, event
        (n,)
    horizon
        In the unit of ``time``.
    weights
        (B, n) counts of each row in each resample.

    Returns
    -------
    cases, controls
        (B, n) each: a row with the event by the horizon weighs count / G(time-), one still at risk after it
        count / G(horizon), all others 0. G is the Kaplan-Meier curve of the censoring time in the resample; at equal
        times events come before censorings (as in R's riskRegression).
    """
    with_event, after = _cases_and_controls(time, event, horizon)
    cases, controls = np.zeros(weights.shape), np.zeros(weights.shape)
    for block in _drawn(time, event, horizon, weights):
        cases[block.rows, with_event] = block.weighed.cases
        controls[block.rows, after] = block.counts[:, after] * block.weighed.control[:, None]
    return cases, controls


def ipcw_auc(time: Array, event: NDArray[np.int_], score: Array, *, horizon: float, weights: Array) -> Array:
    """Cumulative/dynamic AUC (B,) at a horizon in each resample; tied scores count one half.

    NaN in a resample without cases or without controls. Blanche P, Dartigues JF, Jacqmin-Gadda H (2013), Stat Med
    32:5381-5397.
    """
    with_event, after = _cases_and_controls(time, event, horizon)
    after = after[np.argsort(score[after], kind="stable")]
    below, upto = (np.searchsorted(score[after], score[with_event], side=side) for side in ("left", "right"))
    found = np.full(len(weights), np.nan)
    for block in _drawn(time, event, horizon, weights):
        cases = block.weighed.cases
        # All controls of a resample weigh the same, so that their weight cancels: they can be counted.
        passed = running_sums(np.take(block.counts, after, axis=1).astype(np.int32))
        twice = np.take(passed, below, axis=1) + np.take(passed, upto, axis=1)
        pairs = cases.sum(axis=1) * passed[:, -1]
        np.divide(np.einsum("bk,bk->b", cases, twice) / 2, pairs, out=found[block.rows], where=pairs > 0)
    return found


def ipcw_brier(time: Array, event: NDArray[np.int_], risk: Array, *, horizon: float, weights: Array) -> Array:
    """Brier score (B,) at a horizon in each resample, weighted for censoring; lower is better.

    Graf E et al. (1999), Stat Med 18:2529-2545.
    """
    return _brier(time, event, risk, horizon, weights)[0]


def ipcw_ipa(time: Array, event: NDArray[np.int_], risk: Array, *, horizon: float, weights: Array) -> Array:
    """Index of prediction accuracy (B,) at a horizon in each resample: 1 - Brier score over that of one risk for all.

    The one risk is the share with the event by the horizon, weighted for censoring. 0 is no better than it, 1 perfect.
    Kattan MW, Gerds TA (2018), Diagn Progn Res 2:7.
    """
    brier, with_event, without = _brier(time, event, risk, horizon, weights)
    null = with_event * (1 - with_event) ** 2 + without * with_event**2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - brier / null)


def _brier(
    time: Array, event: NDArray[np.int_], risk: Array, horizon: float, weights: Array
) -> tuple[Array, Array, Array]:
    """Brier score, weight of all cases and weight of all controls of each resample, as shares of its rows."""
    with_event, after = _cases_and_controls(time, event, horizon)
    of_case, of_control = (1 - risk[with_event]) ** 2, risk[after] ** 2
    brier, cases, controls = (np.empty(len(weights)) for _ in range(3))
    for rows, counts, weighed in _drawn(time, event, horizon, weights):
        total = counts.sum(axis=1)
        remaining = np.take(counts, after, axis=1).astype(np.float64)
        brier[rows] = (weighed.cases @ of_case + (remaining @ of_control) * weighed.control) / total
        cases[rows] = weighed.cases.sum(axis=1) / total
        controls[rows] = remaining.sum(axis=1) * weighed.control / total
    return brier, cases, controls


def _cases_and_controls(time: Array, event: NDArray[np.int_], horizon: float) -> tuple[Rows, Rows]:
    """Rows with the event by the horizon, by time, and rows still at risk after it."""
    with_event = np.flatnonzero((time <= horizon) & (event == 1))
    return with_event[np.argsort(time[with_event], kind="stable")], np.flatnonzero(time > horizon)


def _drawn(time: Array, event: NDArray[np.int_], horizon: float, weights: Array) -> Iterator[_Drawn]:
    """The resamples block by block, so that what is made of one stays in the processor's cache."""
    weigh = _weigher(time, event, horizon)
    cells = len(weights) * int(((time <= horizon) & (event == 1)).sum())
    if cells > _CELLS:
        for rows in blocks(*weights.shape):
            yield _Drawn(rows, weights[rows], weigh(weights[rows]))
        return
    parts = (time, event, np.asarray(horizon), weights)
    asked = hashlib.blake2b(repr([(part.shape, part.dtype.str) for part in parts]).encode())
    for part in parts:
        asked.update(np.ascontiguousarray(part).data)
    if (key := asked.digest()) not in _KEPT:
        while _KEPT and sum(kept.cases.size for kept in _KEPT.values()) + cells > _CELLS:
            del _KEPT[next(iter(_KEPT))]
        found = [weigh(weights[rows]) for rows in blocks(*weights.shape)]
        _KEPT[key] = _Weighed(*(np.concatenate(part) for part in zip(*found, strict=True)))
    kept = _KEPT[key]
    for rows in blocks(*weights.shape):
        yield _Drawn(rows, weights[rows], _Weighed(kept.cases[rows], kept.control[rows]))


def _weigher(time: Array, event: NDArray[np.int_], horizon: float) -> Callable[[NDArray[Any]], _Weighed]:
    with_event, after = _cases_and_controls(time, event, horizon)
    uncensored = ResampledCurve(time, event == 1, upto=horizon, of_censoring=True)
    steps = np.searchsorted(uncensored.moments, time[with_event], side="left")

    def weigh(counts: NDArray[Any]) -> _Weighed:
        curve = uncensored(counts)
        mine = np.take(counts, with_event, axis=1)
        cases = np.divide(mine, np.take(curve, steps, axis=1), out=np.zeros(mine.shape), where=mine > 0)
        left = np.take(counts, after, axis=1).any(axis=1)
        return _Weighed(cases, np.divide(1.0, curve[:, -1], out=np.zeros(len(counts)), where=left))

    return weigh
