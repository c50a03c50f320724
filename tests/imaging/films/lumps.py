"""Breasts of drawn tissue, for tests that need no film."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.phantoms import laid_on, power_noise


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What lesions are sought in: the part of a ``Breast`` that is used for it."""

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    spacing: float


def drawn_tissue(shape: tuple[int, int], spacing: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Tissue (rows, columns), 0 to 1: noise with a mammogram's spectrum."""
    # Structures longer than 30 mm are the breast's own form; without this, brightness hangs on the window's size.
    noise = power_noise(shape, rng)
    strength = rng.uniform(0.05, 0.09) * min(1.0, (min(shape) * spacing / 30) ** 0.5)
    return np.clip(rng.uniform(0.3, 0.55) + strength * noise, 0, 1).astype(np.float32)


def breast(seed: int, *, shape: tuple[int, int] = (200, 160), spacing: float = 0.8) -> Any:
    """Half a disc of drawn tissue beside a dark background."""
    image = drawn_tissue(shape, spacing, np.random.default_rng(seed))
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    mask = ((rows - shape[0] / 2) / (0.46 * shape[0])) ** 2 + (columns / (0.85 * shape[1])) ** 2 < 1
    return Drawn(np.where(mask, image, 0).astype(np.float32), mask, spacing)


def laid(one: Any, rng: np.random.Generator, **asked: Any) -> tuple[Any, NDArray[np.bool_]]:
    """A breast with a mass, which has a place in it, and the mass's mask."""
    found = laid_on(one, rng, **asked)
    assert found is not None
    return found.breast, found.mask
