"""Every metric in every subgroup that a predictions table names, or a note why not."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from relapse.cohorts.size import MIN_EACH, Sized, counts
from relapse.evaluation.metrics import Endpoint, evaluate, resampled_patients
from relapse.evaluation.statistics.results import Estimate
from relapse.predictions import SUBGROUP


@dataclass(frozen=True, slots=True)
class SubgroupEvidence(Sized):
    """One level of one subgroup column: its size, and its metrics or, in ``note``, why there are none.

    ``events`` are rows with the event; ``patients_with_event`` is None in evidence from before they were counted.
    """

    column: str
    level: str
    rows: int
    patients: int
    events: int
    metrics: dict[str, Estimate]
    note: str
    patients_with_event: int | None = None


def by_subgroup(table: pd.DataFrame, endpoint: Endpoint, *, resamples: int, seed: int) -> Iterator[SubgroupEvidence]:
    """All metrics of a pooled table by subgroup, with intervals from patients resampled within the subgroup."""
    for name in table.columns:
        if not name.startswith(SUBGROUP):
            continue
        for level, part in table.groupby(name, sort=True, observed=True):
            part = part.reset_index(drop=True)
            found = counts(part)
            enough = found.fewer >= MIN_EACH
            note = "" if enough else f"fewer than {MIN_EACH} patients with or without the event: no figures are given"
            weights = resampled_patients(part, resamples=resamples, seed=seed) if enough else None
            yield SubgroupEvidence(
                column=name.removeprefix(SUBGROUP),
                level=str(level),
                rows=found.rows,
                patients=found.patients,
                events=found.rows_with_event,
                metrics=evaluate(part, endpoint, weights) if weights is not None else {},
                note=note,
                patients_with_event=found.with_event,
            )
