"""How large a cohort is, counted in patients, and how large it has to be for folds and for what a model learns."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import TYPE_CHECKING

import pandas as pd

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.missing import indicated
from relapse.cohorts.schema import Cohort

#: Of fewer patients with, or without, the event, figures say nothing, and a bootstrap resample may have none of them.
MIN_EACH = 10

#: What lowers the folds of the protocol, and those of the leakage audit.
PROTOCOL_SETTING = "split.folds or train.inner_folds in params.yaml"
AUDIT_SETTING = "audit.folds or audit.inner_folds in params.yaml"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows and patients of a table; a patient has the event where one of her rows has it."""

    rows: int
    patients: int
    rows_with_event: int
    with_event: int

    @property
    def without_event(self) -> int:
        """Patients none of whose rows has the event."""
        return self.patients - self.with_event

    @property
    def fewer(self) -> int:
        """Patients with the rarer outcome."""
        return min(self.with_event, self.without_event)


class Sized:
    """A record with ``rows``, ``patients``, ``events`` (rows with the event) and ``patients_with_event``.

    The last is None in a record from before they were counted: their share is then taken to be that of the rows.
    """

    __slots__ = ()

    if TYPE_CHECKING:
        rows: int
        patients: int
        events: int
        patients_with_event: int | None

    @property
    def size(self) -> Counts:
        """Rows and patients, with the event and without."""
        known = self.patients_with_event
        return Counts(
            self.rows,
            self.patients,
            self.events,
            round(self.events * self.patients / self.rows) if known is None else known,
        )


def counts(table: pd.DataFrame) -> Counts:
    """Count the rows of ``table``, which has ``patient`` and ``event`` (0, 1), and the patients behind them."""
    relapsed = table.groupby("patient", observed=True)["event"].max()
    return Counts(len(table), len(relapsed), int(table["event"].sum()), int(relapsed.sum()))


@dataclass(frozen=True, slots=True)
class Folds:
    """``outer`` folds with ``inner`` ones inside the training part of each (1: none).

    ``setting`` names what they are lowered by. This is the one place that says what folds need of a cohort: the gate
    asks it before anything is trained, and whoever draws folds asks it again.
    """

    outer: int
    inner: int = 1
    setting: str = ""

    @property
    def needed(self) -> int:
        """Patients needed with the event, and as many without.

        Each test part has to hold one of both, outer and inner, or nothing can be ranked in it. Each inner training
        part has to hold two of both: early stopping holds one back, and the other is learnt from.
        """

        def enough(patients: int) -> bool:
            training = patients - ceil(patients / self.outer)
            if self.inner == 1:
                return training >= 1
            return training >= self.inner and training - ceil(training / self.inner) >= 2

        return next(patients for patients in count(self.outer) if enough(patients))

    def lacking(self, found: Counts) -> str:
        """What these folds lack in a cohort, and what to do; empty where they can be formed."""
        if found.fewer >= self.needed:
            return ""
        inside = f" with {self.inner} inside each" if self.inner > 1 else ""
        lower = f"Lower {self.setting}, or bring more patients." if self.setting else "Bring more patients."
        return (
            f"{self.outer} folds{inside} need at least {self.needed} patients with and {self.needed} without the "
            f"event; found {found.with_event} with and {found.without_event} without. {lower}"
        )


def parameters(cohort: Cohort, names: Iterable[str]) -> int:
    """Columns of the matrix made of these features: one a number or ordinal one, one less than levels a nominal one.

    Those that say that a value was missing count, too, as a model has them that takes no missing values.
    """
    named = list(names)
    features = [cohort.features[name] for name in named]
    alone, shared = indicated(cohort, named)
    return (
        sum(len(item.names) - 1 if isinstance(item, Categorical) and item.type == "nominal" else 1 for item in features)
        + len(alone)
        + len(shared)
    )


def for_parameters(cohort: Cohort, found: Counts) -> int:
    """Patients who count for how much may be learnt: with the event, or of the rarer outcome where it has no time."""
    return found.with_event if cohort.survival else found.fewer
