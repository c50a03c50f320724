"""ROC AUC with DeLong's variance, for independent rows and for several rows of one patient, and its paired test.

One formula serves both: Obuchowski's variance for clustered rows is DeLong's where every cluster has one row.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from relapse.evaluation.statistics.arrays import (
    BoolArray,
    FloatArray,
    IntArray,
    both_classes,
    cluster_codes,
    numbers,
    sum_by,
)
from relapse.evaluation.statistics.normal import logit_wald, paired_z_test, wald
from relapse.evaluation.statistics.ranking.counting import placements
from relapse.evaluation.statistics.results import Estimate, PairedTest

Interval = Literal["wald", "logit"]


@dataclass(frozen=True)
class Components:
    """Structural components of one or more AUCs.

    Attributes
    ----------
    auc : array (k,)
    with_event : array (k, m)
        For each row with the event, the share of rows without it that score lower (equal scores one half).
    without_event : array (k, n − m)
        For each row without the event, the share of rows with it that score higher.
    """

    auc: FloatArray
    with_event: FloatArray
    without_event: FloatArray


def roc_auc(event: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Area under the ROC curve: the chance that a row with the event scores above one without it.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    score : array (n,)
        Higher means relapse is more likely. Equal scores count one half.

    Returns
    -------
    float
        In [0, 1]; 0.5 for a constant score. Never flipped: a score that points the wrong way falls below 0.5.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, an event is neither 0 nor 1, or one class is missing.
    """
    outcome = both_classes(event)
    scores = numbers("score", score, outcome.size)
    above = placements(scores[outcome], scores[~outcome])
    return float(above.sum() / (above.size * (outcome.size - above.size)))


def components(event: npt.ArrayLike, scores: npt.ArrayLike) -> Components:
    """Structural components of the AUCs of ``scores`` (k, n) in O(k·n·log n); ``event`` as in :func:`roc_auc`.

    References
    ----------
    Sun X, Xu W (2014). Fast implementation of DeLong's algorithm for comparing the areas under correlated receiver
    operating characteristic curves. IEEE Signal Processing Letters 21.
    """
    outcome = both_classes(event)
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"scores: expected two dimensions (models, rows), found {table.ndim}")
    rows = [numbers(f"scores[{index}]", row, outcome.size) for index, row in enumerate(table)]
    positives = int(outcome.sum())
    negatives = outcome.size - positives
    above = np.stack([placements(row[outcome], row[~outcome]) for row in rows])
    below = positives - np.stack([placements(row[~outcome], row[outcome]) for row in rows])
    return Components(above.sum(axis=1) / (positives * negatives), above / negatives, below / positives)


