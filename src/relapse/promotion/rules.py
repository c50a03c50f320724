"""The rules about one candidate: each holds a figure against a threshold of the policy.

Where a rule looks at an interval, it blocks what was *shown* to be wrong. Few patients give wide intervals, which pass
such rules easily: what keeps a model back there are the margin towards the reference and the events per parameter.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from relapse.added_value.evidence import AddedValue
from relapse.candidates.catalogue import REFERENCE, family
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import counts, for_parameters, parameters
from relapse.evaluation.evidence import Evidence
from relapse.evaluation.metrics import Counts, Endpoint
from relapse.evaluation.statistics.decisions.gain import net_benefit_gain, net_benefit_gain_at_horizon
from relapse.evaluation.statistics.intervals import bootstrap
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.evaluation.thresholds import acting_thresholds
from relapse.params import Bounds, CalibrationBounds
from relapse.promotion.decision import Rule


def data_gate(gate: Mapping[str, Any]) -> Rule:
    """Whether the table keeps its declaration; ``gate`` is the gate's JSON."""
    broken = [item for item in gate["verdicts"] if not item["passed"] and not item["silenced"]]
    named = ", ".join(sorted({item["column"] for item in broken}))
    figure = f"{len(broken)} rules broken ({named})" if broken else f"all {len(gate['verdicts'])} rules kept"
    figure += _silenced(item for item in gate["verdicts"] if item["silenced"])
    return Rule("data gate", "the table keeps every rule of its declaration", figure, not broken)


def leakage(gate: Mapping[str, Any], predictions: pd.DataFrame) -> Rule:
    """Whether nothing gives the outcome away, in the table (findings of the gate) and in the folds."""
    errors = [item for item in gate["findings"] if item["severity"] == "error"]
    found = [f"{item['code']} {item['column']}" for item in errors if not item["silenced"]]
    divided = int((predictions.groupby(["repeat", "patient"])["fold"].nunique() > 1).sum())
    if divided:
        found.append(f"{divided} patients stand in several test folds of one repeat")
    requirement = "no leakage check finds an error, and no patient stands on both sides of a fold"
    figure = ("; ".join(found) or "nothing found") + _silenced(item for item in errors if item["silenced"])
    return Rule("leakage", requirement, figure, not found)


def _silenced(found: Iterable[Mapping[str, Any]]) -> str:
    """What does not count since the declaration says so, with its reasons."""
    said = "; ".join(f"{item['code']} {item['column']}: {item['silenced']}" for item in found)
    return f" (silenced in the declaration: {said})" if said else ""


def against_reference(evidence: Evidence, name: str, *, margin: float) -> Rule:
    """Whether a candidate was shown to be no worse than the clinical reference, by the lower bound."""
    requirement = f"the difference to the clinical reference has a lower 95% bound of at least {-margin:g}"
    if name == REFERENCE:
        return Rule("reference", requirement, "it is the clinical reference", passed=True)
    test = evidence.paired(name, REFERENCE).test
    return Rule("reference", requirement, in_words(test, evidence.primary_label), test.lower >= -margin)


def calibrated(evidence: Evidence, name: str, *, bounds: CalibrationBounds) -> Rule:
    """Whether risks were not shown to be off: at every horizon both intervals reach into their bounds."""
    requirement = (
        f"at every horizon, the 95% intervals of the calibration slope and of observed / expected reach into "
        f"{_range(bounds.slope)} and {_range(bounds.observed_expected)}"
    )
    figures, kept = [], []
    for found in evidence.candidate(name).calibration.values():
        kept += [_reaches(found.slope, bounds.slope), _reaches(found.observed_expected, bounds.observed_expected)]
        figures.append(
            f"slope {_estimate(found.slope)}, observed / expected {_estimate(found.observed_expected)} "
            f"{found.label}".rstrip()
        )
    return Rule("calibration", requirement, "; ".join(figures) or "no risks", bool(kept) and all(kept))


