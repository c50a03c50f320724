"""The answer in a few sentences, generated from the evidence so that it claims what was shown and nothing more."""

from collections.abc import Mapping
from typing import Any

from relapse.candidates.catalogue import REFERENCE
from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import Comparison, Evidence
from relapse.evaluation.statistics.results import Estimate
from relapse.wording import SIGNIFICANCE, count, interval, listing, number, p_equals, people, sentence


def ranking_comparisons(evidence: Evidence) -> list[Comparison]:
    """Paired tests of the ranking metric."""
    return [item for item in evidence.comparisons if item.metric == evidence.primary]


def shown_different(evidence: Evidence, *, better: bool) -> list[str]:
    """Candidates shown to be better (or worse) than the reference: the Holm-adjusted p-value is below 0.05."""
    names = [item.name for item in evidence.candidates if item.name != REFERENCE]
    found = []
    for name in names:
        comparison = evidence.paired(name, REFERENCE)
        if comparison.p_holm < SIGNIFICANCE and (comparison.test.difference > 0) == better:
            found.append(name)
    return found


def verdict(evidence: Evidence, titles: Mapping[str, str]) -> str:
    """Say in one sentence whether anything beats the clinical reference."""
    others = [item.name for item in evidence.candidates if item.name != REFERENCE]
    if not others:
        return "Only the clinical reference was trained; there is nothing to hold it against."
    better, worse = (shown_different(evidence, better=direction) for direction in (True, False))
    if better:
        names = listing([titles[name] for name in better])
        text = f"In cross-validation, {names} ranked patients better than the clinical reference"
    else:
        text = "No candidate was shown to rank patients better than the clinical reference"
    if worse:
        text += f"; {listing([titles[name] for name in worse])} ranked them worse"
    return f"{text}."


def figures_behind(evidence: Evidence, titles: Mapping[str, str]) -> list[str]:
    """Give the numbers behind the verdict: the winner, the reference, their paired difference; who is put forward."""
    metric = evidence.endpoint.primary
    best, reference = evidence.best, evidence.candidate(REFERENCE)
    estimate = best.metrics[metric.key]
    chance = "0.5 is chance, 1 a perfect ranking"
    if best.name == REFERENCE:
        said = [f"The reference itself had the highest {metric.label}: {with_interval(estimate)}; {chance}."]
        others = [item for item in evidence.candidates if item.name != REFERENCE]
        if others:
            rival = max(others, key=lambda item: item.metrics[metric.key].value)
            said.append(f"Next came {titles[rival.name]} with {with_interval(rival.metrics[metric.key])}.")
            said.append(difference(evidence, rival.name, titles))
    else:
        said = [
            f"The highest {metric.label} was that of {titles[best.name]}, {with_interval(estimate)}; "
            f"the reference had {with_interval(reference.metrics[metric.key])} ({chance}).",
            difference(evidence, best.name, titles),
        ]
    chosen = evidence.put_forward
    if chosen not in (None, REFERENCE, best.name):
        found = evidence.candidate(chosen).metrics[metric.key]
        said += [f"Put forward is {titles[chosen]}, {with_interval(found)}.", difference(evidence, chosen, titles)]
    if estimate.lower <= 0.5 <= estimate.upper:
        said.append("The interval of the best candidate includes 0.5: it was not shown to be better than chance.")
    return said


def difference(evidence: Evidence, candidate: str, titles: Mapping[str, str]) -> str:
    """Say the paired difference of a candidate from the reference, with its interval and both p-values."""
    comparison = evidence.paired(candidate, REFERENCE)
    test, pairs = comparison.test, len(ranking_comparisons(evidence))
    found = f"{number(test.difference)} (95% interval {interval(test.lower, test.upper)}; {p_equals(test.p)}"
    adjusted = f", {p_equals(comparison.p_holm)} after Holm's adjustment for {count(pairs, 'comparison')}"
    text = f"On the same patients, {titles[candidate]} differs from the reference by {found}{adjusted})"
    if not comparison.p_holm < SIGNIFICANCE and test.p < SIGNIFICANCE:
        return f"{text}: once the number of comparisons is allowed for, this may be chance."
    if not comparison.p_holm < SIGNIFICANCE:
        return f"{text}: this may be chance."
    return f"{text}."


def with_interval(estimate: Estimate) -> str:
    """Write an estimate as "0.684 (95% interval 0.652 to 0.714)"."""
    return f"{number(estimate.value)} (95% interval {interval(estimate.lower, estimate.upper)})"


def setting(cohort: Cohort, evidence: Evidence) -> str:
    """Who was studied, what was predicted, and from how much."""
    seen = f" and {cohort.block_title(cohort.volumes.block)}" if cohort.volumes else ""
    return (
        f"In {people(evidence.size)}, {count(len(evidence.candidates), 'model')} predicting {cohort.endpoint.label} "
        f"from up to {count(len(cohort.predictors), 'feature')} known at baseline{seen} were compared. Every figure is "
        "for patients whom the model had not seen."
    )


def decided(decision: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Which model is champion now, and what the decision was."""
    champion = decision["champion"]
    if champion is None:
        return f"There is no champion yet. The decision: {sentence(decision['summary'])}"
    name = titles.get(champion["candidate"], champion["candidate"])
    return f"Champion is {name}, version {champion['version']}. The decision: {sentence(decision['summary'])}"


def carried_out(decision: Mapping[str, Any]) -> str:
    """Say whether the challenger became champion, may become it, or was kept out."""
    if not decision["promoted"]:
        return "Kept."
    champion, challenger = decision.get("champion"), decision.get("challenger_version")
    waits = challenger is not None and (champion is None or champion["version"] != str(challenger))
    return "May be promoted; that has not been done yet." if waits else "Promoted."


def reservation(evidence: Evidence) -> str:
    """Say what the figures cannot, and what the best one comes to once its choice is allowed for."""
    known = evidence.selection
    corrected = ""
    if known is not None and len(evidence.candidates) > 2:
        corrected = (
            f"The best of {count(len(evidence.candidates), 'model')} looks better than it is: corrected for the "
            f"choice, its {evidence.primary_label} of {number(known.plain)} is {with_interval(known.corrected)}. "
        )
    return f"{corrected}These patients are not those of another hospital: no external validation has been made."


def groups_apart(evidence: Evidence) -> str:
    """Tell the log-rank test between the risk groups drawn, with what it does not allow for; empty without a time."""
    if not evidence.endpoint.timed:
        return ""
    test = evidence.shown.risk_groups
    if test is None:
        return " No log-rank test is given: it takes rows to be independent, and here patients have several."
    return (
        f" Log-rank test of the groups: chi-square {number(test.statistic, 1)}, {test.degrees} df, {p_equals(test.p)}. "
        "It takes the groups as given beforehand, while the out-of-fold scores that formed them rest on the outcomes "
        "of the other patients; and groups that differ say nothing of how far single risks can be trusted, which "
        "ranking and calibration are for."
    )
