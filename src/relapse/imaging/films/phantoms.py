"""Drawn masses on real or drawn breast tissue: their borders are known, so what finds and codes them can be held.

A mass is what an X-ray of a lump would add to the tissue that it lies in: a dome, bounded by one closed curve around
its centre. The curve's form is the *shape* (an oval, or round or irregular), and what becomes of the dome at the curve
is the *margin*: it ends there (circumscribed); the curve has small lobes, or other tissue hides a part of it
(microlobulated or obscured); the dome fades (ill-defined); or strands run out of it (spiculated). Strands are no part
of the mask: a radiologist measures the body of a mass, and so does the truth here.

Contrast is in units of a breast's own range of brightness (0 to 1). In masses of mini-MIAS, median brightness inside
the circle exceeds that around it by 0.17 (quartiles 0.11 and 0.26), which is what is drawn.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.lesion import largest_diameter

if TYPE_CHECKING:
    from relapse.imaging.films.breast import Breast

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Largest diameters that are drawn, in mm.
SIZES = (4.0, 60.0)

#: Median and spread (standard deviation of the logarithm) of the contrast, and its limits.
_CONTRAST, _SPREAD, _CONTRASTS = 0.19, 0.4, (0.08, 0.4)

#: Least contrast as a multiple of the tissue's own variation: what no one could see is no truth to learn from.
_VISIBLE = 0.9

#: Angles at which a border is drawn.
_ANGLES = np.linspace(-np.pi, np.pi, 361)

#: Tissue that a mass is laid over, as a multiple of its diameter.
_AROUND = 2.6

#: Exponent of the amplitude of a mammogram's spectrum (Burgess, Jacobson and Judy 2001: power falls with f^-3).
_FALL = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Border:
    """A closed curve around a centre: ``radii`` in mm at equally spaced angles from -π to π."""

    radii: NDArray[np.float64]

    def at(self, angle: NDArray[np.float64]) -> NDArray[np.float64]:
        """The radius at each angle."""
        return np.interp(angle, _ANGLES, self.radii)


def border(rng: np.random.Generator, *, shape: int, margin: int, diameter: float) -> Border:
    """Draw the border of a mass whose largest diameter is ``diameter`` mm; codes as :mod:`~.films.reading` has them."""
    if shape not in (0, 1) or margin not in (0, 1, 2, 3):
        raise ValueError(f"shape {shape} and margin {margin}: a mass has shape 0 or 1 and margin 0 to 3.")
    round_one = shape == 1 and rng.random() < 0.4
    aspect = rng.uniform(*((1.25, 1.9) if shape == 0 else (1.0, 1.1) if round_one else (1.0, 1.35)))
    turned = _ANGLES - rng.uniform(0, np.pi)
    radii = 1 / np.sqrt(np.cos(turned) ** 2 + (aspect * np.sin(turned)) ** 2)
    if shape == 1 and not round_one:
        for waves in range(2, 6):
            radii = radii * (1 + rng.uniform(0.02, 0.26) / waves**0.7 * np.cos(waves * _ANGLES + rng.uniform(0, 6.3)))
    if margin == 1:
        # Lobes are arcs that meet in notches, not a wave: |cos| has both.
        lobes = int(rng.integers(8, 15)) // 2 * 2
        depth, phase = rng.uniform(0.07, 0.16), rng.uniform(0, np.pi)
        uneven = 1 + 0.5 * np.cos(_ANGLES + rng.uniform(0, 6.3))
        radii = radii * (1 + depth * uneven * (np.abs(np.cos(lobes / 2 * _ANGLES + phase)) - 0.6))
    if margin == 3:
        for waves in range(3, 9):
            radii = radii * (1 + rng.uniform(0.0, 0.06) * np.cos(waves * _ANGLES + rng.uniform(0, 6.3)))
    return Border(radii * (diameter / _largest(radii)))


def lesion_on(
    tissue: Image,
    spacing: float,
    rng: np.random.Generator,
    *,
    shape: int,
    margin: int,
    diameter: float,
    centre: tuple[float, float] | None = None,
    contrast: float | None = None,
) -> tuple[Image, Mask]:
    """Lay a mass over a window of tissue.

    Parameters
    ----------
    tissue
        Brightness (rows, columns), in units of the breast's range; ``spacing`` mm between pixels.
    rng
        What is not asked for is drawn from it.
    shape, margin, diameter
        Codes of the study (shape 0 or 1, margin 0 to 3), and largest diameter of the body in mm.
    centre
        Row and column; the window's middle, if it is not said.
    contrast
        What the mass adds where it is thickest; drawn, if it is not said.

    Returns
    -------
    window, mask
        The tissue with the mass, and the mass's body.
    """
    from scipy import ndimage

    edge = border(rng, shape=shape, margin=margin, diameter=diameter)
    row, column = centre if centre is not None else ((tissue.shape[0] - 1) / 2, (tissue.shape[1] - 1) / 2)
    rows = (np.arange(tissue.shape[0]) - row)[:, None] * spacing
    columns = (np.arange(tissue.shape[1]) - column)[None, :] * spacing
    distance, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    reach = edge.at(angle)
    share = distance / reach
    mask = np.asarray(share < 1)
    radius = float(edge.radii.mean())

    body = np.clip(1 - share**2, 0, None) ** rng.uniform(0.3, 0.6)
    grain = power_noise(tissue.shape, rng)
    body = body * np.clip(1 + 0.25 * grain, 0.3, 1.7)
    if margin == 1 and rng.random() < 0.5:
        body = body * _hidden(angle, rng, towards=0.15)
    if margin == 2:
        blurred = rng.uniform(0.14, 0.24) * radius
    elif margin == 3:
        blurred = rng.uniform(0.04, 0.1) * radius
    else:
        # Film, scatter and a mass's own surface leave no edge sharper than this, in mm.
        blurred = rng.uniform(0.25, 0.5)
    body = ndimage.gaussian_filter(body, blurred / spacing)
    if margin == 3:
        body = np.maximum(body, _spicules(distance, angle, edge, rng))

    if contrast is None:
        near = tissue[share < 2]
        varies = 1.4826 * float(np.median(np.abs(near - np.median(near)))) if near.size else 0.0
        drawn = max(float(_CONTRAST * np.exp(_SPREAD * rng.standard_normal())), _VISIBLE * varies)
        contrast = min(max(drawn, _CONTRASTS[0]), _CONTRASTS[1])
    # The dome's mean is two thirds to nine tenths of its height; the contrast that was measured is a median.
    return (tissue + np.float32(1.2 * contrast) * body).astype(np.float32), mask


def power_noise(shape: tuple[int, int], rng: np.random.Generator, fall: float = _FALL) -> NDArray[np.float64]:
    """Noise whose amplitude falls with the frequency to the power ``fall``: mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) / frequency**fall
    noise = np.fft.irfft2(spectrum, shape)
    return (noise - noise.mean()) / noise.std()


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A breast with a mass, and what is true of it: its ``mask`` on the image's grid, its middle, its ``diameter``."""

    breast: "Breast"
    mask: Mask
    row: float
    column: float
    diameter: float


