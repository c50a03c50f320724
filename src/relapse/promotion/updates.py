"""Whether a recalibration of the champion on new patients may follow it: the policy's rules, on those patients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import counts, for_parameters
from relapse.evaluation.evidence import Evidence
from relapse.evaluation.metrics import pooled, resampled_patients
from relapse.evaluation.statistics.calibration.updating import Update
from relapse.params import RegisterParams
from relapse.promotion import rules
from relapse.promotion.decision import Changes, Decision, Rule, Standing
from relapse.promotion.rival import Champion, against_champion


def decide_update(
    evidence: Evidence,
    predictions: dict[str, pd.DataFrame],
    champion: Champion,
    *,
    name: str,
    title: str,
    cohort: Cohort,
    gate: Mapping[str, Any],
    update: Update,
    moved: int,
    gain: NDArray[np.float64],
    content_hash: str,
    params: RegisterParams,
    seed: int,
    changes: Changes | None,
    trained_on: str,
) -> Decision:
    """Decide whether an updated champion becomes champion.

    The rules are those of :func:`relapse.promotion.policy.decide`, on patients whom the model was not trained on, and
    cross-fitted: no patient is judged by numbers that she helped to choose. Events are counted for the numbers that
    move, not for the columns that stay. What a costly block adds was shown when the champion was promoted. One rule is
    of updates alone: a closed test asks for it, and it gains in the patients left out.

    Parameters
    ----------
    evidence, predictions
        On the new patients, with ``reference`` and ``name`` among the candidates.
    name, title
        The champion's candidate, whose predictions are the cross-fitted ones.
    cohort
        The declaration of the new patients.
    gate
        What the gate found in their table, as JSON has it.
    moved
        How many numbers the update moves.
    gain
        What the update adds to each patient's log-likelihood (n,), cross-fitted.
    changes
        What differs from the champion; None without a plan.
    trained_on
        The cohort whose champion it is.
    """
    table = pooled(predictions[name])
    weights = resampled_patients(table, resamples=evidence.resamples, seed=seed)
    own = (
        rules.against_reference(evidence, name, margin=params.margin),
        rules.calibrated(evidence, name, bounds=params.calibration),
        rules.useful(table, evidence.endpoint, multiples=params.net_benefit, weights=weights),
        rules.fair(evidence, name, floor=params.subgroup_floor),
        _enough_events(table, cohort, moved, needed=params.events_per_parameter),
        _gains(update, gain),
    )
    found = (
        rules.data_gate(gate),
        rules.leakage(gate, predictions[name]),
        *own,
        against_champion(evidence, predictions, name, champion, margin=params.margin, significance=params.significance),
    )
    broken = tuple(rule.name for rule in found if not rule.passed)
    said = f"{title}, {update.chosen} on {evidence.cohort}, "
    if broken:
        failed = "; ".join(f"{rule.name}: {rule.figure}" for rule in found if not rule.passed)
        said += f"is not promoted: {failed}".rstrip(".") + "."
    else:
        said += f"may replace version {champion.version.version} as champion."
    return Decision(
        cohort=trained_on,
        challenger=name,
        challenger_title=title,
        champion_before=champion.version,
        promoted=not broken,
        summary=said,
        rules=found,
        considered=(Standing(name, title, tuple(rule.name for rule in own if not rule.passed)),),
        policy=params.model_dump(mode="json"),
        content_hash=content_hash,
        changes=changes,
    )


def _enough_events(predictions: pd.DataFrame, cohort: Cohort, moved: int, *, needed: float) -> Rule:
    rarer = for_parameters(cohort, counts(predictions))
    requirement = f"at least {needed:g} patients with the rarer outcome for each number that the update moves"
    figure = f"{rarer} for {moved}, {rarer / moved:.1f} for each"
    return Rule("events per parameter", requirement, figure, rarer / moved >= needed)


def _gains(update: Update, gain: NDArray[np.float64]) -> Rule:
    """Whether the test asks for the update, and whether it is better where it was not fitted."""
    requirement = "a closed test asks for it, and it raises the mean log-likelihood of patients left out of its fit"
    steps = ", ".join(f"p = {step.p:.2g} against the model {step.against}" for step in update.steps)
    figure = f"{update.chosen} ({steps}); gain {gain.mean():+.4f} a patient, cross-fitted"
    return Rule("update", requirement, figure, bool(gain.mean() > 0))
