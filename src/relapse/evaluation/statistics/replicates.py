"""Time-dependent AUC and Brier score of many resamples at once; the censoring curve is drawn anew in each."""

import hashlib

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Weights of the last sets of resamples, up to so many cells in all: three metrics of each candidate ask for the same
#: ones, on all patients and in each subgroup.
_KEPT: dict[bytes, tuple[Array, Array]] = {}
_CELLS = 2**24


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
        times events come before censorings (as in R's riskRegression). Not to be written to.
    """
    if weights.size > _CELLS:
        return _censoring_weights(time, event, horizon, weights)
    parts = (time, event, np.asarray(horizon), weights)
    asked = hashlib.blake2b(repr([(part.shape, part.dtype.str) for part in parts]).encode())
    for part in parts:
        asked.update(np.ascontiguousarray(part).data)
    if (key := asked.digest()) not in _KEPT:
        while _KEPT and sum(cases.size for cases, _ in _KEPT.values()) + weights.size > _CELLS:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = _censoring_weights(time, event, horizon, weights)
    return _KEPT[key]


def _censoring_weights(time: Array, event: NDArray[np.int_], horizon: float, weights: Array) -> tuple[Array, Array]:
    order = np.argsort(time, kind="stable")
    sorted_time, censored = time[order], event[order] == 0
    counts = weights[:, order]
    starts = np.searchsorted(sorted_time, sorted_time, side="left")
    ends = np.searchsorted(sorted_time, sorted_time, side="right")
    below = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    of_events = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts * ~censored, axis=1)], axis=1)
    of_censored = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts * censored, axis=1)], axis=1)
    first = np.unique(starts)
    last = ends[first]
    # Those at risk of being censored at a time have neither left before nor had the event at it.
    at_risk = below[:, -1:] - below[:, first] - (of_events[:, last] - of_events[:, first])
    leaving = of_censored[:, last] - of_censored[:, first]
    with np.errstate(invalid="ignore", divide="ignore"):
        factors = np.where(leaving > 0, 1.0 - leaving / at_risk, 1.0)
    survival = np.concatenate([np.ones((len(counts), 1)), np.cumprod(factors, axis=1)], axis=1)
    distinct = sorted_time[first]
    before = survival[:, np.searchsorted(distinct, time, side="left")]
    at_horizon = survival[:, [np.searchsorted(distinct, horizon, side="right")]]
    with np.errstate(invalid="ignore", divide="ignore"):
        cases = np.where((time <= horizon) & (event == 1) & (weights > 0), weights / before, 0.0)
        controls = np.where((time > horizon) & (weights > 0), weights / at_horizon, 0.0)
    return cases, controls


def ipcw_auc(time: Array, event: NDArray[np.int_], score: Array, *, horizon: float, weights: Array) -> Array:
    """Cumulative/dynamic AUC (B,) at a horizon in each resample; tied scores count one half.

    NaN in a resample without cases or without controls. Blanche P, Dartigues JF, Jacqmin-Gadda H (2013), Stat Med
    32:5381-5397.
    """
    cases, controls = censoring_weights(time, event, horizon=horizon, weights=weights)
    _, group = np.unique(score, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.unique(group[order], return_index=True)[1]
    of_cases = np.add.reduceat(cases[:, order], starts, axis=1)
    of_controls = np.add.reduceat(controls[:, order], starts, axis=1)
    lower = np.cumsum(of_controls, axis=1) - of_controls
    with np.errstate(invalid="ignore", divide="ignore"):
        concordant = (of_cases * (lower + 0.5 * of_controls)).sum(axis=1)
        return np.asarray(concordant / (of_cases.sum(axis=1) * of_controls.sum(axis=1)))


def ipcw_brier(time: Array, event: NDArray[np.int_], risk: Array, *, horizon: float, weights: Array) -> Array:
    """Brier score (B,) at a horizon in each resample, weighted for censoring; lower is better.

    Graf E et al. (1999), Stat Med 18:2529-2545.
    """
    cases, controls = censoring_weights(time, event, horizon=horizon, weights=weights)
    return np.asarray((cases @ (1 - risk) ** 2 + controls @ risk**2) / weights.sum(axis=1))


def ipcw_ipa(time: Array, event: NDArray[np.int_], risk: Array, *, horizon: float, weights: Array) -> Array:
    """Index of prediction accuracy (B,) at a horizon in each resample: 1 - Brier score over that of one risk for all.

    The one risk is the share with the event by the horizon, weighted for censoring. 0 is no better than it, 1 perfect.
    Kattan MW, Gerds TA (2018), Diagn Progn Res 2:7.
    """
    cases, controls = censoring_weights(time, event, horizon=horizon, weights=weights)
    total = weights.sum(axis=1)
    share = cases.sum(axis=1) / total
    null = (cases.sum(axis=1) * (1 - share) ** 2 + controls.sum(axis=1) * share**2) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - (cases @ (1 - risk) ** 2 + controls @ risk**2) / total / null)
