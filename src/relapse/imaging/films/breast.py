"""The breast in a film: turned alike, without label, wedge and pectoral muscle, in grey levels that compare.

Nothing here is learnt. The breast is the largest smooth thing above a threshold; what of it is muscle is looked for in
:mod:`~relapse.imaging.films.muscle`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.faults import fault
from relapse.imaging.films.muscle import pectoral_muscle
from relapse.imaging.reading.film import Film, framed

#: Millimetres between pixels of a breast's image at the finest, and of the grid on which outlines are sought.
WORKING, _COARSE = 0.2, 0.8

#: Grey levels above this share of Li's threshold are breast, whose edge is dark.
_SKIN = 0.5

#: What is narrower than this many millimetres is no breast: labels, edges of the film, folds of cloth.
_NARROW = 6.0

#: Least area of a breast, in mm².
_SMALLEST = 800.0

#: By how much more of its height one side of a breast must be straight to be the chest wall.
_CLEARLY = 0.15

#: Percentiles of breast and muscle that become white; background is black.
_WHITE = 99.5

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Breast:
    """A film made alike: chest wall on the left, 0 background to 1 brightest.

    Parameters
    ----------
    image
        (rows, columns), 0 to 1.
    mask
        Breast tissue, without pectoral muscle, labels and wedge.
    pectoral
        The muscle; empty where none is seen.
    spacing
        Millimetres between pixels: the film's own, or :data:`WORKING` where the film is finer.
    mirrored
        Whether left and right were exchanged.
    scale
        Pixels of the film a pixel of the image.
    shape
        Rows and columns of the film.
    notes
        What a radiologist should know.
    """

    image: NDArray[np.float32]
    mask: Mask
    pectoral: Mask
    spacing: float
    mirrored: bool
    scale: float
    shape: tuple[int, int]
    notes: tuple[str, ...] = ()

    def of_film(self, x: float, y: float) -> tuple[float, float]:
        """Where (row, column) of the image column ``x`` and row ``y`` of the film lie."""
        rows, columns = self.shape
        if self.mirrored:
            x = columns - 1 - x
        return (
            (y + 0.5) * self.image.shape[0] / rows - 0.5,
            (x + 0.5) * self.image.shape[1] / columns - 0.5,
        )

    def to_film(self, row: float, column: float) -> tuple[float, float]:
        """Column and row of the film of a row and column of the image."""
        rows, columns = self.shape
        x = (column + 0.5) * columns / self.image.shape[1] - 0.5
        y = (row + 0.5) * rows / self.image.shape[0] - 0.5
        return (columns - 1 - x if self.mirrored else x), y


def breast_of(film: Film) -> Breast:
    """Find the breast in a film.

    The film must have the head up, as films are stored; which side the chest wall is on is seen in the film, since
    films and scans are mirrored at will.

    Raises
    ------
    ImageError
        Nothing in the film can be a breast (``film-empty``).
    """
    notes = []
    fine = resized(film.values, min(1.0, film.spacing / WORKING))
    scale = film.values.shape[0] / fine.shape[0]
    spacing = film.spacing * scale
    by = min(1.0, spacing / _COARSE)
    coarse = resized(fine, by).astype(np.float64)
    step = spacing / by
    found, dark = _whole(coarse, step)
    mirrored = _chest_on_right(found, coarse)
    if mirrored:
        coarse, found, fine = coarse[:, ::-1], found[:, ::-1], fine[:, ::-1]
    muscle = np.zeros_like(found)
    if (film.view or "").upper() != "CC":
        muscle = pectoral_muscle(coarse, found, step, dark)
        if not muscle.any():
            notes.append("No pectoral muscle was seen; nothing was cut off.")
    whole, pectoral = enlarged(found, fine.shape), enlarged(muscle, fine.shape)
    pectoral &= whole
    white = float(np.percentile(fine[whole], _WHITE))
    image = np.clip((fine - dark) / max(white - dark, 1e-6), 0, 1).astype(np.float32)
    rows, columns = film.values.shape
    return Breast(
        np.ascontiguousarray(image),
        whole & ~pectoral,
        pectoral,
        spacing,
        mirrored,
        scale,
        (rows, columns),
        tuple(notes),
    )


def resized(values: NDArray[np.float32], by: float) -> NDArray[np.float32]:
    """A picture made smaller by a factor; each pixel is the mean of the area that it covers."""
    from PIL import Image

    if by >= 1:
        return np.ascontiguousarray(values, dtype=np.float32)
    rows, columns = (max(1, round(size * by)) for size in values.shape)
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((columns, rows), Image.Resampling.BOX))


def enlarged(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask on a finer grid, with its steps smoothed away."""
    from PIL import Image

    if not mask.any():
        return np.zeros(shape, dtype=np.bool_)
    picture = Image.fromarray(mask.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)) > 0.5


