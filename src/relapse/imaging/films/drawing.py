"""Whole films that are drawn: breast, muscle, label, dense tissue and one mass, all of it known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.phantoms import Mask, lesion_on, power_noise


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A drawn film and what is true of it, all on the film's own grid (rows, columns).

    Parameters
    ----------
    values
        The film, 8 bits.
    spacing
        mm between pixels.
    laterality
        ``L`` (chest wall at the left) or ``R`` (at the right).
    breast, pectoral, dense, lesion
        Masks; ``breast`` without the pectoral muscle.
    percent
        Dense share of the breast's area, 0 to 100.
    shape, margin, diameter, centre
        Of the lesion: its codes, its largest diameter in mm, and its middle as row and column.
    """

    values: NDArray[np.uint8]
    spacing: float
    laterality: str
    breast: Mask
    pectoral: Mask
    dense: Mask
    lesion: Mask
    percent: float
    shape: int
    margin: int
    diameter: float
    centre: tuple[float, float]


def drawn_film(
    rng: np.random.Generator,
    *,
    laterality: str = "L",
    dense: float = 0.3,
    shape: int = 1,
    margin: int = 0,
    diameter: float = 18.0,
    size: tuple[int, int] = (512, 400),
    spacing: float = 0.4,
    contrast: float | None = None,
    muscle: bool = True,
) -> Drawn:
    """Draw a film, mediolateral oblique as a rule: skin line, pectoral muscle, label, dense tissue and one mass.

    Parameters
    ----------
    rng
        What is not asked for is drawn from it.
    laterality
        ``L`` or ``R``.
    dense
        Dense share of the breast's area, 0 to 1.
    shape, margin, diameter, contrast
        Of the mass, as in :func:`lesion_on`.
    size, spacing
        Rows and columns, and mm between pixels.
    muscle
        Whether the pectoral muscle is seen: not in a craniocaudal film.
    """
    from scipy import ndimage

    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float64)
    height, width = size
    middle, half = height * rng.uniform(0.5, 0.56), height * rng.uniform(0.4, 0.44)
    deep = width * rng.uniform(0.7, 0.82)
    upright = (rows - middle) / half
    # Above the nipple's level the breast goes over into the armpit more slowly than it ends below.
    skin = deep * np.clip(1 - np.abs(upright) ** np.where(upright < 0, 2.6, 2.2), 0, None) ** 0.5
    inside = columns < skin
    corner = columns / (width * rng.uniform(0.26, 0.36)) + rows / (height * rng.uniform(0.5, 0.62)) < 1
    pectoral = inside & corner & muscle
    depth = ndimage.distance_transform_edt(np.pad(inside, ((0, 0), (1, 0)), mode="edge"))[:, 1:] * spacing
    thick = 1 - np.exp(-depth / 6)

    texture = power_noise(size, rng)
    # Dense tissue lies behind the nipple, and is uneven; its share is what was asked for.
    behind = np.exp(-(((columns / deep - 0.45) / 0.4) ** 2) - (upright / 0.55) ** 2)
    breast = inside & ~pectoral
    rank = behind + 0.22 * power_noise(size, rng, 1.8)
    cut = np.quantile(rank[breast], 1 - min(max(dense, 0.0), 1.0))
    glandular = breast & (rank >= cut)
    tissue = 0.28 + 0.24 * ndimage.gaussian_filter(glandular.astype(np.float64), 1.2 / spacing) + 0.035 * texture
    # As bright as dense tissue, as it is in films.
    tissue = np.where(pectoral, 0.56 + 0.02 * texture, tissue)

    deepest = depth * breast
    allowed = np.argwhere(deepest >= min(0.6 * diameter + 3, 0.8 * float(deepest.max())))
    place = allowed[rng.integers(len(allowed))]
    centre = (float(place[0]), float(place[1]))
    tissue, lesion = lesion_on(
        tissue.astype(np.float32),
        spacing,
        rng,
        shape=shape,
        margin=margin,
        diameter=diameter,
        centre=centre,
        contrast=contrast,
    )
    film = np.where(inside, np.clip(tissue, 0.05, 1) * thick, 0) + 0.02
    film[int(0.05 * height) : int(0.12 * height), int(0.84 * width) : int(0.95 * width)] = 0.95
    film += 0.006 * rng.standard_normal(size)
    values = np.clip(np.round(film * 235), 0, 255).astype(np.uint8)
    there = [breast, pectoral, glandular & breast, lesion & inside]
    if laterality == "R":
        values = np.ascontiguousarray(values[:, ::-1])
        there = [np.ascontiguousarray(one[:, ::-1]) for one in there]
        centre = (centre[0], width - 1 - centre[1])
    tissue_mask, pectoral, glandular, mass = there
    percent = 100 * float(glandular.sum()) / float(tissue_mask.sum())
    return Drawn(
        values, spacing, laterality, tissue_mask, pectoral, glandular, mass, percent, shape, margin, diameter, centre
    )
