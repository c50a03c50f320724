"""The bundle of a challenger, made from the files of its run."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from relapse.bundle.fallback import CANDIDATE, ToFallBackOn, needs_fallback
from relapse.bundle.manifest import Origin
from relapse.bundle.write import write_bundle
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.documents import Document
from relapse.evaluation.evidence import Evidence
from relapse.ground.files import read_json, sha256_of_file
from relapse.ground.workspace import Workspace
from relapse.params import Params, recorded
from relapse.predictions import read_predictions
from relapse.promotion.decision import Decision
from relapse.tracking.publishing.source import Source


def write_challenger(
    folder: Path,
    at: Workspace,
    *,
    source: Source,
    params: Params,
    evidence: Evidence,
    decision: Decision,
    card: Document,
    checklist: Document,
) -> None:
    """Write the challenger's bundle into ``folder``."""
    name, cohort = decision.challenger, read_cohort(at.resolved)
    labels = {metric.key: metric.label for metric in evidence.endpoint.metrics}
    write_bundle(
        folder,
        model=at.model(name),
        declaration=at.resolved,
        table=read_table(at.table, cohort),
        candidate=name,
        title=decision.challenger_title,
        content_hash=source.content_hash,
        table_hash=sha256_of_file(at.table),
        git_commit=source.git_commit,
        metrics=[
            {"key": key, "label": labels[key], "value": found.value, "lower": found.lower, "upper": found.upper}
            for key, found in evidence.candidate(name).metrics.items()
        ],
        # Sealed now: what comes later stands in the registry, and in a file beside the bundle that is packaged.
        decision=asdict(decision) | {"external_validation": "none when this was registered"},
        card=card,
        checklist=checklist,
        risks=_out_of_fold(at, name, evidence),
        refits=_fold_models(at, name),
        fallback=_fallback(at, evidence) if needs_fallback(cohort, name) else None,
        film_reader=at.film_reader if cohort.films else None,
        origin=_origin(at, name, source, params),
        out_of_fold=_averaged(at, name, evidence, 0),
    )


def _origin(at: Workspace, name: str, source: Source, params: Params) -> Origin:
    flow = read_json(at.flow)
    return Origin(
        sources=flow.get("read", ()),
        declared=flow.get("declared", {}),
        predictions=sha256_of_file(at.predictions(name)),
        evidence=sha256_of_file(at.evidence),
        params=recorded(params),
        git_dirty=source.git_dirty,
    )


def _fallback(at: Workspace, evidence: Evidence) -> ToFallBackOn:
    """The clinical reference of the same run."""
    return ToFallBackOn(
        title=read_json(at.record(CANDIDATE))["title"],
        model=at.model(CANDIDATE),
        risks=_out_of_fold(at, CANDIDATE, evidence),
        refits=_fold_models(at, CANDIDATE),
    )


def _fold_models(at: Workspace, name: str) -> list[Path]:
    return sorted(at.fold_model(name, 0).parent.glob("*.skops"))


def _out_of_fold(at: Workspace, name: str, evidence: Evidence) -> list[float]:
    """Each row's risk by the last horizon."""
    return _averaged(at, name, evidence, -1)["risk"].tolist()


def _averaged(at: Workspace, name: str, evidence: Evidence, horizon: int) -> pd.DataFrame:
    """Each row's risk by a horizon, averaged over repeats."""
    risks, timed = evidence.endpoint.risk_columns, evidence.endpoint.timed
    predictions = read_predictions(at.predictions(name), risks=risks, timed=timed)
    return predictions.groupby("row")[risks[horizon]].mean().rename("risk").reset_index()
