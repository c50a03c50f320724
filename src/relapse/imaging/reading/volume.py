"""A volume: voxels, and where they lie in the patient."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

#: Most bytes that the voxels of one file may take, as stored: four times the largest volume of MAMA-MIA.
LIMIT = 1 << 29


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """Voxels ``values`` (i, j, k) and ``affine`` (4, 4), which takes an index to millimetres.

    The axes of the millimetres point to the patient's right-to-left, posterior-to-anterior and inferior-to-superior
    side (RAS+, as NIfTI has it). ``slice_axis`` is the axis along which the slices were acquired.
    """

    values: NDArray[np.generic]
    affine: NDArray[np.float64]
    slice_axis: int = 2

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        i, j, k = self.values.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along each axis."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    def corners(self) -> NDArray[np.float64]:
        """Where the eight corner voxels lie (8, 3), in millimetres."""
        ends = np.array(list(product(*((0, size - 1) for size in self.shape))), dtype=np.float64)
        return np.asarray(ends @ self.affine[:3, :3].T + self.affine[:3, 3])

    def canonical(self) -> "Volume":
        """The same voxels with axes in the order and direction nearest to RAS+; nothing is interpolated."""
        from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

        found = io_orientation(self.affine)
        values = np.ascontiguousarray(apply_orientation(self.values, found))
        affine = self.affine @ inv_ornt_aff(found, self.values.shape)
        return Volume(values, np.asarray(affine, dtype=np.float64), int(found[self.slice_axis, 0]))
