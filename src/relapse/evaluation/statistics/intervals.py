"""The patient-level bootstrap: one set of resamples for every metric, and AUC and C over all of them at once."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, both_classes, cluster_codes, numbers
from relapse.evaluation.statistics.normal import quantile
from relapse.evaluation.statistics.ranking.counting import arrange, dense_rank, running_sums
from relapse.evaluation.statistics.ranking.pairs import moments
from relapse.evaluation.statistics.ranking.resampled import resampled_pairs
from relapse.evaluation.statistics.results import Estimate

Counts = npt.NDArray[np.int16]

# resamples × rows worked on at once: large enough for numpy, small enough for the processor's cache
_BLOCK = 2**18

# rows up to which a matrix of all pairs is small
_MATRIX = 2000


def patient_weights(
    patients: npt.ArrayLike | None, strata: npt.ArrayLike, *, n_resamples: int = 2000, seed: int
) -> Counts:
    """Draw bootstrap resamples of patients, as row counts.

    Patients are drawn whole, with replacement, separately among those with and without relapse (or any other strata),
    so that every resample has as many patients of each as the data.

    Parameters
    ----------
    patients : array (n,) or None
        Patient of each row; None where every row is its own patient.
    strata : array (n,)
        Outcome of each row, integer or bool. A patient whose rows differ belongs to the largest.
    n_resamples : int
        Number of resamples B.
    seed : int
        The same seed gives the same resamples on every machine, whatever is computed from them.

    Returns
    -------
    int16 array (B, n)
        How often each row is in each resample.

    Raises
    ------
    ValueError
        If lengths differ or ``n_resamples`` is not positive.

    References
    ----------
    Efron B, Tibshirani RJ (1993). An introduction to the bootstrap. Field CA, Welsh AH (2007). Bootstrapping clustered
    data. Journal of the Royal Statistical Society B 69.
    """
    if n_resamples < 1:
        raise ValueError(f"n_resamples: {n_resamples} is not allowed; at least 1 is needed")
    levels = dense_rank(numbers("strata", strata))
    codes = cluster_codes(patients, levels.size)
    stratum = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    np.maximum.at(stratum, codes, levels)
    rng = np.random.default_rng(seed)
    counts: Counts = np.empty((n_resamples, codes.size), dtype=np.int16)
    for level in range(int(levels.max()) + 1):
        members, rows = np.flatnonzero(stratum == level), np.flatnonzero(stratum[codes] == level)
        whose = np.searchsorted(members, codes[rows])
        # A block at a time into the rows' own places: counts of 1,000,000 patients are 4 GB, and stand only once.
        for block in blocks(n_resamples, members.size) if members.size else ():
            drawn = _multinomial(rng, block.stop - block.start, members.size)
            counts[block, rows] = np.take(drawn, whose, axis=1)
    return counts


def _multinomial(rng: np.random.Generator, n_resamples: int, size: int) -> npt.NDArray[np.intp]:
    """Count draws of ``size`` from ``size`` with replacement; far faster than ``rng.multinomial`` for many cells."""
    drawn = rng.integers(0, size, (n_resamples, size))
    drawn += np.arange(n_resamples)[:, None] * size
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def blocks(n_resamples: int, size: int, *, cells: int = _BLOCK) -> Iterator[slice]:
    """Which resamples of ``size`` rows to work on at once: up to ``cells`` counts."""
    step = max(1, cells // size)
    for start in range(0, n_resamples, step):
        yield slice(start, min(start + step, n_resamples))


def resample_counts(weights: npt.ArrayLike, size: int) -> npt.NDArray[Any]:
    """Return resample counts (B, n) of ``size`` rows as an array.

    Raises
    ------
    ValueError
        If the shape is another, or the counts are not integers.
    """
    array = np.asarray(weights)
    if array.ndim != 2 or array.shape[1] != size:
        raise ValueError(f"weights: shape {array.shape}, but {size} rows elsewhere; (resamples, rows) is needed")
    if array.dtype.kind not in "iub":
        raise ValueError(f"weights: type {array.dtype} is not allowed; resample counts are integers")
    return array


def _pair_type(weights: npt.NDArray[Any]) -> type[np.int32] | type[np.int64]:
    """Choose the integer type that holds twice the number of pairs of a resample; the small one is twice as fast."""
    rows = int(weights.sum(axis=1, dtype=np.int64).max(initial=0))
    return np.int32 if 2 * rows * rows < 2**31 else np.int64


def _ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    return np.asarray(np.divide(top, bottom, out=np.full(bottom.shape, np.nan), where=bottom > 0))


def auc_replicates(event: npt.ArrayLike, score: npt.ArrayLike, weights: npt.ArrayLike) -> FloatArray:
    """ROC AUC of every resample, without a loop over resamples.

    Parameters
    ----------
    event, score : array (n,)
        See :func:`relapse.evaluation.statistics.ranking.binary.roc_auc`.
    weights : integer array (B, n)
        Row counts, as of :func:`patient_weights`.

    Returns
    -------
    array (B,)
        NaN for a resample with one class only.

    Raises
    ------
    ValueError
        If shapes do not fit, weights are not integers, or one class is missing from the data.

    Notes
    -----
    The scores are sorted once. O(n·log n + B·n) time.
    """
    outcome = both_classes(event)
    scores = numbers("score", score, outcome.size)
    counts = resample_counts(weights, outcome.size)
    order = np.argsort(scores)
    positives, negatives = order[outcome[order]], order[~outcome[order]]
    left = np.searchsorted(scores[negatives], scores[positives], side="left")
    right = np.searchsorted(scores[negatives], scores[positives], side="right")
    tied = not np.array_equal(left, right)
    kind = _pair_type(counts)
    result = np.empty(counts.shape[0])
    for rows in blocks(*counts.shape):
        hits: npt.NDArray[Any] = np.take(counts[rows], positives, axis=1).astype(kind)
        below = running_sums(np.take(counts[rows], negatives, axis=1).astype(kind))
        twice = np.take(below, left, axis=1)
        twice = twice + np.take(below, right, axis=1) if tied else 2 * twice
        pairs = hits.sum(axis=1) * below[:, -1].astype(np.float64)
        result[rows] = _ratio(np.einsum("kq,kq->k", hits, twice) / 2.0, pairs)
    return result


def concordance_replicates(
    time: npt.ArrayLike, event: npt.ArrayLike, score: npt.ArrayLike, weights: npt.ArrayLike
) -> FloatArray:
    """Harrell's C-index of every resample, without a loop over resamples.

    Parameters
    ----------
    time, event, score : array (n,)
        See :func:`relapse.evaluation.statistics.ranking.concordance.concordance`.
    weights : integer array (B, n)
        Row counts, as of :func:`patient_weights`.

    Returns
    -------
    array (B,)
        NaN for a resample without a comparable pair.

    Raises
    ------
    ValueError
        If shapes do not fit or weights are not integers.

    Notes
    -----
    See :mod:`relapse.evaluation.statistics.ranking.resampled`.
    """
    moment, events = moments(time, event)
    downward = dense_rank(-numbers("score", score, moment.size))
    counts = resample_counts(weights, moment.size)
    tied = int(downward.max()) + 1 < moment.size
    # a tied pair counts one half: once as in order, once as not
    concordant = np.mean(
        [
            resampled_pairs(*arrange(moment, downward, ties=ties), events, counts)
            for ties in ((False, True) if tied else (False,))
        ],
        axis=0,
    )
    by_moment = np.argsort(moment, kind="stable")
    relapses = by_moment[events[by_moment]]
    later = np.searchsorted(moment[by_moment], moment[relapses], side="right")
    pairs, kind = np.empty(counts.shape[0]), _pair_type(counts)
    for block in blocks(*counts.shape):
        passed = running_sums(np.take(counts[block], by_moment, axis=1).astype(kind))
        followers = passed[:, -1:] - np.take(passed, later, axis=1)
        pairs[block] = np.einsum("kq,kq->k", np.take(counts[block], relapses, axis=1), followers)
    return _ratio(concordant, pairs)


def mean_concordance_replicates(
    time: npt.ArrayLike, event: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike
) -> FloatArray:
    """Harrell's C-index of every resample, averaged over several scores of the same rows.

    Parameters
    ----------
    time, event : array (n,)
        See :func:`relapse.evaluation.statistics.ranking.concordance.concordance`.
    scores : array (m, n)
        Higher = earlier event.
    weights : integer array (B, n)
        Row counts, as of :func:`patient_weights`.

    Returns
    -------
    array (B,)
        The mean over the scores of :func:`concordance_replicates`, to rounding.

    Notes
    -----
    What a pair of rows counts does not hang on the resample, so that scores are averaged before anything is resampled:
    O(m·n² + B·n²) time, with 500 resamples of ten scores a tenth of that of m calls at 686 rows, half at 2,000
    (``benchmarks/statistics.py``). With more than :data:`_MATRIX` rows those calls are made.
    """
    ranked = np.asarray(scores, dtype=np.float64)
    if ranked.shape[1] > _MATRIX:
        return np.asarray(np.mean([concordance_replicates(time, event, score, weights) for score in ranked], axis=0))
    moment, events = moments(time, event)
    counts = resample_counts(weights, moment.size)
    relapses = np.flatnonzero(events)
    comparable = (moment[relapses, None] < moment[None, :]).astype(np.float64)
    won = np.zeros_like(comparable)
    for score in ranked:
        numbers("score", score, moment.size)
        won += (score[relapses, None] > score[None, :]) + 0.5 * (score[relapses, None] == score[None, :])
    won *= comparable / len(ranked)
    result = np.empty(counts.shape[0])
    for block in blocks(*counts.shape):
        of_rows = counts[block].astype(np.float64)
        of_relapses = of_rows[:, relapses]
        pairs, concordant = (((of_relapses @ matrix) * of_rows).sum(axis=1) for matrix in (comparable, won))
        result[block] = _ratio(concordant, pairs)
    return result


def bootstrap(
    statistic: Callable[[npt.NDArray[Any]], npt.ArrayLike],
    weights: npt.ArrayLike,
    *,
    level: float = 0.95,
    method: str = "bootstrap",
) -> Estimate:
    """Percentile interval of any statistic that takes resample counts.

    Parameters
    ----------
    statistic : callable
        Takes counts (b, n), returns (b,) values; called once with ones for the estimate itself. For a difference of
        two models, subtract inside, so that both see the same resamples.
    weights : integer array (B, n)
        Row counts, as of :func:`patient_weights`.
    level : float
        Coverage of the interval.
    method : str
        How the interval is called in the result.

    Returns
    -------
    Estimate
        ``se`` is the standard deviation of the replicates. Resamples in which the statistic does not exist are left
        out; where they are more than one in ten there is no interval.

    Raises
    ------
    ValueError
        If the statistic returns another number of values than resamples, or the level is not between 0 and 1.

    References
    ----------
    Efron B, Tibshirani RJ (1993). An introduction to the bootstrap, chapter 13.
    """
    counts = np.asarray(weights)
    if counts.ndim != 2:
        raise ValueError(f"weights: expected two dimensions (resamples, rows), found {counts.ndim}")
    quantile(level)  # refuses an impossible level
    value = float(np.ravel(statistic(np.ones((1, counts.shape[1]), dtype=counts.dtype)))[0])
    replicates = np.asarray(statistic(counts), dtype=np.float64)
    if replicates.shape != (counts.shape[0],):
        raise ValueError(
            f"statistic: shape {replicates.shape}, but {counts.shape[0]} resamples; one value each is needed"
        )
    return percentile(value, replicates, level=level, method=method)


def percentile(value: float, replicates: FloatArray, *, level: float = 0.95, method: str = "bootstrap") -> Estimate:
    """Estimate with the percentile interval of its ``replicates`` (B,); see :func:`bootstrap`."""
    finite = replicates[np.isfinite(replicates)]
    if finite.size < 2 or finite.size < 0.9 * replicates.size:
        return Estimate(value=value, method=method)
    lower, upper = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(lower), float(upper), float(finite.std(ddof=1)), method)
