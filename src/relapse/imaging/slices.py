"""From slices of a patient to the square picture of her tumour that an encoder is shown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.correction import foreground

if TYPE_CHECKING:
    from relapse.cohorts.declared.images import Preprocessing

Array = NDArray[np.float32]

_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What is kept of a patient: ``channels`` (slices, channels, size, size), standardised, and the ``mask`` of each.

    ``width`` is the side of each square in millimetres.
    """

    channels: NDArray[np.float16]
    mask: NDArray[np.bool_]
    width: NDArray[np.float32]


def plane_axis(preprocessing: "Preprocessing", acquired: int) -> int:
    """The axis of a canonical volume across which slices are taken."""
    return _AXES.get(preprocessing.plane, acquired)


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece of a mask, neighbours across edges and corners included; the first of equals."""
    from scipy.ndimage import generate_binary_structure, label

    pieces, _ = label(mask, generate_binary_structure(mask.ndim, mask.ndim))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == int(sizes.argmax()))


def tumour_slices(mask: NDArray[np.bool_], axis: int, count: int) -> NDArray[np.int_]:
    """Which slices (count,) across ``axis``: the middle one of those with tumour, or several spread evenly over them.

    Where fewer hold tumour than are asked for, some come twice.
    """
    others = tuple(other for other in range(3) if other != axis)
    bearing = np.flatnonzero(mask.any(axis=others))
    return np.asarray(bearing[((np.arange(count) + 0.5) / count * len(bearing)).astype(np.int_)])


def cut(values: NDArray[Any], axis: int, indices: NDArray[np.int_]) -> NDArray[Any]:
    """Slices (slices, rows, columns) of a canonical volume, turned as a radiologist looks at them.

    In an axial slice the front is up and the patient's right on the left; in the others the head is up.
    """
    taken = np.moveaxis(np.take(values, indices, axis=axis), axis, 0)
    return np.ascontiguousarray(taken.transpose(0, 2, 1)[:, ::-1, ::-1])


def picture(
    phases: Array, mask: NDArray[np.bool_], spacing: tuple[float, float], preprocessing: "Preprocessing"
) -> Picture:
    """Standardise, resample, crop and stack.

    Parameters
    ----------
    phases
        (phases, slices, rows, columns), free of bias.
    mask
        (slices, rows, columns); every slice holds tumour.
    spacing
        Millimetres between rows and between columns.
    """
    size = preprocessing.size
    channels = np.empty((mask.shape[0], len(phases), size, size), dtype=np.float16)
    masks = np.empty((mask.shape[0], size, size), dtype=np.bool_)
    widths = np.empty(mask.shape[0], dtype=np.float32)
    for index, marked in enumerate(mask):
        shown = _combined(standardised(phases[:, index], preprocessing.clip), preprocessing.channels)
        corner, width = square(marked, spacing, preprocessing.margin)
        channels[index] = [_resized(one, corner, width, spacing, preprocessing, nearest=False) for one in shown]
        masks[index] = _resized(marked.astype(np.float32), corner, width, spacing, preprocessing, nearest=True) > 0.5
        widths[index] = width
    return Picture(channels, masks, widths)


def standardised(phases: Array, clip: tuple[float, float]) -> Array:
    """Phases (phases, rows, columns) of a slice with mean 0 and deviation 1 over the foreground of all of them.

    One mean and one deviation for all phases (Garrucho et al. 2025): what contrast adds stays visible.
    """
    tissue = foreground(phases.mean(axis=0))
    seen = phases[:, tissue] if tissue.any() else phases
    # Otsu's threshold may lie above suppressed fat, which is to be seen all the same: the lower limit is the image's.
    low, high = np.percentile(phases, clip[0]), np.percentile(seen, clip[1])
    kept = np.clip(seen, low, high)
    deviation = float(kept.std()) or 1.0
    return np.asarray((np.clip(phases, low, high) - float(kept.mean())) / deviation, dtype=np.float32)


def square(mask: NDArray[np.bool_], spacing: tuple[float, float], margin: float) -> tuple[tuple[float, float], float]:
    """The square around all that a mask marks: its upper left corner and its side, in millimetres."""
    middle, sides = [], []
    for axis, step in enumerate(spacing):
        marked = np.flatnonzero(mask.any(axis=1 - axis))
        first, last = marked[0] * step, (marked[-1] + 1) * step
        middle.append((first + last) / 2)
        sides.append(last - first)
    width = max(sides) + 2 * margin
    return (float(middle[0] - width / 2), float(middle[1] - width / 2)), float(width)


def _combined(shown: Array, channels: str) -> Array:
    return shown if channels == "phases" else np.concatenate([shown[:1], np.diff(shown, axis=0)])


def _resized(
    image: Array,
    corner: tuple[float, float],
    width: float,
    spacing: tuple[float, float],
    preprocessing: "Preprocessing",
    *,
    nearest: bool,
) -> Array:
    """The square of an image at the declared spacing, then at its final size."""
    if preprocessing.spacing is not None:
        pixels = max(2, round(width / preprocessing.spacing))
        image = sampled(image, corner, width, spacing, pixels, nearest=nearest)
        corner, spacing = (0.0, 0.0), (width / pixels, width / pixels)
    return sampled(image, corner, width, spacing, preprocessing.size, nearest=nearest)


def sampled(
    image: Array,
    corner: tuple[float, float],
    width: float,
    spacing: tuple[float, float],
    pixels: int,
    *,
    nearest: bool,
) -> Array:
    """A square of an image (rows, columns) as ``pixels`` × ``pixels``; beyond its edge the image goes on as it ends."""
    import SimpleITK as sitk

    source = sitk.GetImageFromArray(np.ascontiguousarray(image))
    source.SetSpacing(spacing[::-1])
    # A pixel's place is its middle, a square's its edge.
    source.SetOrigin([step / 2 for step in spacing[::-1]])
    step = width / pixels
    sampler = sitk.ResampleImageFilter()
    sampler.SetNumberOfThreads(1)
    sampler.SetSize([pixels, pixels])
    sampler.SetOutputSpacing([step, step])
    sampler.SetOutputOrigin([corner[1] + step / 2, corner[0] + step / 2])
    sampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    sampler.SetUseNearestNeighborExtrapolator(True)
    return np.asarray(sitk.GetArrayFromImage(sampler.Execute(source)))
