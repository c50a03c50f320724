"""Concordance of a risk score with time to relapse: Harrell's C, Uno's C, and the test of two correlated C-indices.

A pair is comparable if one row relapsed, and the other one was still followed without relapse after that time; a
censoring at the very time of a relapse is comparable with it, two relapses at one time are not. A pair is concordant
if the row that relapsed has the higher score; tied scores count one half.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, IntArray, cluster_codes, follow_up, numbers, sum_by
from relapse.evaluation.statistics.normal import paired_z_test, wald
from relapse.evaluation.statistics.ranking.counting import arrange, dense_rank, ordered_pairs
from relapse.evaluation.statistics.ranking.pairs import PairCounts, moments, pair_counts
from relapse.evaluation.statistics.ranking.triples import sign_products
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.evaluation.statistics.survival.kaplan_meier import censoring_survival

Variance = Literal["jackknife", "u-statistic"]


@dataclass(frozen=True)
class ConcordanceCounts:
    """Pairs by kind, as ``survival::concordance`` names them.

    ``tied_score`` are comparable pairs with equal scores; ``tied_time`` are pairs of relapses at one time with unequal
    scores, ``tied_both`` those with equal scores. The last two are not part of the C-index.
    """

    concordant: int
    discordant: int
    tied_score: int
    tied_time: int
    tied_both: int


def concordance(time: npt.ArrayLike, event: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Harrell's C-index in O(n log n).

    Parameters
    ----------
    time : array (n,)
        Follow-up until relapse or censoring, any unit, not negative.
    event : array (n,)
        1 relapse, 0 censored.
    score : array (n,)
        Higher means an earlier relapse is more likely.

    Returns
    -------
    float
        In [0, 1]; 0.5 for a constant score; NaN where no pair is comparable.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, a time is negative or an event is neither 0 nor 1.

    References
    ----------
    Harrell FE, Califf RM, Pryor DB, Lee KL, Rosati RA (1982). Evaluating the yield of medical tests. JAMA 247.
    """
    moment, events = moments(time, event)
    downward = dense_rank(-numbers("score", score, moment.size))
    tied = int(downward.max()) + 1 < moment.size
    sums = []
    for ties in (False, True) if tied else (False,):
        order, rows = arrange(moment, downward, ties=ties)
        early, late = events[rows][None].astype(np.int64), np.ones((1, rows.size), dtype=np.int64)
        sums.append(int(ordered_pairs(order, early, late)[0]))
    pairs = int((moment.size - np.searchsorted(np.sort(moment), np.sort(moment[events]), side="right")).sum())
    return sum(sums) / len(sums) / pairs if pairs else float("nan")


def concordance_counts(time: npt.ArrayLike, event: npt.ArrayLike, score: npt.ArrayLike) -> ConcordanceCounts:
    """Count pairs by kind; see :func:`concordance` for the arguments."""
    counts = pair_counts(time, event, score)
    moment, events = moments(time, event)
    at_once = _pairs_within(moment[events])
    both = _pairs_within(moment[events] * moment.size + dense_rank(np.asarray(score, dtype=np.float64))[events])
    concordant, tied, comparable = (int(column.sum()) for column in counts.as_first)
    return ConcordanceCounts(concordant, comparable - concordant - tied, tied, at_once - both, both)


