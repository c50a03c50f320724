"""The bias field of a receiver coil: estimated by N4 on thinned-out voxels, known wherever it is asked for."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import SimpleITK as sitk

    from relapse.cohorts.declared.images import Correction

Array = NDArray[np.float32]

#: Fewest voxels that thinning out leaves along an axis.
_FEWEST = 8


@dataclass(frozen=True, slots=True, eq=False)
class BiasField:
    """The logarithm of a bias field, on a grid that takes every ``step``-th voxel from ``start`` on, axis by axis."""

    logarithm: Array
    start: tuple[int, ...]
    step: tuple[int, ...]

    def factor(self, *indices: "slice | NDArray[np.int_]", shape: tuple[int, ...]) -> Array:
        """By how much intensities are too high at ``indices`` of an image of ``shape``."""
        from scipy.ndimage import map_coordinates

        axes = [
            (np.arange(size)[index] - start) / step
            for size, index, start, step in zip(shape, indices, self.start, self.step, strict=True)
        ]
        places = np.meshgrid(*axes, indexing="ij")
        return np.exp(map_coordinates(self.logarithm, places, order=1, mode="nearest"), dtype=np.float32)


def estimate(values: NDArray[Any], spacing: tuple[float, ...], correction: "Correction") -> BiasField:
    """Estimate the field of a slice (rows, columns) or a volume (i, j, k).

    Foreground is what Otsu's threshold says. One thread: sums come out the same everywhere.
    """
    import SimpleITK as sitk

    step = tuple(max(1, min(correction.shrink, size // _FEWEST)) for size in values.shape)
    start = tuple((by - 1) // 2 for by in step)
    thinned = np.ascontiguousarray(
        values[tuple(slice(first, None, by) for first, by in zip(start, step, strict=True))], dtype=np.float32
    )
    # The logarithm that N4 works on needs more than 0; what is no foreground does not count.
    image = _image(np.maximum(thinned, 0), tuple(gap * by for gap, by in zip(spacing, step, strict=True)))
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations(list(correction.iterations))
    n4.Execute(image, sitk.OtsuThreshold(image, 0, 1, 200))
    return BiasField(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T.copy(), start, step)


def foreground(values: NDArray[Any]) -> NDArray[np.bool_]:
    """What lies above Otsu's threshold: tissue, not air."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1, 200)) > 0)


def _image(values: Array, spacing: tuple[float, ...]) -> "sitk.Image":
    import SimpleITK as sitk

    # SimpleITK names the axes in the opposite order.
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    image.SetSpacing(spacing)
    return image
