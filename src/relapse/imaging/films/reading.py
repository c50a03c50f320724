"""What a reader finds in a film: proposals, each of which a radiologist may replace."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Region:
    """Where to look for a lesion: a point of the film as it was given, and how far around it a lesion may reach.

    ``x`` counts columns from the left and ``y`` rows from the top, in pixels of the film; ``radius`` is in pixels, too,
    or None where only a point was marked.
    """

    x: float
    y: float
    radius: float | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """The largest diameter of a lesion in mm, its 90% interval, and how likely it is right to a quarter."""

    value: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Coded:
    """A code of the study, 0 to 3, and the probability of each code; the cohort ``radiomics`` has their names."""

    probabilities: tuple[float, float, float, float]

    @property
    def value(self) -> int:
        """The most probable code."""
        return int(np.argmax(self.probabilities))

    @property
    def confidence(self) -> float:
        """The probability of the most probable code."""
        return max(self.probabilities)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read of a film.

    Parameters
    ----------
    size, shape, margin
        Of the lesion; None where no lesion was found.
    density
        Of the breast.
    percent
        Dense share of the breast's area, 0 to 100.
    tissue
        Probabilities of fatty, fatty-glandular and dense-glandular tissue, as mini-MIAS has them.
    region
        Where was looked; ``proposed`` by the reader where nobody marked a place.
    breast, dense, lesion, pectoral
        Masks (rows, columns) on the grid of ``shown``.
    shown
        The film as it is looked at, 0 to 1, chest wall on the left (rows, columns), ``spacing`` mm between pixels.
    notes
        What a radiologist should know of how the film was read.
    corners
        Where the middles of the first and of the last pixel of ``shown`` lie in the film, each as (x, y); x falls from
        one to the other where it is shown mirrored.
    """

    size: Size | None
    shape: Coded | None
    margin: Coded | None
    density: Coded
    percent: float
    tissue: tuple[float, float, float]
    region: Region | None
    proposed: bool
    shown: NDArray[np.float32]
    spacing: float
    breast: NDArray[np.bool_]
    pectoral: NDArray[np.bool_]
    dense: NDArray[np.bool_]
    lesion: NDArray[np.bool_]
    notes: tuple[str, ...]
    corners: tuple[tuple[float, float], tuple[float, float]]
