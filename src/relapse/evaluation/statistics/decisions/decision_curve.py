"""Decision curves: the net benefit of acting on a risk at a threshold, beside treating all and treating none."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, follow_up, indicator, numbers, positive_horizon, risks
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier


@dataclass(frozen=True)
class DecisionCurve:
    """A decision curve; every attribute is an array (k,), one value a threshold.

    Attributes
    ----------
    thresholds : risk from which one would act
    net_benefit : true positives less false positives at the odds of the threshold, per patient
    treat_all : the same for acting on everyone
    treat_none : 0
    true_positive_rate, false_positive_rate : share of all patients called rightly, and wrongly
    """

    thresholds: FloatArray
    net_benefit: FloatArray
    treat_all: FloatArray
    treat_none: FloatArray
    true_positive_rate: FloatArray
    false_positive_rate: FloatArray


def acting_points(values: npt.ArrayLike) -> FloatArray:
    """Return thresholds from which one might act, as floats.

    Raises
    ------
    ValueError
        If one does not lie between 0 and 1.
    """
    thresholds = numbers("thresholds", values)
    outside = int(np.count_nonzero((thresholds <= 0) | (thresholds >= 1)))
    if outside:
        raise ValueError(f"thresholds: {outside} of {thresholds.size} values do not lie between 0 and 1")
    return thresholds


def _curve(thresholds: FloatArray, true: FloatArray, false: FloatArray, event_rate: float) -> DecisionCurve:
    odds = thresholds / (1 - thresholds)
    return DecisionCurve(
        thresholds=thresholds,
        net_benefit=true - false * odds,
        treat_all=event_rate - (1 - event_rate) * odds,
        treat_none=np.zeros_like(thresholds),
        true_positive_rate=true,
        false_positive_rate=false,
    )


def net_benefit(event: npt.ArrayLike, risk: npt.ArrayLike, thresholds: npt.ArrayLike) -> DecisionCurve:
    """Decision curve of a risk of a binary outcome.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    risk : array (n,)
        Probability of relapse, in [0, 1]. One acts where it is at or above the threshold.
    thresholds : array (k,)
        Between 0 and 1, both excluded.

    Raises
    ------
    ValueError
        If lengths differ, a risk lies outside [0, 1], an event is neither 0 nor 1, or a threshold not between 0 and 1.

    References
    ----------
    Vickers AJ, Elkin EB (2006). Decision curve analysis. Medical Decision Making 26.
    """
    outcome = indicator("event", event)
    values = risks(risk, outcome.size)
    points = acting_points(thresholds)
    true, false = (
        (part.size - np.searchsorted(np.sort(part), points, side="left")) / outcome.size
        for part in (values[outcome], values[~outcome])
    )
    return _curve(points, true, false, float(outcome.mean()))


def net_benefit_at_horizon(
    time: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike, horizon: float, thresholds: npt.ArrayLike
) -> DecisionCurve:
    """Decision curve of a risk at a horizon, under censoring.

    The share that relapses among those called is 1 − Kaplan–Meier at the horizon within them.

    Parameters
    ----------
    time : array (n,)
        Follow-up until relapse or censoring, any unit, not negative.
    event : array (n,)
        1 relapse, 0 censored.
    risk : array (n,)
        Probability of relapse by the horizon, in [0, 1]. One acts where it is at or above the threshold.
    horizon : float
        In the unit of ``time``.
    thresholds : array (k,)
        Between 0 and 1, both excluded.

    Returns
    -------
    DecisionCurve
        NaN at a threshold where nobody called was followed up to the horizon; 0 where nobody was called.

    Raises
    ------
    ValueError
        As :func:`net_benefit`; or if a time is negative or the horizon not positive.

    References
    ----------
    Vickers AJ, Cronin AM, Elkin EB, Gonen M (2008). Extensions to decision curve analysis, a novel method for
    evaluating diagnostic tests, prediction models and molecular markers. BMC Med Inform Decis Mak 8.
    """
    times, events = follow_up(time, event)
    values = risks(risk, times.size)
    at = positive_horizon(horizon)
    points = acting_points(thresholds)

    def rates(called: npt.NDArray[np.bool_]) -> tuple[float, float]:
        if not called.any():
            return 0.0, 0.0
        if times[called].max() < at:
            return float("nan"), float("nan")
        free = float(kaplan_meier(times[called], events[called])(at))
        return float(called.mean()) * (1 - free), float(called.mean()) * free

    true, false = np.array([rates(values >= point) for point in points]).T
    return _curve(points, true, false, rates(np.ones(times.size, dtype=np.bool_))[0])
