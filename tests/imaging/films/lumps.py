"""Breasts of drawn tissue, for tests that need no film."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.phantoms import drawn_tissue


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What lesions are sought in: the part of a ``Breast`` that is used for it."""

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing: float


def breast(seed: int, *, shape: tuple[int, int] = (200, 160), spacing: float = 0.8) -> Any:
    """Half a disc of drawn tissue beside a dark background."""
    image = drawn_tissue(shape, spacing, np.random.default_rng(seed))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask = ((rows - shape[0] / 2) / (0.46 * shape[0])) ** 2 + (columns / (0.85 * shape[1])) ** 2 < 1
    return Drawn(np.where(mask, image, 0).astype(np.float32), mask, spacing)
