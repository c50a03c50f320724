"""The tables behind forest plots: every pair of candidates, every candidate in every subgroup."""

import pandas as pd

from relapse.evaluation.evidence import Evidence

#: The level under which a candidate's figure for everybody stands in the frame of subgroups.
EVERYBODY = "everybody"


def pairs_frame(evidence: Evidence) -> pd.DataFrame:
    """Paired differences of the ranking metric, ``first`` minus ``second``.

    Returns
    -------
    DataFrame
        ``first``, ``second``, ``difference`` with 95% interval ``lower`` and ``upper``, ``p`` and ``p_holm``.
    """
    records = [
        (item.first, item.second, item.test.difference, item.test.lower, item.test.upper, item.test.p, item.p_holm)
        for item in evidence.comparisons
        if item.metric == evidence.primary
    ]
    return pd.DataFrame(records, columns=["first", "second", "difference", "lower", "upper", "p", "p_holm"])


def subgroups_frame(evidence: Evidence) -> pd.DataFrame:
    """The ranking metric by subgroup, after a line of each candidate for :data:`EVERYBODY`.

    Returns
    -------
    DataFrame
        ``candidate``, ``column`` (empty for everybody), ``level``, ``patients``, ``with_event`` (patients), ``value``,
        ``lower``, ``upper``; the last three NaN where a subgroup is too small.
    """
    records = []
    for item in evidence.candidates:
        whole = item.metrics[evidence.primary]
        size = evidence.size
        records.append(
            (item.name, "", EVERYBODY, size.patients, size.with_event, whole.value, whole.lower, whole.upper)
        )
        for group in item.subgroups:
            found = group.metrics.get(evidence.primary)
            figures = (found.value, found.lower, found.upper) if found else (float("nan"),) * 3
            records.append((item.name, group.column, group.level, group.patients, group.size.with_event, *figures))
    return pd.DataFrame(
        records, columns=["candidate", "column", "level", "patients", "with_event", "value", "lower", "upper"]
    )
