"""Net benefit in many resamples, and its mean gain over the better of treating all and treating none."""

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, follow_up, indicator, positive_horizon, risks
from relapse.evaluation.statistics.decisions.decision_curve import acting_points
from relapse.evaluation.statistics.intervals import blocks
from relapse.evaluation.statistics.survival.resampled import ResampledCurve


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
    counts = np.asarray(weights)
    # The last column calls everybody.
    called = np.column_stack([values[:, None] >= points, np.ones(outcome.size, dtype=np.bool_)])
    rightly, wrongly = ((called & part[:, None]).astype(np.float64) for part in (outcome, ~outcome))
    found = np.empty((2, len(counts), points.size + 1))
    for rows in blocks(*counts.shape):
        weight = counts[rows].astype(np.float64)
        found[:, rows] = np.stack([weight @ rightly, weight @ wrongly]) / weight.sum(axis=1, keepdims=True)
    return found[0], found[1], points


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
    counts, followed = np.asarray(weights), times >= at
    # The last column calls everybody.
    columns = [*(values >= point for point in points), np.ones(times.size, dtype=np.bool_)]
    curves = [ResampledCurve(times, events, upto=at, rows=called) for called in columns]
    called = np.column_stack(columns).astype(np.float64)
    found = np.empty((2, len(counts), points.size + 1))
    for rows in blocks(*counts.shape):
        block = counts[rows]
        weight = block.astype(np.float64)
        size = weight @ called
        free = np.stack([curve(block)[:, -1] for curve in curves], axis=1)
        unknown = (size > 0) & (weight @ (called * followed[:, None]) == 0)
        share = size / size[:, -1:]
        found[:, rows] = np.where(unknown, np.nan, np.stack([share * (1 - free), share * free]))
    return found[0], found[1], points


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
