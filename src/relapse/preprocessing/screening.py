"""How strongly each of many columns is associated with the outcome, all at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def association(X: Array, y: NDArray[Any]) -> Array:
    """Strength (p,) of the association of each column of ``X`` (n, p), none of them constant, with outcomes ``y`` (n,).

    Higher is stronger, whatever the direction: F of an analysis of variance for 0 and 1, :func:`cox_scores` for a
    structured array with fields ``event`` and ``time``.
    """
    if y.dtype.names:
        return cox_scores(X, y["event"], y["time"])
    from sklearn.feature_selection import f_classif

    return np.asarray(f_classif(X, y)[0])


def cox_scores(X: Array, event: NDArray[np.bool_], time: Array) -> Array:
    """The score test (p,) of a Cox regression on each column of ``X`` (n, p) alone, chi-squared with 1 degree.

    With U the first derivative of the log partial likelihood at 0 (ties after Breslow) and I minus the second, the
    statistic is U² / I: no model is fitted, and all columns share the sums over those at risk. Cox DR (1972), J R Stat
    Soc B 34:187-220. 0 where the outcome says nothing of a column.
    """
    centred = X - X.mean(axis=0)
    order = np.argsort(-time, kind="stable")
    # Row i of the sums holds all who are at risk at the i-th longest time, ties included.
    last = np.searchsorted(-time[order], -time[order], side="right") - 1
    happened = event[order]
    at_risk = (last[happened] + 1.0)[:, None]
    ordered = centred[order]
    mean = np.cumsum(ordered, axis=0)[last[happened]] / at_risk
    square = np.cumsum(ordered**2, axis=0)[last[happened]] / at_risk
    score = (ordered[happened] - mean).sum(axis=0)
    information = (square - mean**2).sum(axis=0)
    known = information > 1e-12 * (ordered**2).sum(axis=0)
    return np.where(known, score**2 / np.where(known, information, 1.0), 0.0)
