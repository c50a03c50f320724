"""Wald intervals and z tests: the one place where a standard error becomes an interval or a p-value."""

import math

import numpy as np
from scipy import special, stats

from relapse.evaluation.statistics.results import Estimate, PairedTest


def quantile(level: float) -> float:
    """Two-sided normal quantile of a coverage ``level``.

    Raises
    ------
    ValueError
        If the level does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: {level} is not allowed; it must lie between 0 and 1")
    return float(stats.norm.ppf((1 + level) / 2))


def standard_error(variance: float) -> float:
    """Square root of a variance; NaN where it was estimated below zero."""
    return math.sqrt(variance) if variance >= 0 else float("nan")


def wald(
    value: float,
    variance: float,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    method: str = "Wald",
) -> Estimate:
    """Estimate with the interval value ± z·se, cut at ``bounds``."""
    se = standard_error(variance)
    reach = quantile(level) * se
    # max and min of Python would turn a NaN bound into the limit itself
    lower, upper = (float(np.clip(end, *bounds)) for end in (value - reach, value + reach))
    return Estimate(value=value, lower=lower, upper=upper, se=se, method=method)


def logit_wald(value: float, variance: float, *, level: float = 0.95, method: str = "logit") -> Estimate:
    """Estimate of a proportion with a Wald interval on the logit scale; no interval at 0 and 1, where logit ends."""
    se = standard_error(variance)
    if not 0 < value < 1:
        return Estimate(value=value, se=se, method=method)
    centre = special.logit(value)
    reach = quantile(level) * se / (value * (1 - value))
    lower, upper = special.expit([centre - reach, centre + reach])
    return Estimate(value=value, lower=float(lower), upper=float(upper), se=se, method=method)


def log_wald(value: float, log_variance: float, *, level: float = 0.95, method: str = "log") -> Estimate:
    """Estimate of a positive ratio with a Wald interval on the log scale; ``log_variance`` is that of log(value)."""
    if not value > 0:
        return Estimate(value=value, method=method)
    log_se = standard_error(log_variance)
    factor = math.exp(quantile(level) * log_se)
    return Estimate(value=value, lower=value / factor, upper=value * factor, se=value * log_se, method=method)


def wilson(share: float, size: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a ``share`` of ``size`` independent rows; never empty, not even at 0 or 1.

    References
    ----------
    Wilson EB (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    """
    z = quantile(level)
    centre = share + z * z / (2 * size)
    reach = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size))
    lower, upper = (centre - reach) / (1 + z * z / size), (centre + reach) / (1 + z * z / size)
    # rounding must not push an end off a share of exactly 0 or 1
    return max(0.0, min(lower, share)), min(1.0, max(upper, share))


def paired_z_test(first: float, second: float, variance: float, *, level: float = 0.95, method: str) -> PairedTest:
    """Two-sided z test of first minus second, given the variance of the difference.

    No difference with no variance is z = 0 and p = 1. A difference with no variance, or a variance estimated below
    zero, cannot be judged: z and p are NaN.
    """
    difference = first - second
    se = standard_error(variance)
    reach = quantile(level) * se
    if variance > 0:
        z = difference / se
        p = float(2 * stats.norm.sf(abs(z)))
    elif variance == 0 and difference == 0:
        z, p = 0.0, 1.0
    else:
        z = p = float("nan")
    return PairedTest(
        difference=difference, lower=difference - reach, upper=difference + reach, statistic=z, p=p, method=method
    )
