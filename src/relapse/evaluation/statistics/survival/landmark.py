"""Where every row stands at a horizon when follow-up is censored, and the weights that make up for censoring.

A row counts as a case if it relapsed by the horizon (an event exactly at it included), as a control if it was followed
beyond it. A row censored before the horizon is neither; the others stand in for it by weights, the inverse probability
of not having been censored (IPCW). The definitions are those of R's ``riskRegression::Score``.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import BoolArray, FloatArray, follow_up, positive_horizon
from relapse.evaluation.statistics.survival.kaplan_meier import censoring_survival


@dataclass(frozen=True)
class Landmark:
    """Where every row stands at a horizon.

    Attributes
    ----------
    time, event : array (n,)
    horizon : float
    case, control : bool array (n,)
        Relapsed by the horizon, or followed beyond it.
    weight : array (n,)
        1/G(T−) for cases, 1/G(horizon) for controls, 0 for rows censored before; G is staying uncensored.
    """

    time: FloatArray
    event: BoolArray
    horizon: float
    case: BoolArray
    control: BoolArray
    weight: FloatArray

    def censoring_share(self, amounts: FloatArray, until: FloatArray) -> FloatArray:
        """Influence of every row on Σ amounts[i] / G(until[i]−) by way of the estimated G, relative to 1/G.

        Parameters
        ----------
        amounts : array (n,)
            Terms of a sum that already hold their weight 1/G.
        until : array (n,)
            Where G was looked up for each.

        Returns
        -------
        array (n,)
            Derivative of the sum by each row's weight, through the cumulative hazard of censoring.
        """
        moments, drops = np.unique(self.time[~self.event], return_counts=True)
        ordered = np.sort(self.time)
        at_risk = self.time.size - np.searchsorted(ordered, moments, side="left")
        by_time = np.argsort(until)
        tail = np.concatenate([np.cumsum(amounts[by_time][::-1])[::-1], [0.0]])
        exposed = tail[np.searchsorted(until[by_time], moments, side="right")]
        spent = np.concatenate([[0.0], np.cumsum(drops / at_risk**2.0 * exposed)])
        shares = -spent[np.searchsorted(moments, self.time, side="right")]
        own = np.searchsorted(moments, self.time[~self.event])
        shares[~self.event] += exposed[own] / at_risk[own]
        return np.asarray(shares)


def landmark(time: npt.ArrayLike, event: npt.ArrayLike, horizon: float) -> Landmark:
    """Sort rows into cases, controls and neither at ``horizon``, with their weights.

    Parameters
    ----------
    time : array (n,)
        Follow-up until relapse or censoring, any unit, not negative.
    event : array (n,)
        1 relapse, 0 censored.
    horizon : float
        In the unit of ``time``.

    Raises
    ------
    ValueError
        If lengths differ, a time is negative or not finite, an event is neither 0 nor 1, or the horizon not positive.
    """
    times, events = follow_up(time, event)
    at = positive_horizon(horizon)
    censoring = censoring_survival(times, events)
    case, control = events & (times <= at), times > at
    weight = np.zeros(times.size)
    weight[case] = 1 / censoring.before(times[case])
    if control.any():
        weight[control] = 1 / float(censoring(at))
    return Landmark(times, events, at, case, control, weight)