def _whole(coarse: Array, step: float) -> tuple[Mask, float]:
    """Breast and muscle on the coarse grid, and the grey level of what is beside them."""
    from scipy import ndimage
    from skimage.filters import threshold_li
    from skimage.morphology import disk

    smooth = ndimage.gaussian_filter(coarse, 0.8 / step)
    inside = framed(smooth.astype(np.float32)).astype(np.float64)
    dark = float(np.percentile(inside, 2))
    lifted = inside - dark
    threshold = dark + _SKIN * float(threshold_li(lifted)) if np.ptp(lifted) > 0 else dark
    above = smooth > threshold
    # At its sides the film is opened as if it went on, so that nothing is lost at the chest wall; a bright line along
    # the upper edge must not tie a label to the breast.
    radius = max(1, round(_NARROW / 2 / step))
    element = disk(radius)
    padded = np.pad(np.pad(above, ((0, 0), (radius, radius)), mode="edge"), ((radius, radius), (0, 0)))
    opened = ndimage.binary_opening(padded, element)[radius:-radius, radius:-radius]
    labels, count = ndimage.label(opened)
    if not count:
        raise fault("film-empty", "no breast is seen in the film.")
    sizes = ndimage.sum_labels(opened, labels, np.arange(1, count + 1))
    # A wedge or a strip of light along the film's edge can be large, and is as bright everywhere as film can be.
    level = ndimage.mean(coarse, labels, np.arange(1, count + 1))
    spread = ndimage.standard_deviation(coarse, labels, np.arange(1, count + 1))
    bright = float(np.percentile(coarse, 99.8))
    flat = (np.asarray(level) > 0.9 * bright) & (np.asarray(spread) < 0.1 * bright)
    order = np.where(flat, 0.1, 1.0) * np.asarray(sizes)
    breast = labels == 1 + int(np.argmax(order))
    # What opening rounded off comes back.
    breast = ndimage.binary_fill_holes(above & ndimage.binary_dilation(breast, element))
    if breast.sum() * step**2 < _SMALLEST:
        raise fault("film-empty", "no breast is seen in the film: nothing bright in it is large enough.")
    return np.asarray(breast, dtype=np.bool_), dark


def _chest_on_right(mask: Mask, coarse: Array) -> bool:
    """Whether the chest wall is on the right: the breast is cut off straight there, and bulges to the other side."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = mask.shape[1]
    left = np.argmax(mask[rows], axis=1)
    right = columns - 1 - np.argmax(mask[rows, ::-1], axis=1)

    def straight(edge: NDArray[np.int_]) -> float:
        counts = np.bincount(edge, minlength=columns)
        return float(np.convolve(counts, np.ones(3), mode="same").max() / len(rows))

    found = straight(right) - straight(left)
    if abs(found) > _CLEARLY:
        return found > 0
    # A breast that fills the film: at the chest wall there is more tissue, and muscle.
    whole = np.flatnonzero(mask.any(axis=0))
    third = max(1, len(whole) // 3)
    levels = [float(coarse[:, part][mask[:, part]].mean()) for part in (whole[:third], whole[-third:])]
    return levels[1] > levels[0]
