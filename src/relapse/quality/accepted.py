"""What a table looked like that a person accepted: counts by class, so that a later one can be held against it.

No patient's row is in it: classes of a feature hold five patients or more, and their limits are rounded.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import Declared, parse
from relapse.ground.errors import DeclarationError
from relapse.ground.files import read_json

#: Classes of a number, and the patients that a class holds at least.
CLASSES, LEAST = 10, 5

#: The class of all levels that too few patients have to be counted one by one.
RARE = "(rare)"

Count = Annotated[int, Field(ge=0)]


class Counted(Declared):
    """Patients by class of one feature, and those without a value; fewer than five of these are told as none.

    ``limits`` part the classes of a number, each belonging to the class below it; ``classes`` are the names of levels.
    One of the two is given.
    """

    limits: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    counts: tuple[Count, ...]
    missing: Count

    @property
    def names(self) -> list[str]:
        """The classes in words."""
        if self.classes is not None:
            return list(self.classes)
        limits = self.limits or ()
        if not limits:
            return ["any value"]
        between = [f"above {low:g} to {high:g}" for low, high in pairwise(limits)]
        return [f"up to {limits[0]:g}", *between, f"above {limits[-1]:g}"]

    def places(self, values: pd.Series) -> NDArray[np.int64]:
        """The class of each value, shape (n,): its place in ``names``, one beyond the last for a level nobody had.

        -1 where there is no value.
        """
        known = values.notna().to_numpy()
        found = np.full(len(values), -1, dtype=np.int64)
        if self.classes is None:
            limits = np.asarray(self.limits or ())
            found[known] = np.searchsorted(limits, values[known].to_numpy(dtype=float), side="left")
            return found
        rare = self.classes.index(RARE) if RARE in self.classes else len(self.classes)
        places = {level: place for place, level in enumerate(self.classes)}
        found[known] = [places.get(level, rare) for level in values[known].astype(str)]
        return found

    def count(self, values: pd.Series) -> NDArray[np.int64]:
        """Patients by the same classes, shape (classes,), of other values of the feature."""
        places = self.places(values)
        return np.bincount(places[places >= 0], minlength=len(self.counts))


class Accepted(Declared):
    """The accepted version of a cohort's table; ``fingerprint`` is the digest of its sources."""

    cohort: str
    fingerprint: str
    patients: Count
    with_event: Count
    features: dict[str, Counted]


def accepted_of(table: pd.DataFrame, cohort: Cohort, *, fingerprint: str) -> Accepted:
    """What is kept of a typed table that was accepted; of a patient with several rows the first counts."""
    people = table.drop_duplicates("patient")
    return Accepted(
        cohort=cohort.name,
        fingerprint=fingerprint,
        patients=len(people),
        with_event=int((people["event"] == 1).sum()),
        features={
            name: counted(people[name], levels=isinstance(feature, Categorical))
            for name, feature in cohort.features.items()
        },
    )


def counted(values: pd.Series, *, levels: bool) -> Counted:
    """Patients by class of a feature: its levels, or tenths of its numbers."""
    return _levels(values) if levels else _numbers(values)


def read_accepted(path: Path) -> Accepted | None:
    """The accepted version of a table, None where none was accepted yet.

    Raises
    ------
    DeclarationError
        The file is not one that `relapse cohort accept` wrote.
    """
    if not path.is_file():
        return None
    try:
        content = read_json(path)
    except ValueError:
        raise DeclarationError(
            f"{path}: not readable as JSON. `relapse cohort accept {path.stem}` writes it."
        ) from None
    return parse(Accepted, content, origin=path)


def _numbers(values: pd.Series) -> Counted:
    known = values.dropna().to_numpy(dtype=float)
    limits: list[float] = []
    if len(known):
        wanted = [float(f"{limit:.3g}") for limit in np.quantile(known, np.linspace(0, 1, CLASSES + 1)[1:-1])]
        for limit in sorted(set(wanted)):
            below = int((known <= limit).sum()) - int((known <= limits[-1]).sum() if limits else 0)
            if below >= LEAST and int((known > limit).sum()) >= LEAST:
                limits.append(limit)
    found = Counted(limits=tuple(limits), counts=(), missing=_told(values))
    return found.model_copy(update={"counts": tuple(_counts(known, limits))})


def _counts(known: NDArray[np.float64], limits: list[float]) -> list[int]:
    return np.bincount(np.searchsorted(limits, known, side="left"), minlength=len(limits) + 1).tolist()


def _levels(values: pd.Series) -> Counted:
    often = values.dropna().astype(str).value_counts()
    kept = sorted(often.index[often >= LEAST])
    rare = int(often[often < LEAST].sum())
    # One rare level alone, or a few patients of them, would be told by the rest: the smallest class takes them in.
    if 0 < rare < LEAST and kept:
        smallest = min(kept, key=lambda level: int(often[level]))
        kept.remove(smallest)
        rare += int(often[smallest])
    classes, counts = list(kept), [int(often[level]) for level in kept]
    if rare or not classes:
        classes, counts = [*classes, RARE], [*counts, rare]
    return Counted(classes=tuple(classes), counts=tuple(counts), missing=_told(values))


def _told(values: pd.Series) -> int:
    missing = int(values.isna().sum())
    return missing if missing >= LEAST else 0
