"""The policy: which candidate is put forward, and whether it may become champion."""

from dataclasses import dataclass

import pandas as pd

from relapse.errors import PredictionsError
from relapse.evaluation.evidence import Evidence, compare
from relapse.evaluation.metrics import Endpoint, pooled
from relapse.evaluation.statistics.results import PairedTest
from relapse.promotion.decision import Decision, Rule, Version
from relapse.settings import RegisterParams

#: Below this many events on common rows a paired comparison says nothing.
MIN_EVENTS = 10


@dataclass(frozen=True, slots=True)
class Champion:
    """The registered champion: its version, the content it was made from, and its out-of-fold predictions."""

    version: Version
    content_hash: str
    predictions: pd.DataFrame


def challenger(evidence: Evidence, *, margin: float) -> str:
    """The candidate to put forward: the best one shown to be no worse than the reference, else the reference itself.

    A model that asks for more than the clinic has today has to earn it: among the candidates whose difference to the
    reference has a lower 95% bound of at least ``-margin``, the one with the largest ranking metric is taken.
    """
    ranked = sorted(evidence.candidates, key=lambda item: item.metrics[evidence.primary].value, reverse=True)
    return next(item.name for item in ranked if _against_reference(evidence, item.name, margin=margin).passed)


def decide(
    evidence: Evidence,
    predictions: dict[str, pd.DataFrame],
    champion: Champion | None,
    *,
    gate_passed: bool,
    titles: dict[str, str],
    content_hash: str,
    params: RegisterParams,
) -> Decision:
    """Decide whether the challenger becomes champion.

    Parameters
    ----------
    evidence
        Of this run, with ``reference`` among the candidates.
    predictions
        Out-of-fold predictions of this run by candidate.
    champion
        The champion so far, None where there is none.
    gate_passed
        Whether the data passed the gate.
    titles
        Candidate names for people.
    content_hash
        Of this run.
    params
        The margin towards the reference and the level of the test against the champion.
    """
    name = challenger(evidence, margin=params.margin)
    rules = (
        Rule("data gate", "the table keeps its declaration", "kept" if gate_passed else "broken", gate_passed),
        _against_reference(evidence, name, margin=params.margin),
        _against_champion(predictions[name], champion, evidence.endpoint, significance=params.significance),
    )
    promoted = all(rule.passed for rule in rules)
    return Decision(
        cohort=evidence.cohort,
        challenger=name,
        challenger_title=titles[name],
        champion_before=champion.version if champion else None,
        promoted=promoted,
        summary=_summary(evidence, name, titles, rules, champion, margin=params.margin),
        rules=rules,
        content_hash=content_hash,
    )


def _against_reference(evidence: Evidence, name: str, *, margin: float) -> Rule:
    requirement = f"the difference to the clinical reference has a lower 95% bound of at least {-margin:g}"
    if name == "reference":
        return Rule("reference", requirement, "it is the clinical reference", passed=True)
    test = evidence.paired(name, "reference").test
    return Rule("reference", requirement, _figure(test, evidence.primary_label), test.lower >= -margin)


def _against_champion(
    predictions: pd.DataFrame, champion: Champion | None, endpoint: Endpoint, *, significance: float
) -> Rule:
    requirement = f"not worse than the champion in the paired test on the same patients (p < {significance:g})"
    if champion is None:
        return Rule("champion", requirement, "there is no champion yet", passed=True)
    try:
        mine, theirs = on_common_rows(pooled(predictions), pooled(champion.predictions))
    except PredictionsError as error:
        return Rule("champion", requirement, f"no comparison: {error}", passed=False)
    test = compare(mine, theirs, endpoint)
    worse = test.difference < 0 and test.p < significance
    figure = (
        f"{_figure(test, endpoint.metrics[0].label)} on {len(mine)} rows against version {champion.version.version}"
    )
    return Rule("champion", requirement, figure, not worse)


def on_common_rows(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both pooled tables on the rows they share, in one order.

    Both hold predictions for rows that the model in question had not seen, so the shared rows are a fair ground even
    where one of them was trained on more patients.

    Raises
    ------
    PredictionsError
        The outcomes of shared rows differ, or fewer than :data:`MIN_EVENTS` of them have or lack the event.
    """
    keys = ["row", "patient"]
    shared = first[keys].merge(second[keys], on=keys).sort_values("row")
    one, two = (shared.merge(table, on=keys, how="left", validate="one_to_one") for table in (first, second))
    outcome = ["event", *(["time"] if "time" in first else [])]
    if not one[outcome].equals(two[outcome]):
        raise PredictionsError("the outcomes of the shared patients have changed since the champion was trained.")
    events = int(one["event"].sum())
    if min(events, len(one) - events) < MIN_EVENTS:
        raise PredictionsError(
            f"only {len(one)} rows with {events} events are shared; {MIN_EVENTS} with and without are needed."
        )
    return one, two


def _figure(test: PairedTest, label: str) -> str:
    return f"{label} {test.difference:+.3f} (95% interval {test.lower:+.3f} to {test.upper:+.3f}, p = {test.p:.2g})"


def _summary(
    evidence: Evidence,
    name: str,
    titles: dict[str, str],
    rules: tuple[Rule, ...],
    champion: Champion | None,
    *,
    margin: float,
) -> str:
    best = evidence.best.name
    broken = [rule for rule in rules if not rule.passed]
    sentences = []
    if best != name:
        sentences.append(
            f"{titles[best]} has the largest {evidence.primary_label}, but was not shown to be within {margin:g} of "
            f"the clinical reference; {titles[name]} is put forward instead."
        )
    if broken:
        sentences.append(
            f"{titles[name]} is not promoted: " + "; ".join(f"{rule.name}: {rule.figure}" for rule in broken) + "."
        )
    elif champion is None:
        sentences.append(f"{titles[name]} becomes the first champion.")
    else:
        sentences.append(f"{titles[name]} replaces version {champion.version.version} as champion.")
    return " ".join(sentences)
