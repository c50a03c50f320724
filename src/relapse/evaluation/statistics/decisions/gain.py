"""Net benefit in many resamples, and its mean gain over the better of treating all and treating none."""

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import BoolArray, FloatArray, follow_up, indicator, positive_horizon, risks
from relapse.evaluation.statistics.decisions.decision_curve import acting_points

# resamples × rows worked on at once
_BLOCK = 2**20


def net_benefit_gain(
    event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike, weights: npt.ArrayLike
) -> FloatArray:
    """Mean over ``thresholds`` of net benefit less the larger of treating all and treating none, in each resample.

    A risk that is the same for all, and right, gains 0; one that tells patients apart gains more.

    Parameters
    ----------
    event, risk, thresholds : array (n,), (n,), (k,)
        See :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit`.
    weights : integer array (B, n)
        Row counts, as of :func:`relapse.evaluation.statistics.intervals.patient_weights`.

    Returns
    -------
    array (B,)

    Raises
    ------
    ValueError
        As :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit`.
    """
    return _gain(*_shares(event, risk, thresholds, weights))


def net_benefit_replicates(
    event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike, weights: npt.ArrayLike
) -> FloatArray:
    """Net benefit (B, k) at each threshold in each resample; arguments and errors of :func:`net_benefit_gain`."""
    hits, false, points = _shares(event, risk, thresholds, weights)
    return _benefit(hits[:, :-1], false[:, :-1], points)


def _shares(
    event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike, weights: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares (B, k + 1) of rows called rightly and wrongly, the last of them of calling everybody; and thresholds."""
    outcome = indicator("event", event)
    values, points = risks(risk, outcome.size), acting_points(thresholds)
    counts = np.asarray(weights, dtype=np.float64)
    total = counts.sum(axis=1, keepdims=True)
    # The last column calls everybody.
    called = np.column_stack([values[:, None] >= points, np.ones(outcome.size, dtype=np.bool_)])
    hits, false = (counts @ (called & part[:, None]) / total for part in (outcome, ~outcome))
    return hits, false, points


def net_benefit_gain_at_horizon(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    horizon: float,
    thresholds: npt.ArrayLike,
    weights: npt.ArrayLike,
) -> FloatArray:
    """The same for a risk at a horizon, under censoring; the Kaplan-Meier curves are drawn anew in each resample.

    Parameters
    ----------
    time, event, risk, horizon, thresholds
        See :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit_at_horizon`.
    weights : integer array (B, n)
        Row counts.

    Returns
    -------
    array (B,)
        Thresholds at which nobody called was followed up to the horizon are left out; NaN where that is so at all.

    Raises
    ------
    ValueError
        As :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit_at_horizon`.
    """
    return _gain(*_shares_at_horizon(time, event, risk, horizon, thresholds, weights))


def net_benefit_replicates_at_horizon(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    horizon: float,
    thresholds: npt.ArrayLike,
    weights: npt.ArrayLike,
) -> FloatArray:
    """Net benefit (B, k) at a horizon, under censoring; arguments and errors of :func:`net_benefit_gain_at_horizon`.

    NaN where nobody called was followed up to the horizon.
    """
    hits, false, points = _shares_at_horizon(time, event, risk, horizon, thresholds, weights)
    return _benefit(hits[:, :-1], false[:, :-1], points)


def _shares_at_horizon(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    horizon: float,
    thresholds: npt.ArrayLike,
    weights: npt.ArrayLike,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    times, events = follow_up(time, event)
    values, at, points = risks(risk, times.size), positive_horizon(horizon), acting_points(thresholds)
    counts, order = np.asarray(weights), np.argsort(times, kind="stable")
    times, events, values = times[order], events[order], values[order]
    found = np.empty((2, len(counts), points.size + 1))
    step = max(1, _BLOCK // times.size)
    for start in range(0, len(counts), step):
        block = counts[start : start + step, order].astype(np.float64)
        rates = [
            _rates(block, times, events, called, at)
            for called in (*(values >= point for point in points), np.ones(times.size, dtype=np.bool_))
        ]
        found[:, start : start + step] = np.stack(rates, axis=2)
    return found[0], found[1], points


def _rates(counts: FloatArray, time: FloatArray, event: BoolArray, called: BoolArray, at: float) -> FloatArray:
    """Shares of all that are called rightly and wrongly (2, B), of rows in the order of time."""
    total, mine = counts.sum(axis=1), counts[:, called]
    time, event = time[called], event[called]
    moments = np.unique(time[event & (time <= at)])
    first, last = (np.searchsorted(time, moments, side=side) for side in ("left", "right"))
    size = mine.sum(axis=1)
    gone, relapsed = _running(mine), _running(mine * event)
    at_risk = size[:, None] - gone[:, first]
    leaving = relapsed[:, last] - relapsed[:, first]
    free = np.prod(1 - np.divide(leaving, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0), axis=1)
    unknown = (size > 0) & (mine[:, time >= at].sum(axis=1) == 0)
    share = size / total
    return np.where(unknown, np.nan, np.stack([share * (1 - free), share * free]))


def _running(counts: FloatArray) -> FloatArray:
    return np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)


def _benefit(hits: FloatArray, false: FloatArray, points: FloatArray) -> FloatArray:
    """Net benefit (B, k) at each threshold from rates (B, k), or (B, 1) where they are the same at each."""
    return np.asarray(hits - false * (points / (1 - points)))


def _gain(hits: FloatArray, false: FloatArray, points: FloatArray) -> FloatArray:
    """From rates (B, k + 1), the last of them of calling everybody, to the mean gain (B,)."""
    everybody = _benefit(hits[:, -1:], false[:, -1:], points)
    gain = _benefit(hits[:, :-1], false[:, :-1], points) - np.maximum(everybody, 0.0)
    known = np.isfinite(gain)
    sums, terms = np.where(known, gain, 0.0).sum(axis=1), known.sum(axis=1)
    return np.asarray(np.divide(sums, terms, out=np.full(len(gain), np.nan), where=terms > 0))
