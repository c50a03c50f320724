"""The log-rank test of several groups."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import follow_up
from relapse.evaluation.statistics.survival.lifelines_quietly import lifelines_quietly


@dataclass(frozen=True, slots=True)
class LogRank:
    """Chi-square of the test, its degrees of freedom (groups less one), and p."""

    statistic: float
    degrees: int
    p: float


def log_rank(time: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike) -> LogRank | None:
    """Whether the hazards of groups differ; None with one group, or no relapse.

    Parameters
    ----------
    time, event : array (n,)
        Follow-up until relapse (1) or censoring (0), any unit.
    group : array (n,)
        The group of each row. Rows are taken to be independent.

    Raises
    ------
    ValueError
        If a time is negative, lengths differ, or an event is neither 0 nor 1.

    References
    ----------
    Mantel N (1966). Evaluation of survival data and two new rank order statistics arising in its consideration.
    Cancer Chemotherapy Reports 50.
    """
    times, events = follow_up(time, event)
    groups = np.asarray(group)
    if groups.shape != times.shape:
        raise ValueError(f"group: expected {times.size} values, found {groups.size}")
    different = len(np.unique(groups))
    if different < 2 or not events.any():
        return None
    from lifelines.statistics import multivariate_logrank_test

    with lifelines_quietly():
        found = multivariate_logrank_test(times, groups, events)
    return LogRank(float(found.test_statistic), different - 1, float(found.p_value))
