"""What a bundle says of its training for monitoring: patients by class, and outcomes by risk; no patient's row.

Whether a patient is compared with these as a row of a table or as classes that the service stored makes no difference:
a value counts by its class alone.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from relapse.ground.declarations import Declared
from relapse.quality.accepted import Counted

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]

#: Decimals of a risk that is kept.
DECIMALS = 3


class Watched(Declared):
    """A feature: the training's patients by class, and those without a value; ``ordered`` says that classes rise."""

    classes: Counted
    missing: Count
    ordered: bool

    @property
    def counts(self) -> IntArray:
        """Patients by class (k + 1,); the last is that of levels that nobody had."""
        return np.array([*self.classes.counts, 0], dtype=np.int64)

    def positions(self, classes: IntArray) -> Array:
        """Where patients of these classes (n,) stand among the training's, 0 in the middle, variance near 1.

        No value stands in the middle. (Ridits; Bross ID (1958), Biometrics 14:18-38.)
        """
        counts = self.counts
        known = max(int(counts.sum()), 1)
        middle = (np.cumsum(counts) - counts / 2) / known - 0.5
        return np.where(classes < 0, 0.0, np.sqrt(12) * middle[classes])


class Whole(Declared):
    """Distance of all features together from the middle of the training; ``distances`` has its patients by class.

    ``loadings`` (r, p) are the leading principal components of the positions, ``variances`` (r,) theirs, ``noise``
    that of the rest: see :mod:`relapse.monitoring.whole`.
    """

    loadings: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    noise: Annotated[float, Field(gt=0)]
    distances: Counted


class Outcomes(Declared):
    """What became of the training's patients, by out-of-fold risk.

    ``horizon`` is the time by which an event counts, in ``unit``; None where the endpoint has no time. ``limits`` part
    the groups of risk, each belonging to the group below; ``expected`` is each group's mean risk, ``events`` and
    ``others`` its patients whose outcome is known, weighted where follow-up is censored. ``auc`` and ``gain`` (net
    benefit at ``threshold`` over the better of treating all and none) have lower bounds of 99.5%.
    """

    horizon: float | None
    unit: str | None
    known: Count
    limits: tuple[float, ...]
    expected: tuple[Share, ...]
    events: tuple[float, ...]
    others: tuple[float, ...]
    auc: Share
    auc_lower: Share
    threshold: Annotated[float, Field(gt=0, lt=1)]
    gain: float
    gain_lower: float

    @property
    def ratio(self) -> float:
        """Events of the training over those expected by their out-of-fold risks."""
        known = np.asarray(self.events) + np.asarray(self.others)
        return float(np.sum(self.events) / np.sum(known * np.asarray(self.expected)))

    def groups(self, risk: Array) -> IntArray:
        """The group of each risk (n,)."""
        return np.searchsorted(np.asarray(self.limits), risk, side="left")


class Monitored(Declared):
    """The training as monitoring knows it: its ``patients``, out-of-fold ``risk`` by class, and features by name.

    ``unlike`` are patients who would have been called unlike the training by the others of it. ``risk_label`` says
    which risk is watched. ``outcomes`` is None where too few had the event, or did not.
    """

    patients: Count
    risk_label: str
    features: dict[str, Watched]
    risk: Counted
    unlike: Count
    whole: Whole
    outcomes: Outcomes | None

    def classes(self, places: dict[str, IntArray]) -> IntArray:
        """The places of patients in the classes of all features (n, p), from those in each."""
        return np.column_stack([places[name] for name in self.features])

    def positions(self, classes: IntArray) -> Array:
        """Positions (n, p) of patients in these classes: see :meth:`Watched.positions`."""
        features = self.features.values()
        return np.column_stack([item.positions(part) for item, part in zip(features, classes.T, strict=True)])
