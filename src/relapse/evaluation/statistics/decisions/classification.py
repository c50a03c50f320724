"""Metrics of a decision at a threshold, and of a risk or score without one. All take row weights."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, indicator, numbers, risks

Metric = float | FloatArray


@dataclass(frozen=True)
class ThresholdMetrics:
    """Metrics of a yes/no decision; each is NaN where its denominator is empty.

    Each is a float, or an array (B,) where weights (B, n) were given.

    Attributes
    ----------
    sensitivity, specificity : share of relapses called, share of the others not called
    ppv, npv : share of calls that relapsed, share of the others that did not
    f1 : harmonic mean of sensitivity and ppv
    accuracy, balanced_accuracy : share of right decisions, mean of sensitivity and specificity
    mcc : Matthews' correlation coefficient
    """

    sensitivity: Metric
    specificity: Metric
    ppv: Metric
    npv: Metric
    f1: Metric
    accuracy: Metric
    balanced_accuracy: Metric
    mcc: Metric


def row_weights(weights: npt.ArrayLike | None, size: int) -> FloatArray:
    """Return weights as floats, (n,) or (B, n); ones where None.

    Raises
    ------
    ValueError
        If the last axis has not one weight a row, or a weight is negative or not finite.
    """
    if weights is None:
        return np.ones(size)
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[-1] != size:
        raise ValueError(f"weights: shape {array.shape}, but {size} rows elsewhere; allowed are (n,) and (B, n)")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise ValueError("weights: every weight must be finite and not negative")
    return array


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.asarray(np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=np.asarray(bottom) > 0))


def _plain(value: FloatArray) -> Metric:
    return float(value) if value.ndim == 0 else value


def classification_metrics(
    event: npt.ArrayLike, positive: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> ThresholdMetrics:
    """Metrics of a yes/no decision against the outcome.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    positive : array (n,)
        1 where relapse was called.
    weights : array (n,) or (B, n), optional
        Row weights, or the counts of B bootstrap resamples.

    Raises
    ------
    ValueError
        If lengths differ or a value is neither 0 nor 1.

    References
    ----------
    Chicco D, Jurman G (2020). The advantages of the Matthews correlation coefficient. BMC Genomics 21.
    """
    outcome = indicator("event", event)
    called = indicator("positive", positive, outcome.size)
    weight = row_weights(weights, outcome.size)
    cells = np.stack([outcome & called, ~outcome & called, outcome & ~called, ~outcome & ~called])
    # one matrix product for all resamples; einsum would walk them one by one
    hit, false_call, missed, rightly_not = np.moveaxis(weight @ cells.T.astype(np.float64), -1, 0)
    sensitivity = _ratio(hit, hit + missed)
    specificity = _ratio(rightly_not, rightly_not + false_call)
    margins = (hit + false_call) * (hit + missed) * (rightly_not + false_call) * (rightly_not + missed)
    values = (
        sensitivity,
        specificity,
        _ratio(hit, hit + false_call),
        _ratio(rightly_not, rightly_not + missed),
        _ratio(2 * hit, 2 * hit + false_call + missed),
        _ratio(hit + rightly_not, hit + rightly_not + false_call + missed),
        (sensitivity + specificity) / 2,
        _ratio(hit * rightly_not - false_call * missed, np.sqrt(margins)),
    )
    return ThresholdMetrics(*(_plain(np.asarray(value)) for value in values))


def average_precision(event: npt.ArrayLike, score: npt.ArrayLike, *, weights: npt.ArrayLike | None = None) -> Metric:
    """Area under the precision–recall curve as a step function: mean precision at each relapse found.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    score : array (n,)
        Higher means relapse is more likely. Rows of equal score are found together.
    weights : array (n,) or (B, n), optional
        Row weights, or the counts of B bootstrap resamples.

    Returns
    -------
    float, or array (B,)
        In [0, 1]; its chance level is the prevalence. NaN where no row with the event has weight.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, or an event is neither 0 nor 1.
    """
    outcome = indicator("event", event)
    scores = numbers("score", score, outcome.size)
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(scores[order][1:] != scores[order][:-1], True))
    weight = row_weights(weights, outcome.size)[..., order]
    called = np.cumsum(weight, axis=-1)[..., last]
    hits = np.cumsum(weight * outcome[order], axis=-1)[..., last]
    found = np.diff(hits, axis=-1, prepend=0.0)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return _plain(np.asarray(_ratio((found * precision).sum(axis=-1), hits[..., -1])))


def brier_score(event: npt.ArrayLike, risk: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Metric:
    """Mean squared distance of risk and outcome; 0 is perfect.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    risk : array (n,)
        Probability of relapse.
    weights : array (n,) or (B, n), optional
        Row weights, or the counts of B bootstrap resamples.

    Raises
    ------
    ValueError
        If lengths differ, a risk lies outside [0, 1], or an event is neither 0 nor 1.

    References
    ----------
    Brier GW (1950). Verification of forecasts expressed in terms of probability. Monthly Weather Review 78.
    """
    outcome = indicator("event", event)
    return _weighted_mean((risks(risk, outcome.size) - outcome) ** 2, weights)


def scaled_brier_score(event: npt.ArrayLike, risk: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Metric:
    """1 − Brier score over that of the prevalence as everyone's risk (the binary index of prediction accuracy)."""
    outcome = indicator("event", event)
    prevalence = np.asarray(_weighted_mean(outcome.astype(np.float64), weights))
    return _plain(np.asarray(1 - _ratio(np.asarray(brier_score(event, risk, weights)), prevalence * (1 - prevalence))))


def log_loss(event: npt.ArrayLike, risk: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Metric:
    """Mean of −log of the probability given to what happened; infinite where that was 0. See :func:`brier_score`."""
    outcome = indicator("event", event)
    given = np.where(outcome, risks(risk, outcome.size), 1 - risks(risk, outcome.size))
    with np.errstate(divide="ignore"):
        loss = -np.log(given)
    weight = row_weights(weights, outcome.size)
    # a row without weight must not turn 0 · ∞ into NaN
    top = np.where(weight > 0, weight * np.where(weight > 0, loss, 0.0), 0.0).sum(axis=-1)
    return _plain(np.asarray(_ratio(top, weight.sum(axis=-1))))


def _weighted_mean(values: FloatArray, weights: npt.ArrayLike | None) -> Metric:
    weight = row_weights(weights, values.size)
    return _plain(np.asarray(_ratio(weight @ values, weight.sum(axis=-1))))