def delong_covariance(
    event: npt.ArrayLike, scores: npt.ArrayLike, *, clusters: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """AUCs of several scores on the same rows, and their covariance.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    scores : array (k, n)
        One row of scores a model, higher means relapse is more likely.
    clusters : array (n,), optional
        Patient of each row. Rows of one patient may differ in outcome.

    Returns
    -------
    auc : array (k,)
    covariance : array (k, k)
        NaN where fewer than two patients have the event, or fewer than two have a row without it.

    Raises
    ------
    ValueError
        As :func:`roc_auc`; or if ``clusters`` has not one label a row.

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL (1988). Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach. Biometrics 44.
    Obuchowski NA (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53.
    """
    outcome = both_classes(event)
    parts = components(outcome, scores)
    codes = cluster_codes(clusters, outcome.size)
    return parts.auc, _covariance(parts.with_event, parts.without_event, outcome, codes)


def _covariance(with_event: FloatArray, without_event: FloatArray, outcome: BoolArray, codes: IntArray) -> FloatArray:
    """Obuchowski's covariance (k, k) from structural components or from contrasts of them."""
    centre = with_event.mean(axis=1)
    deviations = np.empty((centre.size, outcome.size))
    deviations[:, outcome] = with_event - centre[:, None]
    deviations[:, ~outcome] = without_event - centre[:, None]
    positives, negatives = int(outcome.sum()), int((~outcome).sum())
    first = sum_by(codes, np.where(outcome, deviations, 0.0)) / positives
    second = sum_by(codes, np.where(outcome, 0.0, deviations)) / negatives
    clusters = first.shape[1]
    first_clusters = np.count_nonzero(np.bincount(codes[outcome]))
    second_clusters = np.count_nonzero(np.bincount(codes[~outcome]))
    if min(first_clusters, second_clusters) < 2:
        return np.full((centre.size, centre.size), np.nan)
    across = first @ second.T
    covariance: FloatArray = (
        first @ first.T * (first_clusters / (first_clusters - 1))
        + second @ second.T * (second_clusters / (second_clusters - 1))
        + (across + across.T) * (clusters / (clusters - 1))
    )
    return covariance


def _method(name: str, codes: IntArray) -> str:
    return f"{name}, clustered" if codes.max() + 1 < codes.size else name


def auc_estimate(
    event: npt.ArrayLike,
    score: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
    interval: Interval = "wald",
) -> Estimate:
    """ROC AUC with DeLong's standard error and interval; Obuchowski's where a patient has several rows.

    Parameters
    ----------
    event, score
        See :func:`roc_auc`.
    clusters : array (n,), optional
        Patient of each row.
    level : float
        Coverage of the interval.
    interval : {"wald", "logit"}
        ``"wald"`` is cut at 0 and 1, as pROC does; ``"logit"`` stays inside by itself and does not exist for an AUC of
        0 or 1 (NaN).

    Raises
    ------
    ValueError
        As :func:`delong_covariance`; or if the level does not lie between 0 and 1.
    """
    auc, covariance = delong_covariance(event, np.asarray(score, dtype=np.float64)[None], clusters=clusters)
    method = _method("DeLong", cluster_codes(clusters, np.size(score)))
    if interval == "logit":
        return logit_wald(float(auc[0]), float(covariance[0, 0]), level=level, method=f"{method}, logit")
    return wald(float(auc[0]), float(covariance[0, 0]), level=level, bounds=(0.0, 1.0), method=method)


def delong_test(
    event: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> PairedTest:
    """Test the AUCs of two scores on the same rows; clustered (Obuchowski) where a patient has several rows.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    first, second : array (n,)
        Scores, higher means relapse is more likely.
    clusters : array (n,), optional
        Patient of each row. Leaving it out when a patient has several rows gives too many false positives.
    level : float
        Coverage of the interval of the difference.

    Returns
    -------
    PairedTest
        AUC of the first minus AUC of the second. z is 0 and p is 1 where both scores order the rows alike; z and p are
        NaN where the AUCs differ and no variance can be estimated.

    Raises
    ------
    ValueError
        As :func:`delong_covariance`.

    References
    ----------
    See :func:`delong_covariance`.
    """
    outcome = both_classes(event)
    # named checks first: stacking arrays of unequal length would fail without saying which
    pair = np.stack([numbers("first", first, outcome.size), numbers("second", second, outcome.size)])
    parts = components(outcome, pair)
    codes = cluster_codes(clusters, outcome.size)
    # the variance of the contrast itself, not var1 + var2 − 2 cov, is exactly 0 for scores that order alike
    contrast = parts.with_event[:1] - parts.with_event[1:], parts.without_event[:1] - parts.without_event[1:]
    variance = float(_covariance(*contrast, outcome, codes)[0, 0])
    one, two = parts.auc.tolist()
    return paired_z_test(one, two, variance, level=level, method=_method("DeLong", codes))


def delong_test_unpaired(
    first_event: npt.ArrayLike,
    first: npt.ArrayLike,
    second_event: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    reference: Literal["normal", "t"] = "normal",
    level: float = 0.95,
) -> PairedTest:
    """Test the AUCs of two scores on different patients.

    Parameters
    ----------
    first_event, first : array (n,)
        Outcome and score of the first sample.
    second_event, second : array (m,)
        Outcome and score of the second sample.
    reference : {"normal", "t"}
        Null distribution; ``"t"`` has Welch's degrees of freedom, as pROC.
    level : float
        Coverage of the interval of the difference, which is normal for both.

    Raises
    ------
    ValueError
        As :func:`roc_auc`.
    """
    one, two = (auc_estimate(event, score) for event, score in ((first_event, first), (second_event, second)))
    variances = np.array([one.se or 0.0, two.se or 0.0]) ** 2
    test = paired_z_test(one.value, two.value, float(variances.sum()), level=level, method="DeLong, unpaired")
    if reference == "normal" or not test.statistic:
        return test
    sizes = np.array([np.size(first), np.size(second)])
    freedom = variances.sum() ** 2 / (variances**2 / (sizes - 1)).sum()
    p = float(2 * stats.t.sf(abs(test.statistic), freedom))
    return PairedTest(test.difference, test.lower, test.upper, test.statistic, p, f"{test.method}, t")
