"""Every metric in every subgroup that a predictions table names, or a note why not."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from relapse.evaluation.metrics import Endpoint, evaluate, resampled_patients
from relapse.evaluation.statistics.results import Estimate
from relapse.predictions import SUBGROUP

#: Fewer rows with, or without, the event than this, and a subgroup's figures say nothing.
MIN_EACH = 10


@dataclass(frozen=True, slots=True)
class SubgroupEvidence:
    """One level of one subgroup column: its size, and its metrics or, in ``note``, why there are none."""

    column: str
    level: str
    rows: int
    patients: int
    events: int
    metrics: dict[str, Estimate]
    note: str


def by_subgroup(table: pd.DataFrame, endpoint: Endpoint, *, resamples: int, seed: int) -> Iterator[SubgroupEvidence]:
    """All metrics of a pooled table by subgroup, with intervals from patients resampled within the subgroup."""
    for name in table.columns:
        if not name.startswith(SUBGROUP):
            continue
        for level, part in table.groupby(name, sort=True, observed=True):
            part = part.reset_index(drop=True)
            events = int(part["event"].sum())
            enough = min(events, len(part) - events) >= MIN_EACH
            note = "" if enough else f"fewer than {MIN_EACH} rows with or without the event: no figures are given"
            weights = resampled_patients(part, resamples=resamples, seed=seed) if enough else None
            yield SubgroupEvidence(
                column=name.removeprefix(SUBGROUP),
                level=str(level),
                rows=len(part),
                patients=int(part["patient"].nunique()),
                events=events,
                metrics=evaluate(part, endpoint, weights) if weights is not None else {},
                note=note,
            )
