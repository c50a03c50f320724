"""Net reclassification (NRI) and integrated discrimination improvement (IDI) of risks over reference risks.

They are here because reviewers ask for them, not because a decision should rest on them. Both reward risks that are
merely more extreme: the continuous NRI of a useless marker is positive on new patients, the more so where the risks
are miscalibrated, and neither is a proper score (Hilden & Gerds 2014; Pepe et al. 2015). Differences of Brier score and
of net benefit say the same things rightly.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import (
    BoolArray,
    FloatArray,
    both_classes,
    follow_up,
    numbers,
    positive_horizon,
    risks,
)
from relapse.evaluation.statistics.intervals import percentile, resample_counts
from relapse.evaluation.statistics.normal import wald
from relapse.evaluation.statistics.replicates import censoring_weights
from relapse.evaluation.statistics.results import Estimate

# resamples × rows worked on at once
_BLOCK = 2**20

# from row counts (b, n) to the weights of cases and of controls, (b, n) each
Shares = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, slots=True)
class Reclassification:
    """An improvement among those with the event, among those without, and the sum of both.

    Attributes
    ----------
    events : positive where risks of patients with the event rise
    nonevents : positive where risks of patients without it fall
    total : the sum, which weighs both alike whatever the share of events is
    """

    events: Estimate
    nonevents: Estimate
    total: Estimate


def net_reclassification(
    event: npt.ArrayLike,
    reference: npt.ArrayLike,
    extended: npt.ArrayLike,
    *,
    cuts: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Reclassification:
    """Net reclassification improvement of ``extended`` over ``reference`` risks of a binary outcome.

    Kerr et al. (2014) and Hilden & Gerds (2014) show that it is positive for useless markers under miscalibration.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    reference, extended : array (n,)
        Probabilities of relapse, in [0, 1].
    cuts : array (k,), optional
        Between 0 and 1, ascending. A patient is reclassified if she moves to another category; a risk at a cut belongs
        to the upper one. Without cuts every change of risk counts (the continuous, category-free NRI).
    weights : integer array (B, n), optional
        Row counts, as of :func:`relapse.evaluation.statistics.intervals.patient_weights`. With them intervals are the
        bootstrap's, which they must be where a patient has several rows; else Wald's with the multinomial variance of
        up and down.
    level : float
        Coverage of the intervals.

    Returns
    -------
    Reclassification
        Between −1 and 1 each, −2 and 2 the sum.

    Raises
    ------
    ValueError
        If lengths differ, a risk lies outside [0, 1], one class is missing, or cuts do not ascend between 0 and 1.

    References
    ----------
    Pencina MJ, D'Agostino RB Sr, D'Agostino RB Jr, Vasan RS (2008). Evaluating the added predictive ability of a new
    marker. Statistics in Medicine 27.
    Pencina MJ, D'Agostino RB Sr, Steyerberg EW (2011). Extensions of net reclassification improvement calculations to
    measure usefulness of new biomarkers. Statistics in Medicine 30.
    Kerr KF, Wang Z, Janes H, McClelland RL, Psaty BM, Pepe MS (2014). Net reclassification indices for evaluating risk
    prediction instruments. Epidemiology 25.
    Hilden J, Gerds TA (2014). A note on the evaluation of novel biomarkers: do not rely on integrated discrimination
    improvement and net reclassification index. Statistics in Medicine 33.
    """
    outcome = both_classes(event)
    moves = _moves(reference, extended, outcome.size, cuts)
    return _binary(outcome, moves, weights, level, ddof=0)


def integrated_discrimination(
    event: npt.ArrayLike,
    reference: npt.ArrayLike,
    extended: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Reclassification:
    """Integrated discrimination improvement: how much further apart the mean risks with and without the event are.

    It rewards overconfident risks (Hilden & Gerds 2014), and its Wald interval is too narrow or too wide where the
    extended model was fitted on the same patients (Kerr et al. 2011).

    Parameters
    ----------
    event, reference, extended, weights, level
        See :func:`net_reclassification`; the Wald interval is of the two variances of the change of risk.

    Returns
    -------
    Reclassification
        ``events`` is the mean rise of risk with the event, ``nonevents`` the mean fall without it.

    Raises
    ------
    ValueError
        As :func:`net_reclassification`.

    References
    ----------
    Pencina MJ, D'Agostino RB Sr, D'Agostino RB Jr, Vasan RS (2008). Evaluating the added predictive ability of a new
    marker. Statistics in Medicine 27.
    Kerr KF, McClelland RL, Brown ER, Lumley T (2011). Evaluating the incremental value of new biomarkers with
    integrated discrimination improvement. American Journal of Epidemiology 174.
    """
    outcome = both_classes(event)
    return _binary(outcome, _change(reference, extended, outcome.size), weights, level, ddof=1)


def net_reclassification_at_horizon(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    reference: npt.ArrayLike,
    extended: npt.ArrayLike,
    horizon: float,
    weights: npt.ArrayLike,
    *,
    cuts: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Reclassification:
    """Net reclassification improvement of risks at a horizon, under censoring.

    Patients with the event by the horizon and patients followed beyond it are weighted by the inverse probability of
    not having been censored (Uno et al. 2013), as for the AUC and the Brier score, and not by Kaplan-Meier within
    those who move up and down (Pencina et al. 2011), which can leave [−1, 1] and has no place for an IDI.

    Parameters
    ----------
    time : array (n,)
        Follow-up until relapse or censoring, any unit, not negative.
    event : array (n,)
        1 relapse, 0 censored.
    reference, extended : array (n,)
        Probabilities of relapse by the horizon, in [0, 1].
    horizon : float
        In the unit of ``time``.
    weights : integer array (B, n)
        Row counts of the bootstrap; weights for censoring are estimated anew in each resample.
    cuts, level
        See :func:`net_reclassification`.

    Returns
    -------
    Reclassification
        NaN where there is no case or no control at the horizon.

    Raises
    ------
    ValueError
        As :func:`net_reclassification`; or if a time is negative or the horizon not positive.

    References
    ----------
    Uno H, Tian L, Cai T, Kohane IS, Wei LJ (2013). A unified inference procedure for a class of measures to assess
    improvement in risk prediction systems with survival data. Statistics in Medicine 32.
    """
    times, events = follow_up(time, event)
    return _timed(times, events, _moves(reference, extended, times.size, cuts), horizon, weights, level)


def integrated_discrimination_at_horizon(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    reference: npt.ArrayLike,
    extended: npt.ArrayLike,
    horizon: float,
    weights: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> Reclassification:
    """Integrated discrimination improvement of risks at a horizon; see :func:`net_reclassification_at_horizon`."""
    times, events = follow_up(time, event)
    return _timed(times, events, _change(reference, extended, times.size), horizon, weights, level)


def _change(reference: npt.ArrayLike, extended: npt.ArrayLike, size: int) -> FloatArray:
    return risks(extended, size, "extended") - risks(reference, size, "reference")


def _moves(reference: npt.ArrayLike, extended: npt.ArrayLike, size: int, cuts: npt.ArrayLike | None) -> FloatArray:
    """1 where a patient moves up, −1 where she moves down, 0 where she stays."""
    change = _change(reference, extended, size)
    if cuts is None:
        return np.sign(change)
    points = numbers("cuts", cuts)
    if points[0] <= 0 or points[-1] >= 1 or np.any(np.diff(points) <= 0):
        raise ValueError(f"cuts: {points.size} given; they must lie between 0 and 1, strictly ascending")
    before, after = (np.searchsorted(points, np.asarray(risk), side="right") for risk in (reference, extended))
    return np.sign(after - before).astype(np.float64)


def _binary(
    outcome: BoolArray, gains: FloatArray, weights: npt.ArrayLike | None, level: float, *, ddof: int
) -> Reclassification:
    if weights is not None:
        return _resampled(gains, lambda counts: (counts * outcome, counts * ~outcome), weights, level)
    parts = gains[outcome], -gains[~outcome]
    means = [float(part.mean()) for part in parts]
    variances = [float(part.var(ddof=ddof)) / part.size if part.size > ddof else float("nan") for part in parts]
    return Reclassification(
        wald(means[0], variances[0], level=level),
        wald(means[1], variances[1], level=level),
        wald(sum(means), sum(variances), level=level),
    )


def _timed(
    time: FloatArray, event: BoolArray, gains: FloatArray, horizon: float, weights: npt.ArrayLike, level: float
) -> Reclassification:
    at = positive_horizon(horizon)
    occurred = event.astype(np.int64)
    return _resampled(
        gains, lambda counts: censoring_weights(time, occurred, horizon=at, weights=counts), weights, level
    )


def _resampled(gains: FloatArray, shares: Shares, weights: npt.ArrayLike, level: float) -> Reclassification:
    """Weighted means of ``gains`` (n,) among cases, of their opposite among controls, and the sum."""
    counts = resample_counts(weights, gains.size)
    found = [_means(gains, shares(np.ones((1, gains.size))))]
    step = max(1, _BLOCK // gains.size)
    for start in range(0, len(counts), step):
        found.append(_means(gains, shares(counts[start : start + step].astype(np.float64))))
    events, nonevents = np.concatenate(found, axis=1)
    return Reclassification(
        *(
            percentile(float(values[0]), values[1:], level=level, method="bootstrap by patient")
            for values in (events, nonevents, events + nonevents)
        )
    )


def _means(gains: FloatArray, shares: tuple[FloatArray, FloatArray]) -> FloatArray:
    """(2, B): NaN in a resample without cases, or without controls."""
    found = []
    for sign, share in zip((1, -1), shares, strict=True):
        total = share.sum(axis=1)
        found.append(np.divide(sign * (share @ gains), total, out=np.full(total.shape, np.nan), where=total > 0))
    return np.stack(found)
