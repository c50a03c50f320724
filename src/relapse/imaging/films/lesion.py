"""Where a lesion is in a breast, and how far it reaches: a small network looks at windows of several widths.

Every window is 128 × 128 pixels and is made alike by the brightness of its own breast tissue, so that a mass of 5 mm in
the narrowest and one of 50 mm in the widest look the same to the network. Of the windows around a marked place, that is
believed in which the network is surest of the border that it draws. Breasts are looked at with :data:`GRID` mm between
pixels: what is finer is not there on all films.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import SourceError
from relapse.imaging.onnx_files import opened

if TYPE_CHECKING:
    from relapse.imaging.films.breast import Breast

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Pixels of a window's side; sides of windows in mm; shares of a side that a lesion is taught to have.
WINDOW, SIDES, SHARES = 128, (24.0, 40.0, 64.0, 100.0), (0.12, 0.7)

#: mm between the pixels that a breast is looked at with.
GRID = 0.4

#: Names of the network file's input and output, and what it says of itself.
WINDOWS, LESIONS, KIND, KIND_IS = "windows", "lesions", "kind", "relapse lesion network 1"

#: Probability from which a pixel is a lesion's, and the least that a marked place may have instead: a reader who
#: marks a place has seen something there.
_TAKEN, _FAINT = 0.5, 0.15

#: Windows of a scan: sides in mm, and the steps between them as a share of the side.
_SCANNED, _STEP = (40.0, 64.0), 0.375

#: How many windows run at once: memory does not hang on the breast's size.
_BATCH = 16


class LesionNet:
    """A trained network, run by ONNX Runtime on one thread; torch is not needed.

    Parameters
    ----------
    content
        What :func:`relapse.imaging.films.unet.train_lesion` wrote.

    Raises
    ------
    SourceError
        It is something else.
    """

    def __init__(self, content: bytes) -> None:
        self._session, said = opened(
            content, takes=WINDOWS, gives=LESIONS, says=KIND, what="a lesion network", anew="reader"
        )
        if said != KIND_IS:
            raise SourceError("the lesion network's file is of another version. Make the reader anew.")

    def masks(self, windows: Image) -> Image:
        """Probability that each pixel is a lesion's (windows, 128, 128), of windows that :func:`cut` made."""
        if windows.ndim != 3 or windows.shape[1:] != (WINDOW, WINDOW):
            raise ValueError(f"windows of shape {windows.shape}: (windows, {WINDOW}, {WINDOW}) is needed.")
        parts = [windows[first : first + _BATCH, None] for first in range(0, len(windows), _BATCH)]
        found = [self._session.run([LESIONS], {WINDOWS: part.astype(np.float32)})[0][:, 0] for part in parts]
        return np.concatenate(found) if found else np.zeros((0, WINDOW, WINDOW), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A lesion that was found.

    Parameters
    ----------
    mask
        (rows, columns) of the breast's image.
    certainty
        How sure the network is of the border, 0 to 1: mean distance of its probabilities from even odds, near it.
    diameter_mm
        Largest distance between two places of the mask.
    row, column
        Middle of the mask, in the breast's image.
    side_mm
        Side of the window that was believed.
    """

    mask: Mask
    certainty: float
    diameter_mm: float
    row: float
    column: float
    side_mm: float


def outline(net: LesionNet, breast: "Breast", region: tuple[float, float, float | None]) -> Outline | None:
    """Draw the border of the lesion at a marked place.

    Parameters
    ----------
    net
        The network.
    breast
        The breast.
    region
        Row, column and radius in pixels of the breast's image; a radius, where there is one, bounds the lesion.

    Returns
    -------
    Outline or None
        None where the network sees none in any window.
    """
    image, mask, spacing = looked_at(breast)
    shrunk = breast.spacing / spacing
    row, column = (region[0] + 0.5) * shrunk - 0.5, (region[1] + 0.5) * shrunk - 0.5
    reach = None if region[2] is None else max(region[2] * breast.spacing, 2.0)
    sides = SIDES if reach is None else tuple(side for side in SIDES if side >= 2 * reach) or SIDES[-1:]
    windows = np.stack([cut(image, mask, row, column, side, spacing) for side in sides])
    # A window and its mirror images are the same question: their mean is steadier than one answer.
    asked = np.concatenate([windows, windows[:, ::-1], windows[:, :, ::-1]])
    first, second, third = np.split(net.masks(asked), 3)
    probabilities = (first + second[:, ::-1] + third[:, :, ::-1]) / 3
    best: tuple[float, Mask, float, float] | None = None
    for side, probability in zip(sides, probabilities, strict=True):
        found = _at_middle(probability, side, reach)
        if found is None:
            continue
        part, certainty, touches = found
        share = largest_diameter(part, 1.0) / WINDOW
        # A lesion that fills the window, or is a speck in it, is better seen in another.
        good = certainty - 0.5 * touches - 2 * max(0.0, share - SHARES[1]) - 2 * max(0.0, SHARES[0] - share)
        if best is None or good > best[0]:
            best = (good, part, side, certainty)
    if best is None:
        return None
    _, part, side, certainty = best
    whole = _placed(part, breast, row / shrunk, column / shrunk, side) & breast.mask
    if not whole.any():
        return None
    places = np.argwhere(whole)
    diameter = largest_diameter(whole, breast.spacing)
    middle = places.mean(0)
    return Outline(whole, certainty, diameter, float(middle[0]), float(middle[1]), side)


def propose(net: LesionNet, breast: "Breast") -> tuple[float, float, float] | None:
    """Look for the place of a breast that most looks like a lesion.

    Returns
    -------
    row, column, suspicion
        Place in the breast's image, and how sure the network is of it, 0 to 1; None where it sees nothing at all.
    """
    from scipy import ndimage

    image, mask, spacing = looked_at(breast)
    total = np.zeros(image.shape, dtype=np.float64)
    for side in _SCANNED:
        step = max(1, round(_STEP * side / spacing))
        rows, columns = (range(step // 2, count, step) for count in image.shape)
        places = [(row, column) for row in rows for column in columns if mask[row, column]]
        if not places:
            continue
        found = net.masks(np.stack([cut(image, mask, row, column, side, spacing) for row, column in places]))
        # Only a window's inner part is believed: what stands at its border is seen better from the next.
        pixels = max(8, round(side / spacing))
        scan, seen = np.zeros(image.shape), np.zeros(image.shape)
        weight = np.minimum.outer(_ramp(pixels), _ramp(pixels))
        for (row, column), probability in zip(places, found, strict=True):
            part = _resized(probability, pixels)
            _add(scan, part * weight, row, column)
            _add(seen, weight, row, column)
        total += np.where(seen > 0, scan / np.maximum(seen, 1e-6), 0) / len(_SCANNED)
    smooth = ndimage.gaussian_filter(total, 2.0 / spacing) * mask
    best = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    suspicion = float(smooth[best])
    if suspicion < 0.02:
        return None
    grown = spacing / breast.spacing
    return (float(best[0]) + 0.5) * grown - 0.5, (float(best[1]) + 0.5) * grown - 0.5, suspicion


def looked_at(breast: "Breast") -> tuple[Image, Mask, float]:
    """A breast's image and mask as they are looked at, and mm between their pixels: :data:`GRID`, or more."""
    from skimage.transform import resize

    shrunk = breast.spacing / GRID
    if shrunk > 0.9:
        return breast.image, breast.mask, breast.spacing
    shape = tuple(max(1, round(count * shrunk)) for count in breast.image.shape)
    image = resize(breast.image, shape, order=1, anti_aliasing=True, preserve_range=True).astype(np.float32)
    mask = resize(breast.mask.astype(np.float32), shape, order=1, anti_aliasing=True) > 0.5
    return image, np.asarray(mask), GRID


def cut(image: Image, mask: Mask, row: float, column: float, side: float, spacing: float) -> Image:
    """Cut a square of ``side`` mm around a place and make it a network's window (:func:`standardised`)."""
    return standardised(*squares(image, mask, row, column, side, spacing))


def squares(image: Image, mask: Mask, row: float, column: float, side: float, spacing: float) -> tuple[Image, Mask]:
    """The square of ``side`` mm around a place with 128 × 128 pixels, of an image and of a mask; outside it is 0."""
    from scipy import ndimage

    step = side / WINDOW / spacing
    image = ndimage.gaussian_filter(image, 0.5 * step) if step > 1.2 else image
    offsets = (np.arange(WINDOW) - (WINDOW - 1) / 2) * step
    grid = np.meshgrid(row + offsets, column + offsets, indexing="ij")
    values = ndimage.map_coordinates(image, grid, order=1, mode="constant").astype(np.float32)
    inside = ndimage.map_coordinates(mask.astype(np.float32), grid, order=1, mode="constant") > 0.5
    return values, np.asarray(inside)


def standardised(window: Image, inside: Mask) -> Image:
    """Brightness in units of the tissue's own: less its median, by its median absolute deviation, within limits."""
    known = window[inside] if inside.sum() >= 64 else window.ravel()
    middle = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), 0.03)
    return np.clip((window - middle) / spread, -4, 6).astype(np.float32)


