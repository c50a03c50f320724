"""Does a score add to the clinic's covariates: the likelihood-ratio test, and what the score weighs beside them."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from relapse.evaluation.statistics.arrays import FloatArray, IntArray, both_classes, cluster_codes, follow_up, numbers
from relapse.evaluation.statistics.calibration.regression import Fit, cox, logistic
from relapse.evaluation.statistics.normal import log_wald
from relapse.evaluation.statistics.results import Estimate

# Of the squared coefficient of a direction with mean square 1: too small to be seen where the data decide it.
_NEGLIGIBLE = 1e-3

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class AddedScore:
    """A score beside the clinic's covariates in one regression, and the test of whether it adds to them.

    Attributes
    ----------
    coefficient, se : of one standard deviation of the score: a log hazard ratio, or a log odds ratio
    ratio : the hazard or odds ratio of one standard deviation, with its Wald interval
    statistic : chi-square with one degree of freedom
    z : its root, signed as the coefficient; positive where a higher score goes with more, or earlier, relapses
    p : two-sided
    p_one_sided : against "the score adds nothing, or points the wrong way"
    method : the regression and the test
    """

    coefficient: float
    se: float
    ratio: Estimate
    statistic: float
    z: float
    p: float
    p_one_sided: float
    method: str


def likelihood_ratio_test(
    covariates: npt.ArrayLike,
    score: npt.ArrayLike,
    event: npt.ArrayLike,
    time: npt.ArrayLike | None = None,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> AddedScore:
    """Test a score beside clinical covariates in a Cox or a logistic regression.

    Parameters
    ----------
    covariates : array (n, k)
        The clinic's covariates as numbers, k may be 0. Columns that the others determine are no fault: only the space
        that they span matters.
    score : array (n,)
        Higher means relapse is more likely. Where it was learnt from these patients it has to be out-of-fold, each
        patient's from a model that has not seen her; else the test rejects far too often.
    event : array (n,)
        1 relapse, 0 none.
    time : array (n,), optional
        Follow-up until relapse or censoring. With it the regression is Cox's with Efron's ties, without it logistic.
    clusters : array (n,), optional
        Patient of each row. Where a patient has several rows the likelihood is not that of the data: the statistic is
        then Wald's with the sandwich by patient, times (K − 1)/K of K patients, and ``method`` says so.
    level : float
        Coverage of the interval of the ratio.

    Returns
    -------
    AddedScore
        All NaN where the covariates determine the score (a constant one), or where no finite coefficient of it exists
        (it separates the outcome). Covariates that separate the outcome, such as a rare level without a relapse, are
        held by a negligible ridge, and ``method`` says so: the likelihood ratio is then the limit that it tends to.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, an event is neither 0 nor 1, a time is negative, or no row or every
        row (without times) has the event.

    References
    ----------
    Cox DR (1972). Regression models and life-tables. Journal of the Royal Statistical Society B 34.
    Efron B (1977). The efficiency of Cox's likelihood function for censored data. JASA 72.
    Lin DY, Wei LJ (1989). The robust inference for the Cox proportional hazards model. JASA 84.
    """
    if time is None:
        outcome, times = both_classes(event), None
    else:
        times, outcome = follow_up(time, event)
        if not outcome.any():
            raise ValueError(f"event: none of {outcome.size} rows has the event; at least one is needed")
    values = numbers("score", score, outcome.size)
    basis = _basis(_table(covariates, outcome.size))
    codes = cluster_codes(clusters, outcome.size)
    repeated = bool(codes.max() + 1 < codes.size)
    method = "logistic regression" if times is None else "Cox regression, Efron's ties"
    method += ", Wald with sandwich by patient" if repeated else ", likelihood ratio"
    scaled = _standardised(values, basis)
    if scaled is None:
        return _undefined(f"{method}; the covariates determine the score")

    def fit(design: FloatArray, held: int) -> Fit | None:
        """With the first ``held`` coefficients under the negligible ridge."""
        ridge = np.where(np.arange(design.shape[1]) < held, _NEGLIGIBLE, 0.0) if held else None
        grouped: IntArray | None = codes if repeated else None
        if times is None:
            with_ones = np.column_stack([design, np.ones(outcome.size)])
            padded = None if ridge is None else np.append(ridge, 0.0)
            return logistic(with_ones, outcome, np.zeros(outcome.size), grouped, padded)
        if not design.shape[1]:
            return Fit(np.empty(0), np.empty((0, 0)), _null_cox(times, outcome))
        found = cox(design, times, outcome, codes=grouped, ridge=ridge)
        return None if found is None else found.fit

    held = 0
    without = fit(basis, held)
    if without is None and basis.shape[1]:
        held = basis.shape[1]
        without = fit(basis, held)
        method += "; covariates separate the outcome, held by a negligible ridge"
    both = None if without is None else fit(np.column_stack([basis, scaled]), held)
    if both is None or without is None:
        return _undefined(f"{method}; no finite coefficient")
    place = basis.shape[1]
    coefficient, variance = float(both.coefficients[place]), float(both.covariance[place, place])
    if repeated:
        patients = int(codes.max()) + 1
        variance *= patients / (patients - 1)
        statistic = coefficient**2 / variance
    else:
        # rounding must not turn a score that adds nothing into a negative chi-square
        statistic = max(0.0, 2 * (both.log_likelihood - without.log_likelihood))
    z = math.copysign(math.sqrt(statistic), coefficient)
    return AddedScore(
        coefficient=coefficient,
        se=math.sqrt(variance),
        ratio=log_wald(math.exp(coefficient), variance, level=level, method="Wald"),
        statistic=statistic,
        z=z,
        p=float(stats.chi2.sf(statistic, 1)),
        p_one_sided=float(stats.norm.sf(z)),
        method=method,
    )


def _table(covariates: npt.ArrayLike, size: int) -> FloatArray:
    table = np.asarray(covariates, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != size:
        raise ValueError(f"covariates: shape {table.shape}, but {size} rows elsewhere; (rows, columns) is needed")
    bad = int(np.count_nonzero(~np.isfinite(table)))
    if bad:
        raise ValueError(f"covariates: {bad} of {table.size} values are NaN or infinite; all must be finite")
    return table


def _basis(table: FloatArray) -> FloatArray:
    """Uncorrelated columns with mean 0 and mean square 1 that span the same as ``table`` beside a constant."""
    centred = table - table.mean(axis=0)
    spread = centred.std(axis=0)
    # a column is constant if it varies by no more than its rounding
    varies = spread > 1e-12 * np.abs(table).max(axis=0, initial=0.0)
    left, sizes, _ = np.linalg.svd(centred[:, varies] / spread[varies], full_matrices=False)
    kept = sizes > 1e-9 * sizes.max(initial=0.0)
    return np.asarray(left[:, kept] * math.sqrt(len(table)))


def _standardised(score: FloatArray, basis: FloatArray) -> FloatArray | None:
    """The score in standard deviations from its mean; None where it is constant or ``basis`` determines it."""
    centred = score - score.mean()
    spread = float(centred.std(ddof=1)) if score.size > 1 else 0.0
    if spread <= 1e-12 * np.abs(score).max():
        return None
    scaled = centred / spread
    own = scaled - basis @ (basis.T @ scaled) / len(basis)
    return scaled if own.std() > 1e-7 else None


def _null_cox(time: FloatArray, event: npt.NDArray[np.bool_]) -> float:
    """Efron's log partial likelihood without covariates."""
    moments, sizes = np.unique(time[event], return_counts=True)
    at_risk = time.size - np.searchsorted(np.sort(time), moments, side="left")
    turn = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return -float(np.log(np.repeat(at_risk, sizes) - turn).sum())


def _undefined(method: str) -> AddedScore:
    return AddedScore(_NAN, _NAN, Estimate(_NAN, method="Wald"), _NAN, _NAN, _NAN, _NAN, method)
