"""All features at once: how far a patient lies from the middle of the training, seen along its own directions.

The squared Mahalanobis distance under a model of few components: the leading principal components by their variances
(Hotelling's T²), and what they leave over (Q, the squared prediction error) by the variance of the rest. It moves where
features that went together no longer do, though each is distributed as ever. Tipping ME, Bishop CM (1999),
Probabilistic principal component analysis, JRSS B 61:611-622.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse.monitoring.monitored import Whole

Array = NDArray[np.float64]

#: Most components, the patients that one takes at least, and the least variance of what they leave over.
COMPONENTS, PATIENTS_EACH, LEAST = 10, 10, 0.05

#: Parts of the training, each measured by what the others show: patients served were not there either.
PARTS = 10


@dataclass(frozen=True, slots=True)
class Directions:
    """Leading components of positions (r, p), their variances (r,), and the variance of the rest."""

    loadings: Array
    variances: Array
    noise: float

    @classmethod
    def of(cls, positions: Array) -> "Directions":
        """The directions of patients at these positions (n, p)."""
        size, width = positions.shape
        values, vectors = np.linalg.eigh(positions.T @ positions / size)
        count = min(COMPONENTS, width - 1, size // PATIENTS_EACH)
        # Ascending, as numpy gives them.
        values, vectors = values[::-1], vectors[:, ::-1]
        rest = float(values[count:].mean())
        return cls(vectors[:, :count].T, np.maximum(values[:count], LEAST), max(rest, LEAST))

    @classmethod
    def kept(cls, whole: Whole) -> "Directions":
        """The directions that stand in a bundle."""
        width = len(whole.loadings[0]) if whole.loadings else 0
        return cls(np.array(whole.loadings).reshape(-1, width), np.array(whole.variances), whole.noise)

    def distances(self, positions: Array) -> Array:
        """Squared distances (n,) from the middle, each coordinate by its variance, over the number of features."""
        if not len(self.variances):
            return np.asarray((positions**2).mean(axis=1) / self.noise)
        along = positions @ self.loadings.T
        rest = (positions**2).sum(axis=1) - (along**2).sum(axis=1)
        return np.asarray(((along**2 / self.variances).sum(axis=1) + rest / self.noise) / positions.shape[1])


def parts(size: int, count: int = PARTS) -> NDArray[np.int64]:
    """The part that each of the training's patients (n,) belongs to."""
    return np.arange(size) % count


def out_of_part(positions: Array) -> Array:
    """Distances (n,) of the training's patients, each by the directions of the others."""
    found, part = np.empty(len(positions)), parts(len(positions))
    for number in range(PARTS):
        mine = part == number
        found[mine] = Directions.of(positions[~mine]).distances(positions[mine])
    return found
