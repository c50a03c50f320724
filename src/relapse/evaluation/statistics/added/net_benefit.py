"""How much more net benefit one risk has than another, at each threshold and over all of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray
from relapse.evaluation.statistics.decisions.decision_curve import acting_points
from relapse.evaluation.statistics.decisions.gain import net_benefit_replicates, net_benefit_replicates_at_horizon
from relapse.evaluation.statistics.intervals import percentile, resample_counts
from relapse.evaluation.statistics.results import Estimate

_METHOD = "bootstrap by patient, paired"


@dataclass(frozen=True, slots=True)
class NetBenefitDifference:
    """Net benefit of a first risk less that of a second.

    Attributes
    ----------
    thresholds : risks from which one would act, k of them
    differences : at each threshold, true positives per patient gained at an equal number of false ones
    mean : over the thresholds
    """

    thresholds: tuple[float, ...]
    differences: tuple[Estimate, ...]
    mean: Estimate


def net_benefit_difference(
    event: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    thresholds: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> NetBenefitDifference:
    """Difference of net benefit of two risks of a binary outcome, with intervals from the same resampled patients.

    Parameters
    ----------
    event, thresholds : array (n,), (k,)
        See :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit`.
    first, second : array (n,)
        Probabilities of relapse, in [0, 1].
    weights : integer array (B, n)
        Row counts, as of :func:`relapse.evaluation.statistics.intervals.patient_weights`. With both outcomes as strata
        the share that relapses is the same in every resample.
    level : float
        Coverage of the percentile intervals, each of one threshold alone.

    Raises
    ------
    ValueError
        As :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit`; or if ``weights`` does not fit.

    References
    ----------
    Vickers AJ, Elkin EB (2006). Decision curve analysis. Medical Decision Making 26.
    Vickers AJ, Cronin AM, Elkin EB, Gonen M (2008). Extensions to decision curve analysis, a novel method for
    evaluating diagnostic tests, prediction models and molecular markers. BMC Med Inform Decis Mak 8.
    """
    counts = _with_data(weights, np.size(event))
    one, two = (net_benefit_replicates(event, risk, thresholds, counts) for risk in (first, second))
    return _difference(one - two, acting_points(thresholds), level)


def net_benefit_difference_at_horizon(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    horizon: float,
    thresholds: npt.ArrayLike,
    weights: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> NetBenefitDifference:
    """The same for risks at a horizon, under censoring.

    Parameters
    ----------
    time, event, horizon, thresholds
        See :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit_at_horizon`.
    first, second : array (n,)
        Probabilities of relapse by the horizon, in [0, 1].
    weights, level
        See :func:`net_benefit_difference`.

    Returns
    -------
    NetBenefitDifference
        NaN at a threshold where nobody whom one of the risks calls was followed up to the horizon; the mean is over
        the other thresholds.

    Raises
    ------
    ValueError
        As :func:`relapse.evaluation.statistics.decisions.decision_curve.net_benefit_at_horizon`; or if ``weights``
        does not fit.
    """
    counts = _with_data(weights, np.size(time))
    one, two = (
        net_benefit_replicates_at_horizon(time, event, risk, horizon, thresholds, counts) for risk in (first, second)
    )
    return _difference(one - two, acting_points(thresholds), level)


def _with_data(weights: npt.ArrayLike, size: int) -> npt.NDArray[np.int64]:
    """The resamples (B, n) after the data themselves as the first row."""
    counts = resample_counts(weights, size)
    return np.vstack([np.ones((1, size), dtype=counts.dtype), counts])


def _difference(found: FloatArray, points: FloatArray, level: float) -> NetBenefitDifference:
    known = np.isfinite(found)
    sums, terms = np.where(known, found, 0.0).sum(axis=1), known.sum(axis=1)
    mean = np.divide(sums, terms, out=np.full(len(found), np.nan), where=terms > 0)

    def estimate(values: FloatArray) -> Estimate:
        return percentile(float(values[0]), values[1:], level=level, method=_METHOD)

    return NetBenefitDifference(tuple(points.tolist()), tuple(estimate(column) for column in found.T), estimate(mean))