def _pairs_within(labels: IntArray) -> int:
    """Count pairs of rows with one label."""
    sizes = np.unique(labels, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def concordance_estimate(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    variance: Variance = "jackknife",
    level: float = 0.95,
) -> Estimate:
    """Harrell's C-index with its standard error and a Wald interval, cut at 0 and 1.

    Parameters
    ----------
    time, event, score
        See :func:`concordance`.
    clusters : array (n,), optional
        Patient of each row. Influence is summed by patient, so rows of one patient are not taken as independent.
    variance : {"jackknife", "u-statistic"}
        The infinitesimal jackknife of R's ``survival::concordance``, or the unbiased U-statistic of ``compareC``,
        which can turn out negative for few rows (the interval is then NaN) and knows no clusters.
    level : float
        Coverage of the interval.

    Raises
    ------
    ValueError
        As :func:`concordance`; or if the U-statistic is asked for with a patient in several rows, or fewer than 4 rows.

    References
    ----------
    Therneau TM, Watson DA (2015). The concordance statistic and the Cox model. Mayo Clinic technical report 85.
    Kang L, Chen W, Petrick NA, Gallas BD (2015). Comparing two correlated C indices with right-censored survival
    outcome: a one-shot nonparametric approach. Statistics in Medicine 34.
    """
    counts = pair_counts(time, event, score)
    codes = cluster_codes(clusters, counts.comparable.size)
    if variance == "jackknife":
        spread = float((sum_by(codes, counts.influence) ** 2).sum())
        method = "infinitesimal jackknife, clustered" if codes.max() + 1 < codes.size else "infinitesimal jackknife"
    else:
        _refuse_clusters(codes)
        spread = _kang_variance(counts, None, 0)
        method = "U-statistic"
    return wald(counts.index, spread, level=level, bounds=(0.0, 1.0), method=method)


def kang_test(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    variance: Variance | None = None,
    level: float = 0.95,
) -> PairedTest:
    """Test two correlated C-indices of two scores on the same rows, as R's ``compareC``.

    Parameters
    ----------
    time, event : array (n,)
        See :func:`concordance`.
    first, second : array (n,)
        Scores, higher means an earlier relapse is more likely.
    clusters : array (n,), optional
        Patient of each row. With a patient in several rows the variance is the infinitesimal jackknife by patient.
    variance : {"u-statistic", "jackknife"}, optional
        The U-statistic of Kang et al. unless a patient has several rows.
    level : float
        Coverage of the interval of the difference.

    Returns
    -------
    PairedTest
        C of the first minus C of the second. z is 0 and p is 1 where both scores order all comparable pairs alike;
        both are NaN where the variance is estimated as zero or less although the two C-indices differ.

    Raises
    ------
    ValueError
        As :func:`concordance`; or if the U-statistic is asked for with a patient in several rows, or fewer than 4 rows.

    Notes
    -----
    O(n·log²n) for the U-statistic, O(n·log n) for the jackknife.

    References
    ----------
    Kang L, Chen W, Petrick NA, Gallas BD (2015). Comparing two correlated C indices with right-censored survival
    outcome: a one-shot nonparametric approach. Statistics in Medicine 34.
    """
    one, two = pair_counts(time, event, first), pair_counts(time, event, second)
    codes = cluster_codes(clusters, one.comparable.size)
    repeated = bool(codes.max() + 1 < codes.size)
    chosen = variance or ("jackknife" if repeated else "u-statistic")
    if chosen == "jackknife":
        spread = float((sum_by(codes, one.influence - two.influence) ** 2).sum())
        method = "paired C test, jackknife by patient" if repeated else "paired C test, jackknife"
    else:
        _refuse_clusters(codes)
        spread = _kang_variance(one, two, _products(time, event, first, second))
        method = "Kang"
    return paired_z_test(one.index, two.index, spread, level=level, method=method)


def kang_covariance(
    time: npt.ArrayLike, event: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """C-indices (2,) and their covariance (2, 2) by the U-statistics of Kang et al.; arguments of :func:`kang_test`."""
    one, two = pair_counts(time, event, first), pair_counts(time, event, second)
    var_one, var_two = _kang_variance(one, None, 0), _kang_variance(two, None, 0)
    between = (var_one + var_two - _kang_variance(one, two, _products(time, event, first, second))) / 2
    return np.array([one.index, two.index]), np.array([[var_one, between], [between, var_two]])


def _products(time: npt.ArrayLike, event: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> int:
    """Sum of sign products of two scores over comparable pairs."""
    moment, events = moments(time, event)
    ranks = [dense_rank(np.asarray(score, dtype=np.float64)) for score in (first, second)]
    return sign_products(moment, events, *ranks)


def _refuse_clusters(codes: IntArray) -> None:
    if codes.max() + 1 < codes.size:
        raise ValueError("variance: 'u-statistic' needs one row a patient; use 'jackknife' with clusters")
    if codes.size < 4:
        raise ValueError(f"variance: 'u-statistic' needs at least 4 rows, found {codes.size}")


def _kang_variance(one: PairCounts, two: PairCounts | None, products: int) -> float:
    """Variance of C (``two`` is None) or of the difference of two Cs by the delta method on two U-statistics.

    C is (t_xy / t_xx + 1) / 2 with t_xy the mean sign product of score and time, t_xx the share of comparable pairs.
    The difference of two Cs is linear in the same way, with the difference of their sign products in t_xy. Sums are
    exact integers until the last step, so a model tested against itself gives exactly 0.
    """
    size = one.comparable.size
    if not one.comparable.any():
        return float("nan")
    signed = one.signed if two is None else one.signed - two.signed
    # sums over ordered pairs: of squares of each kernel, and of their product
    comparable = int(one.comparable.sum())
    untied = comparable - int(one.tied.sum())
    squares = untied if two is None else untied + comparable - int(two.tied.sum()) - 4 * products
    xy = _u_covariance(signed, signed, squares, size)
    xx = _u_covariance(one.comparable, one.comparable, comparable, size)
    across = _u_covariance(signed, one.comparable, int(signed.sum()), size)
    ratio = int(signed.sum()) / comparable
    mean = comparable / (size * (size - 1))
    return (xy - 2 * ratio * across + ratio**2 * xx) / (4 * mean**2)


def _u_covariance(first: IntArray, second: IntArray, products: int, size: int) -> float:
    """Unbiased covariance of two U-statistics of degree 2 from row sums (n,) and the sum of products of kernels."""
    rows = int(np.dot(first, second))
    sums = int(first.sum()) * int(second.sum())
    top = (4 * rows - 2 * products) * size * (size - 1) - 2 * (2 * size - 3) * sums
    return top / (size * (size - 1)) / (size * (size - 1) * (size - 2) * (size - 3))


def uno_concordance(
    time: npt.ArrayLike, event: npt.ArrayLike, score: npt.ArrayLike, *, tau: float | None = None
) -> float:
    """Uno's C: concordance up to ``tau``, with pairs weighted by the inverse squared probability of not being censored.

    Parameters
    ----------
    time, event, score
        See :func:`concordance`.
    tau : float, optional
        Relapses at or after this time do not open a pair. All do when left out, and then late ones may weigh a lot.

    Returns
    -------
    float
        In [0, 1]; NaN where no pair is comparable. Free of the censoring pattern, unlike Harrell's C.

    Raises
    ------
    ValueError
        As :func:`concordance`; or if ``tau`` is not positive.

    References
    ----------
    Uno H, Cai T, Pencina MJ, D'Agostino RB, Wei LJ (2011). On the C-statistics for evaluating overall adequacy of risk
    prediction procedures with censored survival data. Statistics in Medicine 30.
    """
    if tau is not None and not tau > 0:
        raise ValueError(f"tau: {tau} is not allowed; it must be positive")
    times, events = follow_up(time, event)
    concordant, tied, comparable = pair_counts(times, events, score).as_first
    opens = events if tau is None else events & (times < tau)
    weights = np.zeros(times.size)
    weights[opens] = censoring_survival(times, events).before(times[opens]) ** -2.0
    pairs = float(weights @ comparable)
    return float(weights @ (concordant + tied / 2)) / pairs if pairs else float("nan")
