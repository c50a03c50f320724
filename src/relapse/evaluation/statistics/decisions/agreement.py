"""Agreement of two models' decisions on the same rows: McNemar's test, and its forms for patients with several rows."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from relapse.evaluation.statistics.arrays import cluster_codes, indicator, sum_by
from relapse.evaluation.statistics.normal import quantile, wilson
from relapse.evaluation.statistics.results import Estimate, PairedTest

McNemarMethod = Literal["exact", "midp", "chi2", "corrected"]
_NAMES: dict[McNemarMethod, str] = {
    "exact": "McNemar, exact",
    "midp": "McNemar, mid-p",
    "chi2": "McNemar, chi-square",
    "corrected": "McNemar, chi-square, corrected",
}

ClusteredMethod = Literal["obuchowski", "durkalski"]
_CLUSTERED: dict[ClusteredMethod, str] = {
    "obuchowski": "McNemar, clustered (Obuchowski)",
    "durkalski": "McNemar, clustered (Durkalski)",
}


def mcnemar(
    first_correct: npt.ArrayLike,
    second_correct: npt.ArrayLike,
    *,
    method: McNemarMethod = "exact",
    level: float = 0.95,
) -> PairedTest:
    """Test whether two models are right equally often on the same rows.

    Parameters
    ----------
    first_correct, second_correct : array (n,)
        1 where the model decided rightly. Give only the rows with the event to compare sensitivities, only the
        others to compare specificities. Rows must be independent: one a patient; else :func:`mcnemar_clustered`.
    method : {"exact", "midp", "chi2", "corrected"}
        See :func:`mcnemar_table`.
    level : float
        Coverage of the interval of the difference.

    Raises
    ------
    ValueError
        If lengths differ or a value is neither 0 nor 1.
    """
    one = indicator("first_correct", first_correct)
    two = indicator("second_correct", second_correct, one.size)
    return mcnemar_table(
        both=int(np.count_nonzero(one & two)),
        only_first=int(np.count_nonzero(one & ~two)),
        only_second=int(np.count_nonzero(~one & two)),
        neither=int(np.count_nonzero(~one & ~two)),
        method=method,
        level=level,
    )


def mcnemar_table(
    *, both: int, only_first: int, only_second: int, neither: int, method: McNemarMethod = "exact", level: float = 0.95
) -> PairedTest:
    """Test the two discordant counts of a 2×2 table against each other.

    Parameters
    ----------
    both, only_first, only_second, neither : int
        Rows that both models got right, one alone, or neither.
    method : {"exact", "midp", "chi2", "corrected"}
        Exact binomial (doubled smaller tail, at most 1); the same less the probability of the observed table; the
        chi-square; the chi-square with the continuity correction, which is dropped where both counts are equal.
    level : float
        Coverage of the interval of the difference.

    Returns
    -------
    PairedTest
        Share right of the first minus that of the second, with Newcombe's interval. Without a discordant row p is 1
        for the exact tests, and NaN for the chi-square, which does not exist there.

    Raises
    ------
    ValueError
        If a count is negative, all are 0, or the method is unknown.

    References
    ----------
    McNemar Q (1947). Note on the sampling error of the difference between correlated proportions. Psychometrika 12.
    Fagerland MW, Lydersen S, Laake P (2013). The McNemar test for binary matched-pairs data. BMC Med Res Methodol 13.
    Newcombe RG (1998). Improved confidence intervals for the difference between binomial proportions based on paired
    data. Statistics in Medicine 17 (method 10).
    """
    counts = {"both": both, "only_first": only_first, "only_second": only_second, "neither": neither}
    for name, count in counts.items():
        if count < 0:
            raise ValueError(f"{name}: {count} is not allowed; a count is 0 or more")
    if sum(counts.values()) == 0:
        raise ValueError("both, only_first, only_second, neither: all are 0; at least one row is needed")
    if method not in _NAMES:
        raise ValueError(f"method: {method!r} is not allowed; one of {', '.join(map(repr, _NAMES))}")
    statistic, p = _test(only_first, only_second, method)
    difference = (only_first - only_second) / sum(counts.values())
    lower, upper = _newcombe(both, only_first, only_second, neither, level)
    return PairedTest(difference, lower, upper, statistic, p, _NAMES[method])


def mcnemar_clustered(
    first_correct: npt.ArrayLike,
    second_correct: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    method: ClusteredMethod = "obuchowski",
    level: float = 0.95,
) -> PairedTest:
    """Test whether two models are right equally often where a patient has several rows.

    Of patient k with n_k rows, d_k is the number of rows that the first model alone got right less that of the second
    alone. Patients are independent, rows of one need not be, so that the variance is that of the d_k.

    Parameters
    ----------
    first_correct, second_correct : array (n,)
        As in :func:`mcnemar`.
    clusters : array (n,)
        Patient of each row.
    method : {"obuchowski", "durkalski"}
        Rows count equally: chi-square (K - 1)/K (sum d_k)^2 / sum d_k^2 over the K patients, the difference is that of
        the shares of rows. Or patients count equally: (sum d_k/n_k)^2 / sum (d_k/n_k)^2, the difference is the mean of
        d_k/n_k; with a row a patient this is McNemar's chi-square.
    level : float
        Coverage of the interval of the difference.

    Returns
    -------
    PairedTest
        The chi-square with one degree of freedom, and Wald's interval from the variance between patients around the
        difference found (not around 0 as in the test), cut at -1 and 1. Where every patient's d_k is 0, the difference
        is 0 and p is 1. With one patient chi-square, p and interval are NaN.

    Raises
    ------
    ValueError
        If lengths differ, a value is neither 0 nor 1, or the method is unknown.

    References
    ----------
    Obuchowski NA (1998). On the comparison of correlated proportions for clustered data. Statistics in Medicine 17,
    1495-1507. Durkalski VL, Palesch YY, Lipsitz SR, Rust PF (2003). Analysis of clustered matched-pair data. Statistics
    in Medicine 22, 2417-2428. The form of the first as in Yang Z, Sun X, Hardin JW (2010). A note on the tests for
    clustered matched-pair binary data. Biometrical Journal 52, 638-652.
    """
    if method not in _CLUSTERED:
        raise ValueError(f"method: {method!r} is not allowed; one of {', '.join(map(repr, _CLUSTERED))}")
    one = indicator("first_correct", first_correct)
    two = indicator("second_correct", second_correct, one.size)
    codes = cluster_codes(clusters, one.size)
    surplus, rows = sum_by(codes, one.astype(np.float64) - two), sum_by(codes, np.ones(one.size))
    if method == "durkalski":
        surplus, rows = surplus / rows, np.ones_like(rows)
    patients = rows.size
    difference = float(surplus.sum() / rows.sum())
    missing = float("nan")
    if patients < 2:
        return PairedTest(difference, missing, missing, missing, missing, _CLUSTERED[method])
    shrunk = (patients - 1) / patients
    null = float(np.sum(surplus**2))
    statistic = float(surplus.sum()) ** 2 / null if null else 0.0
    if method == "obuchowski":
        statistic *= shrunk
    spread = float(np.sqrt(np.sum((surplus - rows * difference) ** 2) / shrunk)) / float(rows.sum())
    reach = quantile(level) * spread
    return PairedTest(
        difference,
        max(-1.0, difference - reach),
        min(1.0, difference + reach),
        statistic,
        float(stats.chi2.sf(statistic, 1)),
        _CLUSTERED[method],
    )


def discordant_odds_ratio(only_first: int, only_second: int, *, level: float = 0.95) -> Estimate:
    """Odds that the first model alone is right rather than the second alone, with the exact interval.

    Parameters
    ----------
    only_first, only_second : int
        Discordant counts, as in :func:`mcnemar_table`.
    level : float
        Coverage of the interval (Clopper and Pearson, on the share of the first).

    Returns
    -------
    Estimate
        only_first / only_second: infinite where the second is 0, NaN where both are.

    Raises
    ------
    ValueError
        If a count is negative or the level does not lie between 0 and 1.

    References
    ----------
    Fay MP (2010). Two-sided exact tests and matching confidence intervals for discrete data. The R Journal 2.
    """
    for name, count in (("only_first", only_first), ("only_second", only_second)):
        if count < 0:
            raise ValueError(f"{name}: {count} is not allowed; a count is 0 or more")
    quantile(level)  # refuses an impossible level
    tail = (1 - level) / 2
    low = float(stats.beta.ppf(tail, only_first, only_second + 1)) if only_first else 0.0
    high = float(stats.beta.ppf(1 - tail, only_first + 1, only_second)) if only_second else 1.0
    return Estimate(
        value=_odds(only_first, only_second), lower=_odds(low, 1 - low), upper=_odds(high, 1 - high), method="exact"
    )


def _odds(one: float, other: float) -> float:
    if other > 0:
        return one / other
    return float("inf") if one > 0 else float("nan")


def _test(only_first: int, only_second: int, method: McNemarMethod) -> tuple[float | None, float]:
    discordant, smaller = only_first + only_second, min(only_first, only_second)
    if method in ("exact", "midp"):
        tail = float(2 * stats.binom.cdf(smaller, discordant, 0.5))
        point = float(stats.binom.pmf(smaller, discordant, 0.5)) if method == "midp" and discordant else 0.0
        return None, min(1.0, tail - point)
    if discordant == 0:
        return float("nan"), float("nan")
    distance = abs(only_first - only_second)
    # R drops the correction where both counts are equal, or |b − c| − 1 would be squared from −1
    corrected = max(distance - 1, 0) if method == "corrected" else distance
    statistic = corrected**2 / discordant
    return statistic, float(stats.chi2.sf(statistic, 1))


def _newcombe(both: int, only_first: int, only_second: int, neither: int, level: float) -> tuple[float, float]:
    """Newcombe's interval: Wilson's limits of both shares, joined with their correlation."""
    size = both + only_first + only_second + neither
    shares = (both + only_first) / size, (both + only_second) / size
    limits = [wilson(share, size, level=level) for share in shares]
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    cross = float(both * neither - only_first * only_second)
    if cross > 0:
        cross = max(cross - size / 2, 0)  # Newcombe's continuity correction of phi, for positive association only
    phi = cross / math.sqrt(margins) if margins else 0.0
    (low_one, high_one), (low_two, high_two) = limits
    down, up = (shares[0] - low_one, high_two - shares[1]), (high_one - shares[0], shares[1] - low_two)
    difference = shares[0] - shares[1]
    lower, upper = (math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0)) for a, b in (down, up))
    return difference - lower, difference + upper
