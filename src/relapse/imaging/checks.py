"""Whether the phases and the mask of a patient belong together and can be used; each fault has a code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.faults import fault
from relapse.imaging.reading.volume import Volume

#: Corners of two grids may lie this share of the smallest spacing apart: headers round.
APART = 0.1

#: A tumour fills at most this share of what was imaged; more is a mask turned inside out.
MOST = 0.5


def check_grid(volume: Volume, first: Volume, *, code: str, what: str) -> None:
    """Raise fault ``code`` unless two volumes have their voxels in the same places."""
    if volume.shape != first.shape:
        sizes = " and ".join(" × ".join(map(str, one.shape)) for one in (volume, first))
        raise fault(code, f"{what} have {sizes} voxels. All have to be on one grid; resample what differs.")
    apart = np.linalg.norm(volume.corners() - first.corners(), axis=1).max()
    if apart > APART * min(first.spacing):
        raise fault(
            code,
            f"{what} lie up to {apart:.2f} mm apart. All have to be on one grid; register and resample what differs.",
        )


def check_phase(volume: Volume, *, number: int) -> None:
    """Raise a fault where all voxels of the ``number``-th declared phase are the same."""
    if volume.values.min() == volume.values.max():
        raise fault("constant", f"all voxels of the {_ordinal(number)} declared phase are equal.")


def check_contrast(former: NDArray[np.generic], latter: NDArray[np.generic], *, number: int) -> None:
    """Raise a fault where a phase repeats the one before it, voxel by voxel."""
    if np.array_equal(former, latter):
        raise fault(
            "phases-equal",
            f"the {_ordinal(number)} declared phase is the same image as the one before it: no contrast.",
        )


def check_mask(mask: Volume, first: Volume) -> NDArray[np.bool_]:
    """Where the tumour is (i, j, k), of a mask that lies on the grid of the first phase and marks a tumour.

    Any label above 0 is tumour.
    """
    check_grid(mask, first, code="mask-geometry", what="mask and phases")
    values: NDArray[Any] = mask.values
    if values.min() < 0 or (values.dtype.kind == "f" and not np.array_equal(values, np.rint(values))):
        raise fault("mask-values", "the mask holds values between or below its labels. Labels are 0 for none, 1, 2, …")
    inside = values > 0
    share = float(inside.mean())
    if not share:
        raise fault("mask-empty", "the mask marks no voxel as tumour.")
    if share > MOST:
        raise fault("mask-full", f"the mask marks {share:.0%} of all voxels as tumour. Is it turned inside out?")
    return np.asarray(inside)


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
