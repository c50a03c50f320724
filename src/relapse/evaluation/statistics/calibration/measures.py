"""Calibration: do risks mean what they say, for a binary outcome and at a horizon under censoring."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from relapse.evaluation.statistics.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    both_classes,
    cluster_codes,
    follow_up,
    positive_horizon,
    risks,
    sum_by,
)
from relapse.evaluation.statistics.calibration.regression import (
    Fit,
    cox,
    logistic,
    pseudo_value_regression,
    restricted_cubic_spline,
)
from relapse.evaluation.statistics.calibration.smooth import lowess
from relapse.evaluation.statistics.normal import log_wald, quantile, wald
from relapse.evaluation.statistics.results import Estimate
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier, pseudo_risks

_POINTS = 101


@dataclass(frozen=True)
class CalibrationCurve:
    """A smooth calibration curve at up to 101 risks; every attribute is an array (m,).

    Attributes
    ----------
    predicted : ascending risks, between the smallest and the largest given
    observed : smoothed share that relapses
    lower, upper : pointwise Wald band, cut at 0 and 1
    """

    predicted: FloatArray
    observed: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Calibration:
    """How well risks are calibrated.

    Attributes
    ----------
    slope : 1 is right, below 1 risks are too extreme
    intercept : of the line with that slope free, 0 is right
    in_the_large : intercept with the slope held at 1; 0 is right, above 0 risks are too low
    observed_expected : observed relapses over expected ones, 1 is right
    ici : mean distance of risk and smooth curve over the rows (integrated calibration index)
    e50, e90, emax : median, 90th percentile and largest of these distances
    curve : the smooth curve
    excluded : rows with a risk of exactly 0 or 1, which have no place on a logit or log-log scale
    """

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate
    observed_expected: Estimate
    ici: float
    e50: float
    e90: float
    emax: float
    curve: CalibrationCurve
    excluded: int


def calibration_binary(
    event: npt.ArrayLike, risk: npt.ArrayLike, *, clusters: npt.ArrayLike | None = None, level: float = 0.95
) -> Calibration:
    """Calibration of risks of a binary outcome.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    risk : array (n,)
        Probability of relapse, in [0, 1].
    clusters : array (n,), optional
        Patient of each row; where patients repeat, standard errors are the sandwich by patient.
    level : float
        Coverage of the intervals and of the band.

    Returns
    -------
    Calibration
        Slope and intercepts are logistic regressions on logit(risk); the curve is lowess without robust iterations
        (R's ``rms::val.prob``), and its band takes rows as independent. NaN where a regression has no finite maximum
        (constant risks, separated outcomes).

    Raises
    ------
    ValueError
        If lengths differ, a risk lies outside [0, 1], an event is neither 0 nor 1, or one class is missing.

    References
    ----------
    Cox DR (1958). Two further applications of a model for binary regression. Biometrika 45.
    Van Calster B, McLernon DJ, van Smeden M, Wynants L, Steyerberg EW (2019). Calibration: the Achilles heel of
    predictive analytics. BMC Medicine 17.
    Austin PC, Steyerberg EW (2019). The Integrated Calibration Index (ICI) and related metrics for quantifying the
    calibration of logistic regression models. Statistics in Medicine 38.
    """
    outcome = both_classes(event)
    values = risks(risk, outcome.size)
    all_codes = cluster_codes(clusters, outcome.size)
    repeated = bool(all_codes.max() + 1 < all_codes.size)
    inside = (values > 0) & (values < 1)
    line = special.logit(values[inside])
    codes = all_codes[inside] if repeated else None
    ones = np.ones((line.size, 1))
    free = logistic(np.column_stack([ones, line]), outcome[inside], np.zeros(line.size), codes)
    fixed = logistic(ones, outcome[inside], line, codes)
    method = "logistic, sandwich by patient" if repeated else "logistic"

    order = np.argsort(values, kind="stable")
    smooth = lowess(values[order], outcome[order].astype(np.float64))
    predicted = _grid(values)
    observed, noise = (np.interp(predicted, values[order], part) for part in (smooth.fitted, smooth.noise))
    reach = quantile(level) * noise
    share = float(outcome.mean())
    share_variance = _share_variance(outcome, all_codes, repeated=repeated)
    ici, e50, e90, emax = _distances(np.abs(values[order] - smooth.fitted))
    return Calibration(
        slope=_coefficient(free, 1, level, method),
        intercept=_coefficient(free, 0, level, method),
        in_the_large=_coefficient(fixed, 0, level, method),
        observed_expected=_observed_expected(share, float(values.mean()), share_variance / share**2, level),
        ici=ici,
        e50=e50,
        e90=e90,
        emax=emax,
        curve=CalibrationCurve(predicted, observed, np.clip(observed - reach, 0, 1), np.clip(observed + reach, 0, 1)),
        excluded=int(np.count_nonzero(~inside)),
    )


def calibration_at_horizon(
    time: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike, horizon: float, *, level: float = 0.95
) -> Calibration:
    """Calibration of risks at a horizon, under censoring.

    Parameters
    ----------
    time : array (n,)
        Follow-up until relapse or censoring, any unit, not negative.
    event : array (n,)
        1 relapse, 0 censored.
    risk : array (n,)
        Probability of relapse by the horizon, in [0, 1].
    horizon : float
        In the unit of ``time``.
    level : float
        Coverage of the intervals and of the band.

    Returns
    -------
    Calibration
        ``slope``: Cox regression of follow-up, cut at the horizon, on log(−log(1 − risk)). ``in_the_large`` and
        ``intercept``: pseudo-values of the risk regressed on the same with a complementary log-log link, slope held
        at 1 and free, with the sandwich variance. ``observed_expected``: 1 − Kaplan–Meier at the horizon over the
        mean risk, interval from Greenwood's variance. Curve: Cox regression on a restricted cubic spline with 3 knots
        (a line where fewer than 3 quantiles differ) over the whole follow-up, predicted at the horizon. NaN where a
        regression has no finite maximum, and everywhere if no row was followed up to the horizon.

    Raises
    ------
    ValueError
        If lengths differ, a time is negative, a risk lies outside [0, 1], an event is neither 0 nor 1, or the horizon
        is not positive.

    References
    ----------
    Austin PC, Harrell FE, van Klaveren D (2020). Graphical calibration curves and the integrated calibration index
    (ICI) for survival models. Statistics in Medicine 39.
    van Geloven N, Giardiello D, Bonneville EF, et al. (2022). Validation of prediction models in the presence of
    competing risks: a guide through modern methods. BMJ 377 (pseudo-values).
    McLernon DJ, Giardiello D, Van Calster B, et al. (2023). Assessing performance and clinical usefulness in
    prediction models with survival outcomes. Annals of Internal Medicine 176.
    """
    times, events = follow_up(time, event)
    values = risks(risk, times.size)
    at = positive_horizon(horizon)
    inside = (values > 0) & (values < 1)
    if times.max() < at:
        return _not_followed(values, inside)
    line = _log_log(values[inside])
    cut = cox(line[:, None], np.minimum(times, at)[inside], (events & (times <= at))[inside])
    pseudo = pseudo_risks(times, events, at)[inside]
    ones = np.ones((line.size, 1))
    free = pseudo_value_regression(pseudo, np.column_stack([ones, line]), np.zeros(line.size))
    fixed = pseudo_value_regression(pseudo, ones, line)
    curve = kaplan_meier(times, events)
    free_of_relapse = float(curve(at))
    observed = 1 - free_of_relapse
    variance = free_of_relapse**2 * float(curve.greenwood(at)) if free_of_relapse > 0 else float("nan")
    log_variance = variance / observed**2 if observed > 0 else float("nan")
    smooth, distances = _cox_curve(times[inside], events[inside], values[inside], at, level)
    ici, e50, e90, emax = _distances(distances)
    return Calibration(
        slope=_coefficient(cut.fit if cut else None, 0, level, "Cox"),
        intercept=_coefficient(free, 0, level, "pseudo-values"),
        in_the_large=_coefficient(fixed, 0, level, "pseudo-values"),
        observed_expected=_observed_expected(observed, float(values.mean()), log_variance, level),
        ici=ici,
        e50=e50,
        e90=e90,
        emax=emax,
        curve=smooth,
        excluded=int(np.count_nonzero(~inside)),
    )


def _not_followed(risk: FloatArray, inside: BoolArray) -> Calibration:
    """Return what can be said of calibration at a horizon that nobody reached: nothing."""
    missing, nan = Estimate(value=float("nan"), method="no follow-up to the horizon"), float("nan")
    predicted = _grid(risk)
    nothing = np.full(predicted.size, nan)
    curve = CalibrationCurve(predicted, nothing, nothing, nothing)
    excluded = int(np.count_nonzero(~inside))
    return Calibration(missing, missing, missing, missing, nan, nan, nan, nan, curve, excluded)


def _log_log(risk: FloatArray) -> FloatArray:
    return np.asarray(np.log(-np.log1p(-risk)))


def _risk(log_hazard: FloatArray) -> FloatArray:
    """Risk of a cumulative hazard; beyond exp(50), which a band of few events can reach, it is 1 anyway."""
    return np.asarray(-np.expm1(-np.exp(np.minimum(log_hazard, 50.0))))


def _grid(risk: FloatArray) -> FloatArray:
    """Risks at which to draw a curve: the distinct ones, or 101 evenly spaced where there are more."""
    distinct = np.unique(risk)
    return distinct if distinct.size <= _POINTS else np.linspace(distinct[0], distinct[-1], _POINTS)


def _coefficient(fit: Fit | None, index: int, level: float, method: str) -> Estimate:
    if fit is None:
        return Estimate(value=float("nan"), method=method)
    return wald(float(fit.coefficients[index]), float(fit.covariance[index, index]), level=level, method=method)


def _share_variance(outcome: BoolArray, codes: IntArray, *, repeated: bool) -> float:
    """Variance of the observed share: binomial, or between patients where they repeat (NaN for a single one)."""
    deviations = sum_by(codes, outcome - outcome.mean())
    variance = float(deviations @ deviations) / outcome.size**2
    if not repeated:
        return variance
    return variance * deviations.size / (deviations.size - 1) if deviations.size > 1 else float("nan")


def _observed_expected(observed: float, expected: float, log_variance: float, level: float) -> Estimate:
    ratio = observed / expected if expected > 0 else float("nan")
    return log_wald(ratio, log_variance, level=level, method="observed / expected")


def _distances(distances: FloatArray) -> tuple[float, float, float, float]:
    if not distances.size:
        return (float("nan"),) * 4
    median, ninetieth = np.quantile(distances, [0.5, 0.9])
    return float(distances.mean()), float(median), float(ninetieth), float(distances.max())


def _cox_curve(
    time: FloatArray, event: BoolArray, risk: FloatArray, horizon: float, level: float
) -> tuple[CalibrationCurve, FloatArray]:
    """Smooth curve at the horizon, and the distance of every risk from it."""
    predicted = _grid(risk)
    knots = np.unique(np.quantile(_log_log(risk), [0.1, 0.5, 0.9])) if risk.size else risk
    fit = cox(restricted_cubic_spline(_log_log(risk), knots), time, event) if risk.size else None
    if fit is None or not (fit.event_times <= horizon).any():
        nothing = np.full(predicted.size, np.nan)
        return CalibrationCurve(predicted, nothing, nothing, nothing), np.full(risk.size, np.nan)

    def at_horizon(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        return fit.log_cumulative_hazard(restricted_cubic_spline(_log_log(values), knots), horizon)

    hazard, se = at_horizon(predicted)
    reach = quantile(level) * se
    curve = CalibrationCurve(predicted, *(_risk(hazard + shift) for shift in (0.0, -reach, reach)))
    return curve, np.abs(risk - _risk(at_horizon(risk)[0]))