def largest_diameter(mask: Mask, spacing: float) -> float:
    """Largest distance in mm between two places of a mask, from edge to edge of pixels; 0 for an empty one."""
    places = np.argwhere(mask)
    if not len(places):
        return 0.0
    if len(places) > 8:
        from scipy import ndimage

        places = np.argwhere(mask & ~ndimage.binary_erosion(mask))
        if np.ptp(places, axis=0).min() > 0:
            from scipy.spatial import ConvexHull

            places = places[ConvexHull(places).vertices]
    apart = places[:, None] - places[None, :]
    return float((np.sqrt((apart**2).sum(2)).max() + 1) * spacing)


def _at_middle(probability: Image, side: float, reach: float | None) -> tuple[Mask, float, bool] | None:
    """The connected part at (or next to) a window's middle, how sure it is, and whether it touches the border."""
    from scipy import ndimage

    middle = (WINDOW - 1) / 2
    offsets = np.hypot(*np.meshgrid(np.arange(WINDOW) - middle, np.arange(WINDOW) - middle, indexing="ij"))
    near = offsets <= max(3.0, 2.0 / side * WINDOW)
    top = float(probability[near].max())
    if top < _FAINT:
        return None
    level = min(_TAKEN, 0.5 * top)
    taken = probability >= level
    if reach is not None:
        taken &= offsets <= reach / side * WINDOW
    labels, _ = ndimage.label(taken)
    under = labels[near & taken]
    if not under.size:
        return None
    part = labels == np.bincount(under[under > 0]).argmax()
    part = ndimage.binary_fill_holes(ndimage.binary_opening(part, iterations=2) | (part & near))
    # What a thin bridge held on is not the lesion.
    labels, count = ndimage.label(part)
    if count > 1:
        part = labels == np.bincount(labels[labels > 0]).argmax()
    shell = ndimage.binary_dilation(part, iterations=6) & ~ndimage.binary_dilation(part, iterations=2)
    certainty = float(np.clip(probability[part].mean() - probability[shell].mean(), 0, 1)) if shell.any() else 0.0
    touches = bool(part[0].any() or part[-1].any() or part[:, 0].any() or part[:, -1].any())
    return np.asarray(part), certainty, touches