def useful(predictions: pd.DataFrame, endpoint: Endpoint, *, multiples: Bounds, weights: Counts) -> Rule:
    """Whether acting on the risk was not shown to do no more good than treating all or none.

    ``predictions`` are pooled, ``weights`` the resamples of their patients. The gain is averaged over thresholds that
    are ``multiples`` of the event rate; where the endpoint has a time of the Kaplan-Meier estimate by the last horizon,
    whose risk is looked at. The thresholds stay where they are in every resample. A plain value would toss a coin where
    the gain is near 0; asking for a gain that was shown would on few patients keep back the reference itself.
    """
    horizon = endpoint.horizons[-1] if endpoint.horizons else None
    event, at = predictions["event"].to_numpy(), acting_thresholds(predictions, endpoint, multiples=multiples)
    if horizon:
        time, risk = predictions["time"].to_numpy(), predictions[horizon.column].to_numpy()
        gain = bootstrap(lambda w: net_benefit_gain_at_horizon(time, event, risk, horizon.time, at, w), weights)
    else:
        gain = bootstrap(lambda w: net_benefit_gain(event, predictions["risk"].to_numpy(), at, w), weights)
    where = f"thresholds {at[0]:.2f} to {at[-1]:.2f}" + (f" at {horizon.label}" if horizon else "")
    requirement = (
        f"over thresholds of {multiples[0]:g} to {multiples[1]:g} times the event rate, the mean net benefit above "
        "treating all and treating none has an upper 95% bound above 0"
    )
    figure = f"{gain.value:+.4f} a patient (95% interval {gain.lower:+.4f} to {gain.upper:+.4f}) over {where}"
    return Rule("net benefit", requirement, figure, gain.upper > 0)


def fair(evidence: Evidence, name: str, *, floor: float) -> Rule:
    """Whether no subgroup is shown to be ranked badly: its upper bound lies at or above ``floor``."""
    requirement = f"no subgroup has an upper 95% bound of {evidence.primary_label} below {floor:g}"
    found = [
        (item.metrics[evidence.primary].upper, f"{item.column} {item.level}")
        for item in evidence.candidate(name).subgroups
        if item.metrics
    ]
    if not found:
        return Rule("subgroups", requirement, "no subgroup is declared, or none is large enough", passed=True)
    lowest, where = min(found)
    return Rule("subgroups", requirement, f"lowest upper bound {lowest:.3f} ({where})", lowest >= floor)


def enough_events(predictions: pd.DataFrame, cohort: Cohort, name: str, *, needed: float) -> Rule:
    """Whether there are enough events for the columns that a candidate learns from.

    Counted are patients with the event; for an endpoint without time those of the rarer outcome. A parameter is a
    column of the model's matrix (:func:`relapse.cohorts.size.parameters`).
    """
    rarer = for_parameters(cohort, counts(predictions))
    count = parameters(cohort, cohort.reference if name == REFERENCE else cohort.predictors)
    requirement = f"at least {needed:g} patients with the rarer outcome for each parameter"
    figure = f"{rarer} for {count} parameters, {rarer / count:.1f} for each"
    return Rule("events per parameter", requirement, figure, rarer / count >= needed)


def adds_value(cohort: Cohort, name: str, added: AddedValue | None) -> list[Rule]:
    """For each costly block that a candidate needs: whether it was shown to add to every base it is asked about.

    A block that costs an examination is not needed by luck: a model that learnt from it must not become champion
    where nothing shows that the block, rather than what is known without it, does the work.
    """
    costly = [block for block, declared in cohort.blocks.items() if declared.costly]
    found = []
    for block in (block for block in costly if _needs(name, cohort, block)):
        answers = added.answers_on(block) if added else ()
        said = [
            f"to {item.base}: {'shown' if item.shown else 'not shown'}, "
            f"p = {min(one.p_holm for one in item.families):.2g} (Holm)"
            for item in answers
        ]
        requirement = f"{cohort.block_title(block)} was shown to add to what is known without it"
        shown = bool(answers) and all(item.shown for item in answers)
        found.append(Rule(f"adds value: {block}", requirement, "; ".join(said) or "it was not asked", shown))
    return found


def _needs(name: str, cohort: Cohort, block: str) -> bool:
    """Whether a candidate is given anything of a block: images are given to families that see them alone."""
    return name != REFERENCE and bool(cohort.block_features(block) or family(name).sees)


def in_words(test: PairedTest, label: str) -> str:
    """A paired difference with its interval and p."""
    return f"{label} {test.difference:+.3f} (95% interval {test.lower:+.3f} to {test.upper:+.3f}, p = {test.p:.2g})"


def _reaches(estimate: Estimate, bounds: Bounds) -> bool:
    return bool(estimate.upper >= bounds[0] and estimate.lower <= bounds[1])


def _range(bounds: Bounds) -> str:
    return f"{bounds[0]:g} to {bounds[1]:g}"


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.lower:.2f} to {estimate.upper:.2f})"
