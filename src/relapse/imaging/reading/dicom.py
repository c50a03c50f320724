"""DICOM series: the slices of one acquisition, sorted by where they lie, with every gap and mixture noticed.

Headers are read first, without pixels: the memory needed is known, and bounded, before it is taken. Nothing that a
header says of the patient is kept or repeated.
"""

import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.faults import fault
from relapse.imaging.reading.nifti import checked_affine
from relapse.imaging.reading.volume import LIMIT, Volume

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

#: Slices may lie this share of their distance away from where an even series has them.
_UNEVEN = 0.1

#: Most files of one series.
_FILES = 5000

#: From DICOM's axes (left, posterior, superior) to NIfTI's (right, anterior, superior).
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_series(folder: Path, *, limit: int = LIMIT) -> Volume:
    """Read the one series in a folder, without its subfolders; see :func:`series_from`."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise fault("file-unreadable", f"{folder.name}: cannot be opened ({error.strerror or error}).") from None
    return series_from(files, limit=limit)


def series_from(files: Sequence[Path], *, limit: int = LIMIT) -> Volume:
    """Read the slices of one series, in any order.

    Returns
    -------
    Volume
        float32 voxels (columns, rows, slices), with the rescaling of each slice applied.

    Raises
    ------
    ImageError
        A file is not DICOM or damaged, the files are not of one series, slices are missing, there twice or of
        different geometry, spacing or position is not given, or the pixels are compressed.
    """
    if not 2 <= len(files) <= _FILES:
        raise fault("not-a-volume", f"the series has {len(files)} files; 2 to {_FILES:,} make a volume.")
    headers = [_header(path) for path in files]
    _one_series(headers)
    rows, columns = int(headers[0].Rows), int(headers[0].Columns)
    size = rows * columns * len(files) * math.ceil(int(headers[0].BitsAllocated) / 8)
    if size > limit:
        raise fault(
            "file-too-large",
            f"the series declares {columns} × {rows} × {len(files)} voxels, {size / 2**20:,.0f} MiB; at most "
            f"{limit / 2**20:,.0f} MiB are read.",
        )
    order, affine = _placed(headers)
    checked_affine(affine)
    values = np.empty((columns, rows, len(files)), dtype=np.float32)
    for place, index in enumerate(order):
        values[:, :, place] = _pixels(files[index]).T
    if not np.isfinite(values).all():
        raise fault("not-finite", "rescaling makes voxels that are not finite.")
    return Volume(values, affine)


def _header(path: Path) -> "FileDataset":
    header = _parsed(path, pixels=False)
    for name in ("Rows", "Columns", "BitsAllocated", "SeriesInstanceUID"):
        if header.get(name) in (None, ""):
            raise fault("pixels-absent", f"{path.name} holds no image ({name} is missing). Leave it out of the folder.")
    if int(header.get("SamplesPerPixel", 1)) != 1:
        raise fault("not-greyscale", f"{path.name} has colours. A phase has one number a voxel.")
    if int(header.get("NumberOfFrames", 1) or 1) != 1:
        raise fault("not-a-volume", f"{path.name} holds several frames. Convert the series to .nii.gz.")
    if not header.get("PixelSpacing") or len(header.PixelSpacing) != 2:
        raise fault("spacing-absent", f"{path.name} gives no spacing of its pixels (PixelSpacing).")
    if len(header.get("ImagePositionPatient") or ()) != 3 or len(header.get("ImageOrientationPatient") or ()) != 6:
        raise fault("orientation-absent", f"{path.name} does not say where it lies in the patient.")
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax.is_compressed and not syntax.is_deflated:
        raise fault(
            "pixels-compressed", f"{path.name} is compressed ({syntax.name}). Decompress the series, or convert it."
        )
    return header


def _parsed(path: Path, *, pixels: bool) -> "FileDataset":
    import pydicom
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except InvalidDicomError:
        words = "is empty" if not path.stat().st_size else "is no DICOM file"
        raise fault(
            "file-foreign" if path.stat().st_size else "file-empty",
            f"{path.name} {words}. Leave it out, or fetch it again.",
        ) from None
    except (EOFError, BytesLengthException, ValueError, KeyError, NotImplementedError, zlib.error) as error:
        raise fault("file-damaged", f"{path.name} cannot be read ({type(error).__name__}). Fetch it again.") from None
    except OSError as error:
        raise fault("file-unreadable", f"{path.name}: cannot be opened ({error.strerror or error}).") from None


def _one_series(headers: "Sequence[FileDataset]") -> None:
    series = {str(header.SeriesInstanceUID) for header in headers}
    if len(series) > 1:
        raise fault("series-mixed", f"the folder holds {len(series)} series. Each phase has a folder of its own.")

    def common(name: str, of: "Any") -> None:
        found = {of(header) for header in headers}
        if len(found) > 1:
            raise fault("series-uneven", f"the slices differ in {name}. Leave out what is not of the series.")

    common("size", lambda header: (int(header.Rows), int(header.Columns)))
    common("spacing", lambda header: tuple(round(float(step), 4) for step in header.PixelSpacing))
    common("direction", lambda header: tuple(round(float(part), 3) for part in header.ImageOrientationPatient))


def _placed(headers: "Sequence[FileDataset]") -> tuple[list[int], NDArray[np.float64]]:
    """The order of the slices along their normal, and the affine of the volume they make."""
    first = headers[0]
    along_row, along_column = np.array(first.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    positions = np.array([header.ImagePositionPatient for header in headers], dtype=np.float64)
    depth = positions @ normal
    order = [int(index) for index in np.argsort(depth, kind="stable")]
    steps = np.diff(depth[order])
    step = float(np.median(steps))
    if step <= 0 or np.abs(steps - step).max() > _UNEVEN * step:
        twice = int((steps < _UNEVEN * max(step, 1e-6)).sum())
        words = (
            f"{twice} slices are there twice"
            if twice
            else f"slices lie {steps.min():.2f} to {steps.max():.2f} mm apart"
        )
        raise fault("series-gap", f"{words}. One slice in each place is needed; one phase in a folder.")
    between_rows, between_columns = (float(part) for part in first.PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = along_row * between_columns
    affine[:3, 1] = along_column * between_rows
    # From the first slice to the last: a slanted stack moves sideways as well.
    affine[:3, 2] = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    affine[:3, 3] = positions[order[0]]
    return order, _LPS @ affine


def _pixels(path: Path) -> NDArray[np.float32]:
    data = _parsed(path, pixels=True)
    if "PixelData" not in data:
        raise fault("pixels-absent", f"{path.name} holds no pixels. Fetch it again.")
    try:
        found = data.pixel_array
    except (ValueError, AttributeError, RuntimeError) as error:
        raise fault(
            "file-truncated", f"{path.name}: its pixels cannot be read ({type(error).__name__}). Fetch it again."
        ) from None
    slope, intercept = (
        float(data.get(name, default)) for name, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    return np.asarray(found.astype(np.float32) * np.float32(slope) + np.float32(intercept))
