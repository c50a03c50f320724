"""The champion as an opponent: its predictions for this run's patients, and the test against it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from relapse.cohorts.size import MIN_EACH, counts
from relapse.evaluation.evidence import Evidence, compare
from relapse.evaluation.metrics import pooled
from relapse.evaluation.statistics.multiplicity import holm
from relapse.evaluation.statistics.results import PairedTest
from relapse.promotion.decision import Rule, Version
from relapse.promotion.rules import in_words

_Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True, slots=True)
class Champion:
    """The registered champion.

    ``scores`` has ``row`` and ``score``, one row a row of this run's table that the model behind the score had not
    seen; ``refusal`` says why there can be no comparison, and is empty where there can.
    """

    version: Version
    content_hash: str
    scores: pd.DataFrame
    refusal: str = ""


def against_champion(
    evidence: Evidence,
    predictions: dict[str, pd.DataFrame],
    name: str,
    champion: Champion | None,
    *,
    margin: float,
    significance: float,
) -> Rule:
    """Whether a candidate is shown to be better than the champion, or worse by less than ``margin``.

    The paired test (DeLong's or Kang's) on the rows that neither had seen, one-sided at half of ``significance``. It is
    made for every candidate of the run, and its p-values are Holm-adjusted over them: the one put forward was chosen.
    """
    requirement = (
        f"shown to be no more than {margin:g} worse than the champion on the same patients "
        f"(one-sided p < {significance / 2:g}, Holm-adjusted over the candidates)"
    )
    if champion is None:
        return Rule("champion", requirement, "there is no champion yet", passed=True)
    first = pooled(predictions[name])
    shared = first[["row", "patient", "event"]].merge(champion.scores, on="row")
    refusal = champion.refusal or _too_few(shared)
    if refusal:
        return Rule("champion", requirement, f"no comparison: {refusal}", passed=False)
    tests = {item: _test(evidence, table, champion) for item, table in predictions.items()}
    adjusted = dict(zip(tests, holm([inferiority(test, margin=margin) for test in tests.values()]), strict=True))
    test, p = tests[name], float(adjusted[name])
    figure = (
        f"{in_words(test, evidence.primary_label)}; worse by {margin:g} or more: p = {p:.2g} after Holm over "
        f"{len(tests)}; {len(shared)} rows, against version {champion.version.version}"
    )
    return Rule("champion", requirement, figure, p < significance / 2)


def inferiority(test: PairedTest, *, margin: float) -> float:
    """One-sided p-value of the hypothesis that the first is worse than the second by ``margin`` or more."""
    spread = (test.upper - test.lower) / (2 * _Z)
    above = test.difference + margin
    if not spread > 0:
        return 0.0 if above > 0 else 1.0
    return float(stats.norm.sf(above / spread))


def _test(evidence: Evidence, table: pd.DataFrame, champion: Champion) -> PairedTest:
    mine = pooled(table)
    theirs = mine.drop(columns="score").merge(champion.scores, on="row", validate="one_to_one")
    mine = mine[np.isin(mine["row"], theirs["row"])].reset_index(drop=True)
    return compare(mine, theirs, evidence.endpoint)


def _too_few(shared: pd.DataFrame) -> str:
    found = counts(shared)
    if found.fewer >= MIN_EACH:
        return ""
    return (
        f"only {found.with_event} patients with and {found.without_event} without the event can be compared; "
        f"{MIN_EACH} of each are needed."
    )
