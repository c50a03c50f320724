"""Small fits that evaluation needs: logistic, Poisson, Cox and pseudo-value regression with few columns.

The first three are convex, so Newton's method with halved steps finds the one maximum. They run on risks, splines of
risks, and a score beside the clinic's covariates; the models under evaluation are fitted elsewhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import linalg, optimize, special

from relapse.evaluation.statistics.arrays import BoolArray, FloatArray, IntArray, sum_by

Likelihood = Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]


@dataclass(frozen=True)
class Fit:
    """Coefficients of a regression.

    Attributes
    ----------
    coefficients : array (p,)
    covariance : array (p, p)
        Inverse observed information, or the sandwich where clusters were given.
    log_likelihood : float
        NaN where the fit is not by maximum likelihood.
    """

    coefficients: FloatArray
    covariance: FloatArray
    log_likelihood: float = float("nan")


def _maximise(likelihood: Likelihood, size: int, ridge: FloatArray | None, steps: int = 50) -> Fit | None:
    """Newton's method from 0; None where there is no finite maximum (separated outcomes, a constant column)."""
    if not size:
        return Fit(np.empty(0), np.empty((0, 0)), likelihood(np.empty(0))[0])
    penalised = likelihood if ridge is None else _penalised(likelihood, ridge)
    # a likelihood without a maximum is followed until it overflows, which is then no finite maximum
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _newton(penalised, np.zeros(size), steps)


