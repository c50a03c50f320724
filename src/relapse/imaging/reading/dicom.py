"""DICOM series: the slices of one acquisition, sorted by where they lie, with every gap and mixture noticed.

Headers are read first, without pixels: the memory needed is known, and bounded, before it is taken. Nothing that a
header says of the patient is kept or repeated.
"""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, Protocol

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

#: The transfer syntax of a file that is deflated as a whole, and would unfold without a limit.
DEFLATED = b"1.2.840.10008.1.2.1.99"

#: Millimetres from the scanner's middle that no voxel lies beyond.
_FARTHEST = 1e5

#: What pydicom and we stumble over where an element is not what its standard says.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

#: From DICOM's axes (left, posterior, superior) to NIfTI's (right, anterior, superior).
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Source(Protocol):
    """A file, or what can be opened like one; ``name`` is what messages call it."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        """Its bytes, from the first on."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What is needed of a slice's header; ``direction`` holds the direction of rows and of columns."""

    series: str
    size: tuple[int, int]
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    direction: tuple[float, ...]


def read_series(folder: Path, *, limit: int = LIMIT) -> Volume:
    """Read the one series in a folder, without its subfolders; see :func:`series_from`."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise fault("file-unreadable", f"{folder.name}: cannot be opened ({error.strerror or error}).") from None
    return series_from(files, limit=limit)


def series_from(files: Sequence[Source], *, limit: int = LIMIT) -> Volume:
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
    headers = [_header(source) for source in files]
    _one_series(headers)
    rows, columns = headers[0].size
    # As they are kept here: a header may declare fewer bytes a pixel than there will be.
    size = rows * columns * len(files) * np.dtype(np.float32).itemsize
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


def _header(source: Source) -> _Header:
    header, name = _parsed(source, pixels=False), source.name
    with _readable(name):
        for element in ("Rows", "Columns", "BitsAllocated", "SeriesInstanceUID"):
            if header.get(element) in (None, ""):
                raise fault("pixels-absent", f"{name} holds no image ({element} is missing). Leave it out.")
        if int(header.get("SamplesPerPixel", 1)) != 1:
            raise fault("not-greyscale", f"{name} has colours. A phase has one number a voxel.")
        if int(header.get("NumberOfFrames", 1) or 1) != 1:
            raise fault("not-a-volume", f"{name} holds several frames. Convert the series to .nii.gz.")
        if not header.get("PixelSpacing") or len(header.PixelSpacing) != 2:
            raise fault("spacing-absent", f"{name} gives no spacing of its pixels (PixelSpacing).")
        if len(header.get("ImagePositionPatient") or ()) != 3 or len(header.get("ImageOrientationPatient") or ()) != 6:
            raise fault("orientation-absent", f"{name} does not say where it lies in the patient.")
        syntax = header.file_meta.get("TransferSyntaxUID")
        if syntax is not None and syntax.is_compressed and not syntax.is_deflated:
            raise fault(
                "pixels-compressed", f"{name} is compressed ({syntax.name}). Decompress the series, or convert it."
            )
        spacing, position, direction = (
            tuple(float(part) for part in header[element].value)
            for element in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient")
        )
        if not np.abs([*spacing, *position, *direction]).max() < _FARTHEST:
            raise fault("orientation-absent", f"{name} lies at an impossible place in the patient.")
        size = int(header.Rows), int(header.Columns)
        found = _Header(str(header.SeriesInstanceUID), size, spacing, position, direction)
    return found


@contextmanager
def _readable(name: str, code: str = "file-damaged", words: str = "cannot be read") -> Iterator[None]:
    """What goes wrong in reading a file is a fault of the file. Nothing that stands in it is repeated."""
    from pydicom.errors import BytesLengthException

    try:
        yield
    except (*DAMAGE, BytesLengthException) as error:
        raise fault(code, f"{name} {words} ({type(error).__name__}). Fetch it again.") from None


def _parsed(source: Source, *, pixels: bool) -> "FileDataset":
    import pydicom
    from pydicom.errors import InvalidDicomError

    # What it says of values that break the standard would repeat them; the rest is judged here.
    warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    name = source.name
    try:
        with source.open("rb") as stream, _readable(name):
            if not stream.read(1):
                raise fault("file-empty", f"{name} is empty. Leave it out, or fetch it again.")
            stream.seek(0)
            found = pydicom.dcmread(stream, stop_before_pixels=not pixels)
    except InvalidDicomError:
        raise fault("file-foreign", f"{name} is no DICOM file. Leave it out, or fetch it again.") from None
    except OSError as error:
        raise fault("file-unreadable", f"{name}: cannot be opened ({error.strerror or error}).") from None
    return found


def _one_series(headers: Sequence[_Header]) -> None:
    series = {header.series for header in headers}
    if len(series) > 1:
        raise fault("series-mixed", f"the folder holds {len(series)} series. Each phase has a folder of its own.")

    def common(name: str, of: Callable[[_Header], tuple[float, ...]]) -> None:
        found = {of(header) for header in headers}
        if len(found) > 1:
            raise fault("series-uneven", f"the slices differ in {name}. Leave out what is not of the series.")

    common("size", lambda header: header.size)
    common("spacing", lambda header: tuple(round(step, 4) for step in header.spacing))
    common("direction", lambda header: tuple(round(part, 3) for part in header.direction))


def _placed(headers: Sequence[_Header]) -> tuple[list[int], NDArray[np.float64]]:
    """The order of the slices along their normal, and the affine of the volume they make."""
    first = headers[0]
    along_row, along_column = np.array(first.direction).reshape(2, 3)
    normal = np.cross(along_row, along_column)
    positions = np.array([header.position for header in headers])
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
    between_rows, between_columns = first.spacing
    affine = np.eye(4)
    affine[:3, 0] = along_row * between_columns
    affine[:3, 1] = along_column * between_rows
    # From the first slice to the last: a slanted stack moves sideways as well.
    affine[:3, 2] = (positions[order[-1]] - positions[order[0]]) / (len(order) - 1)
    affine[:3, 3] = positions[order[0]]
    return order, _LPS @ affine


def _pixels(source: Source) -> NDArray[np.float32]:
    data, name = _parsed(source, pixels=True), source.name
    if "PixelData" not in data:
        raise fault("pixels-absent", f"{name} holds no pixels. Fetch it again.")
    with _readable(f"{name}:", "file-truncated", "its pixels cannot be read"):
        found = data.pixel_array
        slope, intercept = (
            np.float32(data.get(element, default))
            for element, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        # What overflows is found by who looks for voxels that are not finite.
        with np.errstate(all="ignore"):
            values = np.asarray(found.astype(np.float32) * slope + intercept)
    return values