def _placed(part: Mask, breast: "Breast", row: float, column: float, side: float) -> Mask:
    """A window's mask on the grid of a breast's image."""
    from scipy import ndimage

    step = side / WINDOW / breast.spacing
    middle = (WINDOW - 1) / 2
    rows, columns = (np.arange(count) for count in breast.image.shape)
    grid = np.meshgrid((rows - row) / step + middle, (columns - column) / step + middle, indexing="ij")
    near = (np.abs(grid[0] - middle) < WINDOW / 2) & (np.abs(grid[1] - middle) < WINDOW / 2)
    whole = np.zeros(breast.image.shape, dtype=np.bool_)
    places = [one[near] for one in grid]
    whole[near] = ndimage.map_coordinates(part.astype(np.float32), places, order=1, mode="nearest") > 0.5
    return whole


def _ramp(pixels: int) -> NDArray[np.float64]:
    """Weights along a window's side: full in the middle half, and falling to its borders."""
    away = np.abs(np.arange(pixels) - (pixels - 1) / 2) / (pixels / 2)
    return np.clip(2 - 2 * away, 0.02, 1)


def _resized(probability: Image, pixels: int) -> Image:
    from scipy import ndimage

    places = (np.arange(pixels) + 0.5) * WINDOW / pixels - 0.5
    grid = np.meshgrid(places, places, indexing="ij")
    return ndimage.map_coordinates(probability, grid, order=1, mode="nearest").astype(np.float32)


def _add(total: NDArray[np.float64], part: NDArray[Any], row: int, column: int) -> None:
    """Add a square around a place, as far as it lies on the grid."""
    side = len(part)
    top, left = row - side // 2, column - side // 2
    here = total[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    here += part[max(-top, 0) :, max(-left, 0) :][: here.shape[0], : here.shape[1]]