def laid_on(
    breast: "Breast",
    rng: np.random.Generator,
    *,
    shape: int,
    margin: int,
    diameter: float,
    contrast: float | None = None,
) -> Laid | None:
    """Lay a mass somewhere on a breast that is deep enough for it; where it would reach out of the breast, it ends.

    Returns
    -------
    With its largest diameter in mm as it is seen; None where the breast is too small for it.
    """
    from scipy import ndimage

    # At the chest wall the breast goes on.
    depth = ndimage.distance_transform_edt(np.pad(breast.mask, ((0, 0), (1, 0)), mode="edge"))[:, 1:] * breast.spacing
    places = np.argwhere(breast.mask & (depth >= diameter / 4))
    if not len(places):
        return None
    row, column = (int(place) for place in places[rng.integers(len(places))])
    half = round(_AROUND * diameter / 2 / breast.spacing) + 8
    top, left = max(row - half, 0), max(column - half, 0)
    here = (slice(top, row + half + 1), slice(left, column + half + 1))
    laid, body = lesion_on(
        breast.image[here],
        breast.spacing,
        rng,
        shape=shape,
        margin=margin,
        diameter=diameter,
        centre=(float(row - top), float(column - left)),
        contrast=contrast,
    )
    inside = breast.mask[here]
    image, mask = breast.image.copy(), np.zeros_like(breast.mask)
    image[here] = np.where(inside, np.clip(laid, 0, 1.1), image[here])
    mask[here] = body & inside
    seen = largest_diameter(mask, breast.spacing)
    return Laid(replace(breast, image=image), mask, float(row), float(column), seen)


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


def draw_size(rng: np.random.Generator, smallest: float = SIZES[0], largest: float = SIZES[1]) -> float:
    """Draw a diameter in mm: even on a logarithmic scale, so that small ones are not rare."""
    return float(np.exp(rng.uniform(np.log(smallest), np.log(largest))))


def _largest(radii: NDArray[np.float64]) -> float:
    """The largest distance between two places of a border."""
    places = radii * np.exp(1j * _ANGLES)
    return float(np.abs(places[:, None] - places[None, :]).max())


def _hidden(angle: NDArray[np.float64], rng: np.random.Generator, *, towards: float) -> NDArray[np.float64]:
    """How much of a mass is seen in each direction: one side fades to ``towards``."""
    aside = np.abs((angle - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi)
    seen = 1 / (1 + np.exp(-(aside - rng.uniform(0.7, 1.2)) / 0.25))
    return np.asarray(towards + (1 - towards) * seen)


def _spicules(
    distance: NDArray[np.float64], angle: NDArray[np.float64], edge: Border, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Strands that run outwards from a border, thinner and fainter with their length."""
    radius = float(edge.radii.mean())
    found = np.zeros_like(distance)
    for _ in range(int(rng.integers(12, 28))):
        heading, length = rng.uniform(-np.pi, np.pi), max(2.5, rng.uniform(0.2, 1.0) ** 1.5 * 1.2 * radius)
        wide, strong, bend = 0.25 + rng.uniform(0.02, 0.05) * radius, rng.uniform(0.15, 0.5), rng.uniform(-0.3, 0.3)
        begin = float(np.interp(heading, _ANGLES, edge.radii))
        along = (distance - 0.7 * begin) / (0.3 * begin + length)
        off = (angle - heading - bend * (distance - begin) / radius + np.pi) % (2 * np.pi) - np.pi
        near = (along > 0) & (along < 1) & (np.abs(off) * distance < 3 * wide)
        thin = wide * (1 - 0.6 * along[near])
        strand = strong * (1 - along[near]) ** 0.7 * np.exp(-0.5 * (off[near] * distance[near] / thin) ** 2)
        found[near] = np.maximum(found[near], strand)
    return found
