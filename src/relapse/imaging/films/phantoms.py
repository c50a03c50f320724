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
