"""What a radiologist would say of a mass's form and border, in numbers: form, border, brightness and texture.

Form is of the mask alone. The border is looked at along rays from the mask's middle: how steeply brightness falls, over
what length, and how much that differs between directions. Strands that run outwards show as brightness that goes up and
down around the mass (the *spiculation index*). What scikit-image measures is measured by it. Radial-length statistics
are those of Kilday, Palmieri and Fox (1993).
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.films.lesion import GRID, largest_diameter

if TYPE_CHECKING:
    from collections.abc import Callable

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: What is described, in the order of :func:`describe`'s numbers.
NAMES = (
    "log diameter",
    "circularity",
    "solidity",
    "eccentricity",
    "aspect",
    "extent",
    "convexity",
    "fractal",
    "radial mean",
    "radial spread",
    "radial entropy",
    "radial crossings",
    "radial roughness",
    "edge gradient",
    "edge gradient spread",
    "edge gradient low",
    "edge width",
    "edge width spread",
    "outward share",
    "spiculation",
    "spiculation far",
    "ring variation",
    "contrast",
    "contrast to variation",
    "inner variation",
    "inner skewness",
    "dome",
    "texture contrast",
    "texture homogeneity",
    "texture correlation",
    "brightness",
    "orientation order",
)

#: Rays from the middle, and how far inside and outside of the border they are followed, as shares of the radius.
_RAYS = 96
_SHARES = np.linspace(-0.6, 0.9, 46)


def describe(image: Image, mask: Mask, spacing: float) -> NDArray[np.float64]:
    """Describe a mass.

    Parameters
    ----------
    image
        Brightness (rows, columns), 0 to 1, as a breast's image has it.
    mask
        The mass on it.
    spacing
        mm between pixels. What is finer than the grid that lesions are sought on is averaged first, so that films of
        different spacing are described alike.

    Returns
    -------
    NDArray
        One number for each of :data:`NAMES`, all finite.

    Raises
    ------
    ValueError
        The mask is empty.
    """
    if not mask.any():
        raise ValueError("the mask is empty: there is nothing to describe.")
    image, mask, spacing = _near(image, mask, spacing)
    form = _form(mask, spacing)
    radial, middle, angles, radii = _radial(mask)
    return np.nan_to_num(
        np.array([*form, *radial, *_border(image, mask, spacing, middle, angles, radii), *_inside(image, mask)]),
        nan=0.0,
        posinf=0.0,
        neginf=0.0,
    )


def _near(image: Image, mask: Mask, spacing: float) -> tuple[Image, Mask, float]:
    """The part around the mask, on the grid that lesions are looked at with."""
    from skimage.transform import resize

    places = np.argwhere(mask)
    low, high = places.min(0), places.max(0) + 1
    around = max(int(0.6 * (high - low).max()), round(4 / spacing))
    rows, columns = (
        slice(max(0, int(low[axis]) - around), min(mask.shape[axis], int(high[axis]) + around)) for axis in (0, 1)
    )
    image, mask = image[rows, columns], mask[rows, columns]
    if spacing > 0.9 * GRID:
        return image, mask, spacing
    shape = tuple(max(3, round(count * spacing / GRID)) for count in mask.shape)
    shrunk = resize(mask.astype(np.float32), shape, order=1, anti_aliasing=True) > 0.5
    if not shrunk.any():
        return image, mask, spacing
    return resize(image, shape, order=1, anti_aliasing=True, preserve_range=True).astype(np.float32), shrunk, GRID


def _form(mask: Mask, spacing: float) -> list[float]:
    from skimage.measure import label, regionprops

    part = max(regionprops(label(mask)), key=lambda one: one.area)
    around, area = float(part.perimeter_crofton), float(part.area)
    hull = regionprops(part.image_convex.astype(np.uint8))[0]
    minor = max(float(part.axis_minor_length), 1.0)
    return [
        float(np.log(max(largest_diameter(mask, spacing), 1e-3))),
        min(4 * np.pi * area / max(around, 1.0) ** 2, 1.2),
        float(part.solidity),
        float(part.eccentricity),
        float(part.axis_major_length) / minor,
        float(part.extent),
        float(hull.perimeter_crofton) / max(around, 1.0),
        2 * float(np.log(max(around, 2.0) / 4)) / float(np.log(max(area, 4.0))),
    ]


def _radial(mask: Mask) -> tuple[list[float], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Statistics of the distances from middle to border, the middle, the rays' angles, and the distances in pixels."""
    from scipy import ndimage

    middle = np.argwhere(mask).mean(0)
    angles = np.linspace(-np.pi, np.pi, _RAYS, endpoint=False)
    longest = float(np.hypot(*mask.shape))
    steps = np.arange(0.0, longest, 0.5)
    soft = ndimage.gaussian_filter(mask.astype(np.float64), 0.5)
    grid = [middle[axis] + steps[None, :] * turn(angles)[:, None] for axis, turn in _turns()]
    along = ndimage.map_coordinates(soft, grid, order=1, mode="constant") > 0.5
    # The last place inside: a star's notches count, what hangs behind them does not.
    last = np.where(along.any(1), along.shape[1] - 1 - along[:, ::-1].argmax(1), 1)
    radii = np.maximum(steps[last], 0.5)
    share = radii / radii.max()
    counts = np.histogram(share, bins=12, range=(0, 1))[0] / len(share)
    some = counts[counts > 0]
    above = share > share.mean()
    smooth = ndimage.gaussian_filter1d(share, 4, mode="wrap")
    numbers = [
        float(share.mean()),
        float(share.std() / share.mean()),
        float(-(some * np.log(some)).sum()),
        float((above != np.roll(above, 1)).sum()),
        float(np.abs(share - smooth).mean() / share.mean()),
    ]
    return numbers, middle, angles, radii


