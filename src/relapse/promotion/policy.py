"""The policy: which candidate is put forward, and whether it may become champion."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from relapse.added_value.evidence import AddedValue
from relapse.candidates.catalogue import MODULES, REFERENCE
from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import Evidence
from relapse.evaluation.metrics import Counts, pooled, resampled_patients
from relapse.params import RegisterParams
from relapse.promotion import rules
from relapse.promotion.decision import Decision, Rule, Standing
from relapse.promotion.rival import Champion, against_champion


def decide(
    evidence: Evidence,
    predictions: dict[str, pd.DataFrame],
    champion: Champion | None,
    *,
    cohort: Cohort,
    gate: Mapping[str, Any],
    titles: dict[str, str],
    content_hash: str,
    params: RegisterParams,
    seed: int,
    added: AddedValue | None = None,
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
    cohort
        As declared.
    gate
        What the gate found, as its JSON file has it.
    titles
        Candidate names for people.
    content_hash
        Of this run.
    params
        The thresholds of the rules.
    seed
        Of the resampling.
    added
        What the cohort's blocks were found to add.
    """
    own = every_rule(evidence, predictions, cohort=cohort, params=params, seed=seed, added=added)
    name = challenger(evidence, own, params=params)
    found = (
        rules.data_gate(gate),
        rules.leakage(gate, predictions[name]),
        *own[name],
        against_champion(evidence, predictions, name, champion, margin=params.margin, significance=params.significance),
    )
    considered = tuple(
        Standing(item, titles[item], tuple(rule.name for rule in kept if not rule.passed)) for item, kept in own.items()
    )
    return Decision(
        cohort=evidence.cohort,
        challenger=name,
        challenger_title=titles[name],
        champion_before=champion.version if champion else None,
        promoted=all(rule.passed for rule in found),
        summary=_summary(evidence, name, titles, considered, found, champion),
        rules=found,
        considered=considered,
        policy=params.model_dump(mode="json"),
        content_hash=content_hash,
    )


def put_forward(
    evidence: Evidence,
    predictions: Mapping[str, pd.DataFrame],
    *,
    cohort: Cohort,
    params: RegisterParams,
    seed: int,
    added: AddedValue | None = None,
) -> str:
    """The candidate that :func:`decide` puts forward: it does not hang on who is champion."""
    own = every_rule(evidence, predictions, cohort=cohort, params=params, seed=seed, added=added)
    return challenger(evidence, own, params=params)


def every_rule(
    evidence: Evidence,
    predictions: Mapping[str, pd.DataFrame],
    *,
    cohort: Cohort,
    params: RegisterParams,
    seed: int,
    added: AddedValue | None = None,
) -> dict[str, tuple[Rule, ...]]:
    """The rules about each candidate, whoever is champion; their predictions are of the same rows."""
    flat = {name: pooled(table) for name, table in predictions.items()}
    weights = resampled_patients(next(iter(flat.values())), resamples=evidence.resamples, seed=seed)
    return {
        name: _own_rules(evidence, table, name, cohort=cohort, params=params, weights=weights, added=added)
        for name, table in flat.items()
    }


def _own_rules(
    evidence: Evidence,
    table: pd.DataFrame,
    name: str,
    *,
    cohort: Cohort,
    params: RegisterParams,
    weights: Counts,
    added: AddedValue | None = None,
) -> tuple[Rule, ...]:
    """The rules about one candidate, from its pooled ``table`` and resamples of its patients."""
    return (
        rules.against_reference(evidence, name, margin=params.margin),
        rules.calibrated(evidence, name, bounds=params.calibration),
        rules.useful(table, evidence.endpoint, multiples=params.net_benefit, weights=weights),
        rules.fair(evidence, name, floor=params.subgroup_floor),
        rules.enough_events(table, cohort, name, needed=params.events_per_parameter),
        *rules.adds_value(cohort, name, added),
    )


def challenger(evidence: Evidence, own: Mapping[str, tuple[Rule, ...]], *, params: RegisterParams) -> str:
    """The candidate to put forward, among those that keep every rule about themselves; else the reference.

    ``best`` takes the one with the largest ranking metric. ``simplest`` takes the first in the order of the catalogue,
    simplest first, whose paired difference to the best has an upper 95% bound of at least 0: it is not shown to be
    worse, and a lead that may be luck does not pay for a more complicated model (the spirit of the one-standard-error
    rule: Breiman et al. 1984, Classification and regression trees, section 3.4.3).
    """
    kept = [item for item in evidence.candidates if all(rule.passed for rule in own[item.name])]
    if not kept:
        return REFERENCE
    best = max(kept, key=lambda item: item.metrics[evidence.primary].value).name
    if params.choice == "best":
        return best
    order = list(MODULES)
    names = sorted((item.name for item in kept), key=lambda name: order.index(name) if name in order else len(order))
    return next(name for name in names if name == best or evidence.paired(name, best).test.upper >= 0)


def _summary(
    evidence: Evidence,
    name: str,
    titles: dict[str, str],
    considered: tuple[Standing, ...],
    found: tuple[Rule, ...],
    champion: Champion | None,
) -> str:
    best = evidence.best.name
    sentences = []
    if best != name:
        broken = next(item.broken for item in considered if item.candidate == best)
        why = (
            f"but does not keep the policy ({', '.join(broken)}); {titles[name]} is put forward instead."
            if broken
            else f"but {titles[name]}, which is simpler, is not shown to be worse and is put forward."
        )
        sentences.append(f"{titles[best]} has the largest {evidence.primary_label}, {why}")
    failed = [rule for rule in found if not rule.passed]
    if failed:
        said = "; ".join(f"{rule.name}: {rule.figure}" for rule in failed)
        sentences.append(f"{titles[name]} is not promoted: {said}".rstrip(".") + ".")
    elif champion is None:
        sentences.append(f"{titles[name]} may become the first champion.")
    else:
        sentences.append(f"{titles[name]} may replace version {champion.version.version} as champion.")
    return " ".join(sentences)