def _penalised(likelihood: Likelihood, ridge: FloatArray) -> Likelihood:
    def penalised(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        value, gradient, information = likelihood(beta)
        return value - float(ridge @ beta**2) / 2, gradient - ridge * beta, information + np.diag(ridge)

    return penalised


def _newton(likelihood: Likelihood, current: FloatArray, steps: int) -> Fit | None:
    size = current.size
    value, gradient, information = likelihood(current)
    at_start = information
    for _ in range(steps):
        if not np.isfinite(information).all() or np.linalg.matrix_rank(information, hermitian=True) < size:
            return None
        step = np.linalg.solve(information, gradient)
        proposal = likelihood(current + step)
        # near the maximum the likelihood is flat to rounding: there a step must not be refused
        while not proposal[0] >= value - 1e-9 * (abs(value) + 1) and np.abs(step).max() > 1e-12:
            step = step / 2
            proposal = likelihood(current + step)
        current, (value, gradient, information) = current + step, proposal
        if np.abs(step).max() < 1e-10 * (1 + np.abs(current).max()):
            if linalg.eigvalsh(information, at_start)[0] < 1e-8:
                return None  # flat without end: the maximum lies at infinity
            return Fit(current, np.asarray(np.linalg.inv(information), dtype=np.float64), value)
        if np.abs(current).max() > 1e4:
            return None
    return None


def logistic(
    design: FloatArray,
    event: BoolArray,
    offset: FloatArray,
    codes: IntArray | None = None,
    ridge: FloatArray | None = None,
) -> Fit | None:
    """Logistic regression of ``event`` (n,) on ``design`` (n, p) with an offset (n,) on the logit scale.

    With ``codes`` (n,) the covariance is the sandwich over clusters, without correction for small samples; ``ridge``
    (p,) are penalties of the squared coefficients, halved. Returns None where there is no finite maximum.

    References
    ----------
    Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. Biometrika 73.
    """

    def likelihood(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        line = offset + design @ beta
        mean = special.expit(line)
        value = float(np.sum(event * line - np.logaddexp(0.0, line)))
        return value, design.T @ (event - mean), (design.T * (mean * (1 - mean))) @ design

    fit = _maximise(likelihood, design.shape[1], ridge)
    if fit is None or codes is None:
        return fit
    residual = event - special.expit(offset + design @ fit.coefficients)
    return _sandwich(fit, design.T * residual, codes)


def poisson(design: FloatArray, event: BoolArray, offset: FloatArray) -> Fit | None:
    """Poisson regression of ``event`` (n,) on ``design`` (n, p) with an offset (n,), the log of what was expected.

    Returns None where there is no finite maximum.
    """

    def likelihood(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        line = offset + design @ beta
        mean = np.exp(line)
        return float(np.sum(event * line - mean)), design.T @ (event - mean), (design.T * mean) @ design

    return _maximise(likelihood, design.shape[1], None)


def _sandwich(fit: Fit, residuals: FloatArray, codes: IntArray) -> Fit:
    """The fit with the covariance over clusters, from the score residuals (p, n) of its rows."""
    scores = sum_by(codes, residuals)
    return Fit(fit.coefficients, fit.covariance @ (scores @ scores.T) @ fit.covariance, fit.log_likelihood)


@dataclass(frozen=True)
class CoxFit:
    """A Cox regression and what is needed to predict from it.

    Attributes
    ----------
    fit : Fit
    event_times : array (d,)
        Time of each relapse, ascending.
    hazard_steps : array (d,)
        Baseline hazard at each relapse, for a row of zeros.
    mean_steps : array (d, p)
        Hazard step times the mean of the columns in the risk set at each relapse.
    """

    fit: Fit
    event_times: FloatArray
    hazard_steps: FloatArray
    mean_steps: FloatArray

    def log_cumulative_hazard(self, design: FloatArray, horizon: float) -> tuple[FloatArray, FloatArray]:
        """Log cumulative hazard at ``horizon`` for rows (m, p), and its standard error, both (m,).

        References
        ----------
        Tsiatis AA (1981). A large sample study of Cox's regression model. Annals of Statistics 9.
        """
        upto = self.event_times <= horizon
        total = self.hazard_steps[upto].sum()
        centred = design - self.mean_steps[upto].sum(axis=0) / total
        variance = np.einsum("mp,pq,mq->m", centred, self.fit.covariance, centred)
        variance += np.sum(self.hazard_steps[upto] ** 2) / total**2
        return design @ self.fit.coefficients + np.log(total), np.sqrt(variance)


def cox(
    design: FloatArray,
    time: FloatArray,
    event: BoolArray,
    ties: Literal["efron", "breslow"] = "efron",
    codes: IntArray | None = None,
    ridge: FloatArray | None = None,
) -> CoxFit | None:
    """Cox regression on ``design`` (n, p), with Efron's or Breslow's treatment of ties.

    ``codes`` (n,) and ``ridge`` (p,) as in :func:`logistic`. Returns None where there is no relapse, or no finite
    maximum.

    References
    ----------
    Cox DR (1972). Regression models and life-tables. Journal of the Royal Statistical Society B 34.
    Efron B (1977). The efficiency of Cox's likelihood function for censored data. JASA 72.
    Lin DY, Wei LJ (1989). The robust inference for the Cox proportional hazards model. JASA 84.
    """
    if not event.any():
        return None
    order = np.lexsort((~event, time))
    rows, times, relapse = design[order], time[order], event[order]
    event_times = times[relapse]
    # who left before the first relapse is in no risk set, and far out would overflow
    rows = np.where(times[:, None] < event_times[0], 0.0, rows)
    at_risk_from = np.searchsorted(times, event_times, side="left")
    _, group, sizes = np.unique(event_times, return_inverse=True, return_counts=True)
    turn = np.arange(group.size) - (np.cumsum(sizes) - sizes)[group]
    # Efron: the k-th of d tied relapses leaves k/d of their weight out of the risk set
    left_out = turn / sizes[group] if ties == "efron" else np.zeros(group.size)
    outer = rows[:, :, None] * rows[:, None, :]

    def at_risk(values: FloatArray) -> FloatArray:
        following = np.cumsum(values[::-1], axis=0)[::-1][at_risk_from]
        tied = np.zeros((sizes.size, *values.shape[1:]))
        np.add.at(tied, group, values[relapse])
        return np.asarray(following - left_out.reshape(-1, *[1] * (values.ndim - 1)) * tied[group])

    def risk_sets(beta: FloatArray) -> tuple[FloatArray, ...]:
        weight = np.exp(rows @ beta)
        return tuple(at_risk(values) for values in (weight, weight[:, None] * rows, weight[:, None, None] * outer))

    def likelihood(beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        total, first, second = risk_sets(beta)
        mean = first / total[:, None]
        value = float(np.sum(rows[relapse] @ beta - np.log(total)))
        spread = second / total[:, None, None] - mean[:, :, None] * mean[:, None, :]
        return value, (rows[relapse] - mean).sum(axis=0), spread.sum(axis=0)

    fit = _maximise(likelihood, design.shape[1], ridge)
    if fit is None:
        return None
    total, first, _ = risk_sets(fit.coefficients)
    found = CoxFit(fit, event_times, 1 / total, first / total[:, None] ** 2)
    if codes is None:
        return found
    residuals = _score_residuals(found, rows, times, relapse, left_out)
    return replace(found, fit=_sandwich(fit, residuals.T, codes[order]))


def _score_residuals(
    found: CoxFit, rows: FloatArray, times: FloatArray, relapse: BoolArray, left_out: FloatArray
) -> FloatArray:
    """Score residuals (n, p) of rows in the order of time, as R's ``residuals(type="score")``.

    A row contributes its distance from the risk sets' mean at its relapse, less what it was expected to contribute
    while at risk; of several relapses at one time each has the mean of theirs, and is at risk less and less (Efron).
    """
    weight = np.exp(rows @ found.fit.coefficients)[:, None]
    steps = np.column_stack([found.hazard_steps, found.mean_steps])
    spent = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    exposed = spent[np.searchsorted(found.event_times, times, side="right")]
    # columns of what follows: hazard, then hazard times the mean of the risk set
    _, group, sizes = np.unique(found.event_times, return_inverse=True, return_counts=True)
    mean = np.zeros((sizes.size, rows.shape[1]))
    np.add.at(mean, group, found.mean_steps / found.hazard_steps[:, None] / sizes[group][:, None])
    excused = np.zeros((sizes.size, steps.shape[1]))
    np.add.at(excused, group, left_out[:, None] * steps)
    exposed[relapse] -= excused[group]
    residuals = -weight * (rows * exposed[:, :1] - exposed[:, 1:])
    residuals[relapse] += rows[relapse] - mean[group]
    return np.asarray(residuals)


def pseudo_value_regression(pseudo: FloatArray, design: FloatArray, offset: FloatArray) -> Fit | None:
    """Regress pseudo-values (n,) of a risk on ``design`` (n, p) with a complementary log-log link.

    Least squares with working independence and the sandwich covariance. Returns None where the columns are not
    independent or the fit does not converge.

    References
    ----------
    Andersen PK, Klein JP, Rosthøj S (2003). Generalised linear models for correlated pseudo-observations, with
    applications to multi-state models. Biometrika 90.
    """

    def line(beta: FloatArray) -> FloatArray:
        return np.clip(offset + design @ beta, -50.0, 5.0)

    def residual(beta: FloatArray) -> FloatArray:
        return -np.expm1(-np.exp(line(beta))) - pseudo

    def jacobian(beta: FloatArray) -> FloatArray:
        height = line(beta)
        return np.asarray(np.exp(height - np.exp(height))[:, None] * design)

    size = design.shape[1]
    if pseudo.size <= size or np.linalg.matrix_rank(design) < size:
        return None
    start = np.array([0.0, 1.0])[:size]
    found = optimize.least_squares(residual, start, jacobian, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12)
    slopes = jacobian(found.x)
    information = slopes.T @ slopes
    if not found.success or np.linalg.matrix_rank(information, hermitian=True) < size:
        return None
    bread = np.linalg.inv(information)
    scores = slopes * residual(found.x)[:, None]
    return Fit(found.x, bread @ (scores.T @ scores) @ bread)


def restricted_cubic_spline(values: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the columns (n, k − 1) of a cubic spline with k knots, linear outside them; the first is ``values``.

    References
    ----------
    Harrell FE (2015). Regression Modeling Strategies, 2nd edition, section 2.4.5.
    """
    if knots.size < 3:
        return values[:, None]
    last, before = knots[-1], knots[-2]

    def cube(knot: float) -> FloatArray:
        return np.maximum(values - knot, 0.0) ** 3

    columns = [values]
    for knot in knots[:-2]:
        back = (cube(before) * (last - knot) - cube(last) * (before - knot)) / (last - before)
        columns.append((cube(knot) - back) / (last - knots[0]) ** 2)
    return np.column_stack(columns)