def _border(
    image: Image,
    mask: Mask,
    spacing: float,
    middle: NDArray[np.float64],
    angles: NDArray[np.float64],
    radii: NDArray[np.float64],
) -> list[float]:
    from scipy import ndimage

    radius = float(radii.mean())
    # Rays start at the border in each direction; what is near and far is measured in mean radii.
    away = np.maximum(radii[:, None] + _SHARES[None, :] * radius, 0.0)
    grid = [middle[axis] + away * turn(angles)[:, None] for axis, turn in _turns()]
    rays = ndimage.map_coordinates(ndimage.gaussian_filter(image, 0.7), grid, order=1, mode="nearest")
    inner, outer = rays[:, _SHARES < -0.2], rays[:, _SHARES > 0.35]
    height = max(float(np.median(inner) - np.median(outer)), 0.02)
    step = float(_SHARES[1] - _SHARES[0])
    fall = -np.gradient(ndimage.gaussian_filter1d(rays, 1.0, axis=1), step, axis=1) / height
    at_edge = np.abs(_SHARES) < 0.3
    steep = fall[:, at_edge].max(1)

    # Between four fifths and one fifth of each ray's own fall: how wide the border is.
    tops, floors = inner.mean(1, keepdims=True), outer.mean(1, keepdims=True)
    level = (rays - floors) / np.maximum(tops - floors, 0.25 * height)
    below_high = np.argmax((level < 0.8) & (_SHARES > -0.45), axis=1)
    below_low = np.argmax((level < 0.2) & (_SHARES > -0.45), axis=1)
    below_low = np.where(below_low > 0, below_low, len(_SHARES) - 1)
    width = np.clip((below_low - below_high) * step, 0, 1.5)

    # Around the mass, at each distance: strands go up and down between neighbouring directions, tissue more slowly.
    near, far = ((_SHARES > 0.12) & (_SHARES < 0.4)), ((_SHARES >= 0.4) & (_SHARES < 0.75))
    rough = rays - ndimage.gaussian_filter1d(rays, 4, axis=0, mode="wrap")
    spikes = [float(_persistent(rough[:, part]) / height) for part in (near, far)]

    ring = ndimage.binary_dilation(mask, iterations=max(2, int(0.5 * radius))) & ~ndimage.binary_dilation(mask)
    rows, columns = np.nonzero(ring) if ring.any() else np.nonzero(mask)
    down, right = (ndimage.sobel(ndimage.gaussian_filter(image, 1.0), axis=axis)[rows, columns] for axis in (0, 1))
    heading = np.arctan2(rows - middle[0], columns - middle[1])
    strength = np.hypot(down, right) + 1e-6
    # Gradients across the line to the middle are those of strands; gradients along it, of the mass's own fall.
    across = np.abs(-down * np.cos(heading) + right * np.sin(heading)) / strength
    along = np.abs(down * np.sin(heading) + right * np.cos(heading)) / strength
    inside, around = image[mask], image[ring] if ring.any() else image[mask]
    varies = max(1.4826 * float(np.median(np.abs(around - np.median(around)))), 0.01)
    contrast = float(np.median(inside) - np.median(around))
    return [
        float(np.median(steep)),
        float(steep.std() / max(steep.mean(), 0.1)),
        float(np.percentile(steep, 15)),
        float(np.median(width)),
        float(width.std()),
        float((along * strength).sum() / strength.sum()),
        spikes[0],
        spikes[1],
        float((across * strength).mean() / height),
        contrast,
        contrast / varies,
    ]


def _inside(image: Image, mask: Mask) -> list[float]:
    from scipy import ndimage
    from skimage.feature import graycomatrix, graycoprops

    values = image[mask].astype(np.float64)
    spread = max(float(values.std()), 1e-4)
    depth = ndimage.distance_transform_edt(mask)
    core = values[depth[mask] > 0.5 * depth.max()]
    rim = values[depth[mask] <= 0.3 * depth.max()]
    rows, columns = np.nonzero(mask)
    part = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    low, high = np.percentile(values, (1, 99))
    levels = (np.clip((part - low) / max(float(high - low), 1e-3), 0, 1) * 15).astype(np.uint8)
    matrix = graycomatrix(levels, [2], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=16, symmetric=True, normed=True)
    texture = [float(graycoprops(matrix, name).mean()) for name in ("contrast", "homogeneity", "correlation")]
    down, right = (ndimage.sobel(ndimage.gaussian_filter(image, 1.0), axis=axis)[mask] for axis in (0, 1))
    doubled = (down + 1j * right) ** 2
    return [
        spread,
        float(((values - values.mean()) ** 3).mean() / spread**3),
        float((core.mean() if core.size else values.mean()) - (rim.mean() if rim.size else values.mean())),
        *texture,
        float(np.median(values)),
        float(np.abs(doubled.sum()) / max(float(np.abs(doubled).sum()), 1e-9)),
    ]


def _persistent(rough: NDArray[np.float64]) -> float:
    """How much of what differs between directions stays the same along them: noise does not, strands do."""
    return float(np.abs(rough.mean(1)).mean())


def _turns() -> "tuple[tuple[int, Callable[[NDArray[np.float64]], NDArray[np.float64]]], ...]":
    return ((0, np.sin), (1, np.cos))
