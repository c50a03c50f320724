"""Kaplan–Meier curves of relapse and of censoring, and how much each row moves them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, follow_up


@dataclass(frozen=True)
class StepFunction:
    """A survival curve: 1 at the start, a step down at each of ``times`` to ``values``.

    Attributes
    ----------
    times : array (k,)
        Times of the steps, ascending, unit of the follow-up.
    values : array (k,)
        Survival from each time on.
    at_risk, events : array (k,)
        Rows at risk just before the step, and rows that make it.
    """

    times: FloatArray
    values: FloatArray
    at_risk: FloatArray
    events: FloatArray

    def __call__(self, time: npt.ArrayLike) -> FloatArray:
        """Survival just after ``time``."""
        return self._after(np.searchsorted(self.times, time, side="right"))

    def before(self, time: npt.ArrayLike) -> FloatArray:
        """Survival just before ``time``."""
        return self._after(np.searchsorted(self.times, time, side="left"))

    def greenwood(self, time: npt.ArrayLike) -> FloatArray:
        """Greenwood's sum Σ d / (Y (Y − d)) up to ``time``: the variance of log survival, infinite where it is 0."""
        left = self.at_risk - self.events
        terms = np.divide(self.events, self.at_risk * left, out=np.full(left.shape, np.inf), where=left > 0)
        return np.asarray(np.append(0.0, np.cumsum(terms))[np.searchsorted(self.times, time, side="right")])

    def _after(self, steps: npt.NDArray[np.intp] | np.intp) -> FloatArray:
        return np.asarray(np.concatenate([[1.0], self.values])[steps])


def kaplan_meier(time: npt.ArrayLike, event: npt.ArrayLike) -> StepFunction:
    """Kaplan–Meier curve of staying free of relapse.

    Parameters
    ----------
    time : array (n,)
        Follow-up until relapse or censoring, any unit, not negative.
    event : array (n,)
        1 relapse, 0 censored. At equal times relapses come first.

    Raises
    ------
    ValueError
        If lengths differ, a time is negative or not finite, or an event is neither 0 nor 1.

    References
    ----------
    Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. JASA 53.
    """
    times, events = follow_up(time, event)
    moments, falls = np.unique(times[events], return_counts=True)
    at_risk = times.size - np.searchsorted(np.sort(times), moments, side="left")
    return _curve(moments, at_risk, falls)


def censoring_survival(time: npt.ArrayLike, event: npt.ArrayLike) -> StepFunction:
    """Reverse Kaplan–Meier curve of staying uncensored, as R's ``prodlim(reverse=TRUE)``.

    At equal times relapses come first, so a row that relapses at a time is no longer at risk of being censored at it.
    Arguments and errors are those of :func:`kaplan_meier`.
    """
    times, events = follow_up(time, event)
    moments, falls = np.unique(times[~events], return_counts=True)
    at_risk = times.size - np.searchsorted(np.sort(times), moments, side="left")
    relapses = np.sort(times[events])
    at_once = np.searchsorted(relapses, moments, side="right") - np.searchsorted(relapses, moments, side="left")
    return _curve(moments, at_risk - at_once, falls)


def _curve(moments: FloatArray, at_risk: npt.NDArray[np.int64], falls: npt.NDArray[np.int64]) -> StepFunction:
    risk, fall = at_risk.astype(np.float64), falls.astype(np.float64)
    return StepFunction(moments, np.asarray(np.cumprod(1 - fall / risk)), risk, fall)


def pseudo_risks(time: npt.ArrayLike, event: npt.ArrayLike, horizon: float) -> FloatArray:
    """Jackknife pseudo-values of the risk of relapse by ``horizon``: what censored rows put in place of 0 or 1.

    Parameters
    ----------
    time, event : array (n,)
        See :func:`kaplan_meier`.
    horizon : float
        In the unit of ``time``.

    Returns
    -------
    array (n,)
        Can fall outside [0, 1]; equals the outcome itself where nothing is censored. O(n·log n), by leaving rows out
        of the product in closed form.

    References
    ----------
    Andersen PK, Klein JP, Rosthøj S (2003). Generalised linear models for correlated pseudo-observations, with
    applications to multi-state models. Biometrika 90.
    """
    times, events = follow_up(time, event)
    curve = kaplan_meier(times, events)
    upto = curve.times <= horizon
    at_risk, falls = curve.at_risk[upto], curve.events[upto]
    after = np.concatenate([np.cumprod((1 - falls / at_risk)[::-1])[::-1], [1.0]])
    fewer = np.maximum(at_risk - 1, 1.0)
    before = np.concatenate([[1.0], np.cumprod(1 - falls / fewer)])
    first = np.searchsorted(curve.times[upto], times, side="left")
    last = np.searchsorted(curve.times[upto], times, side="right")
    own = np.ones(times.size)
    at_step = last > first
    step = first[at_step]
    own[at_step] = 1 - (falls[step] - events[at_step]) / fewer[step]
    without = before[first] * own * after[last]
    return np.asarray(1 - times.size * float(curve(horizon)) + (times.size - 1) * without)
