"""Paired tests as MLflow shows them: a candidate's against the reference and the best as metrics, all as a table."""

import pandas as pd

from relapse.candidates.catalogue import REFERENCE
from relapse.evaluation.evidence import Evidence

#: The table of all paired tests in the run of a pipeline state.
TABLE = "evaluation/tests.json"


def numbers_of_tests(evidence: Evidence, name: str) -> dict[str, float]:
    """The tests of one candidate against the reference and against the best, which is the one ranked first.

    Of the ranking metric ``difference_to_reference`` (the candidate minus the reference), its 95% interval as
    ``…_lower`` and ``…_upper``, the raw p and the one adjusted over all pairs as ``…_p`` and ``…_p_holm``; of every
    other metric that was compared the same as ``auc_3y_difference_to_reference``, ``accuracy_…`` being McNemar's test.
    """
    found: dict[str, float] = {}
    for word, other in (("reference", REFERENCE), ("best", evidence.best.name)):
        for item in evidence.comparisons:
            if {item.first, item.second} != {name, other}:
                continue
            turned = item if item.first == name else item.turned()
            prefix = "" if item.metric == evidence.primary else f"{item.metric}_"
            key = f"{prefix}difference_to_{word}"
            test = turned.test
            found |= {key: test.difference, f"{key}_lower": test.lower, f"{key}_upper": test.upper}
            found |= {f"{key}_p": test.p, f"{key}_p_holm": turned.p_holm}
    return {key: value for key, value in found.items() if value == value}


def table_of_tests(evidence: Evidence) -> pd.DataFrame:
    """Every paired test, a row each, in the order of the evidence."""
    return pd.DataFrame(
        {
            "metric": item.metric,
            "first": item.first,
            "second": item.second,
            "difference": item.test.difference,
            "lower": item.test.lower,
            "upper": item.test.upper,
            "p": item.test.p,
            "p_holm": item.p_holm,
            "test": item.test.method,
        }
        for item in evidence.comparisons
    )
