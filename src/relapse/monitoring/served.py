"""What was served, as monitoring looks at it: patients in the order in which they came, by class."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Patients below which nothing is told.
ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Served:
    """Patients in the order in which they came.

    Attributes
    ----------
    day : datetime64[D] array (n,), ascending
    patient : array (n,)
        Pseudonyms of a store, or a table's own names.
    classes : array (n, p)
        Class of each feature, -1 without a value.
    risk : array (n,)
        NaN where the fallback answered.
    unlike : array (n,)
        1 unlike the training, 0 not; NaN where the fallback answered.
    """

    day: NDArray[np.datetime64]
    patient: NDArray[np.str_]
    classes: IntArray
    risk: Array
    unlike: Array

    def __len__(self) -> int:
        return int(self.day.size)

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Served":
        """Some of the patients."""
        return Served(**{part.name: getattr(self, part.name)[rows] for part in fields(self)})

    def once(self) -> "Served":
        """Each patient at her first answer only: what is asked again says nothing new."""
        first = np.unique(self.patient, return_index=True)[1]
        return self.at(np.sort(first))


def spans(days: NDArray[np.datetime64], *, least: int) -> list[NDArray[np.int64]]:
    """Rows of patients by calendar time: whole weeks, taken together until each span has ``least`` patients or more.

    The last span may be smaller than that where there is no other; ``days`` (n,) ascend.
    """
    if not days.size:
        return []
    weeks = (days - days[0]).astype(np.int64) // 7
    found: list[NDArray[np.int64]] = []
    begun = 0
    for end in np.flatnonzero(np.diff(weeks, append=weeks[-1] + 1)) + 1:
        if end - begun >= least:
            found.append(np.arange(begun, end))
            begun = int(end)
    rest = np.arange(begun, days.size)
    if rest.size and found:
        found[-1] = np.concatenate([found[-1], rest])
    elif rest.size:
        found.append(rest)
    return found
