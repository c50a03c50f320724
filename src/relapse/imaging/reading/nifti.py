"""NIfTI files, plain or gzipped: the header is judged before a voxel is read, and never more is read than it declares.

A gzipped file of a megabyte may unfold to gigabytes, and a header may declare what the file does not hold. The memory
needed is therefore known, and bounded, before it is taken.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import ImageError
from relapse.imaging.faults import fault
from relapse.imaging.reading.volume import LIMIT, Volume

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

#: Size of the header by what its first four bytes say, in either byte order, and the version.
_HEADERS = {348: 1, 540: 2}

#: Voxels further apart or nearer than this, in millimetres, are a matter of wrong units.
_SPACING = (0.02, 30.0)

#: Bytes that may follow the voxels: some programs pad a file.
_TAIL = 1 << 16


def read_nifti(path: Path, *, limit: int = LIMIT) -> Volume:
    """Read one volume.

    Parameters
    ----------
    limit
        Most bytes that the voxels may take, as stored.

    Returns
    -------
    Volume
        Voxels of the stored kind of number; float32 where the header scales them.

    Raises
    ------
    ImageError
        The file cannot be read whole, is no volume, lacks spacing or orientation, or has voxels that are not finite.
    """
    try:
        with path.open("rb") as stream:
            return nifti_from(stream, limit=limit)
    except ImageError as error:
        raise ImageError(error.code, f"{path.name}: {error}") from None
    except OSError as error:
        raise fault("file-unreadable", f"{path.name}: cannot be opened ({error.strerror or error}).") from None


def nifti_from(stream: IO[bytes], *, limit: int = LIMIT) -> Volume:
    """Read one volume from a stream that can be rewound, as from an upload; see :func:`read_nifti`."""
    start = stream.read(2)
    stream.seek(0)
    if not start:
        raise fault("file-empty", "the file is empty. Fetch it again.")
    if start != b"\x1f\x8b":
        return _read(stream, limit)
    try:
        with gzip.GzipFile(fileobj=stream, mode="rb") as unpacked:
            return _read(cast("IO[bytes]", unpacked), limit)
    except EOFError:
        raise fault(
            "file-truncated", "the compressed file ends in the middle. Fetch it again, and compare its size."
        ) from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise fault("file-damaged", f"the compressed file is damaged ({error}). Fetch it again.") from None


def _read(stream: IO[bytes], limit: int) -> Volume:
    header = _header(stream)
    shape = _shape(header)
    kind = _kind(header)
    scale = _scale(header)
    # Scaled voxels take more than stored ones.
    each = kind.itemsize if scale is None else max(kind.itemsize, 4)
    if math.prod(shape) * each > limit:
        raise fault(
            "file-too-large",
            f"the header declares {' × '.join(map(str, shape))} voxels of {each} bytes, "
            f"{math.prod(shape) * each / 2**20:,.0f} "
            f"MiB; at most {limit / 2**20:,.0f} MiB are read. Is it one phase, at the resolution of its acquisition?",
        )
    affine = _affine(header)
    before = float(header["vox_offset"]) - float(header["sizeof_hdr"])
    if not 0 <= before <= 1 << 20:
        raise fault("header-broken", f"the voxels are said to begin at byte {float(header['vox_offset']):g}.")
    stream.read(int(before))
    size = math.prod(shape) * kind.itemsize
    packed = stream.read(size)
    if len(packed) < size:
        raise fault(
            "file-truncated",
            f"the header declares {size:,} bytes of voxels, and the file holds {len(packed):,}. Fetch it again.",
        )
    # Reading on to the end also compares a gzipped file with its checksum.
    if len(stream.read(_TAIL + 1)) > _TAIL:
        raise fault("header-broken", f"the file goes on after the {size:,} bytes of voxels that its header declares.")
    values = np.frombuffer(packed, dtype=kind).reshape(shape, order="F")
    return Volume(_scaled(values, scale), affine)


def _header(stream: IO[bytes]) -> "Nifti1Header":
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    start = stream.read(4)
    sizes = {order: int.from_bytes(start, order) for order in ("little", "big")} if len(start) == 4 else {}
    order = next((order for order, size in sizes.items() if size in _HEADERS), None)
    if order is None:
        raise fault("file-foreign", "this is no NIfTI file. Volumes are NIfTI files (.nii, .nii.gz) or DICOM series.")
    size = sizes[order]
    block = start + stream.read(size - 4)
    if len(block) < size:
        raise fault("file-truncated", "the file ends within its header. Fetch it again.")
    cls = Nifti1Header if size == 348 else Nifti2Header
    header = cls(block, endianness="<" if order == "little" else ">", check=False)
    magic = bytes(header["magic"].tobytes())[:3].rstrip(b"\0")
    if magic not in (b"n+1", b"n+2"):
        words = (
            "its voxels stand in another file (.hdr and .img)" if magic in (b"ni1", b"ni2") else "its mark is missing"
        )
        raise fault("file-foreign", f"this is no NIfTI file of one piece: {words}. Convert it to .nii.gz.")
    return header


def _shape(header: "Nifti1Header") -> tuple[int, int, int]:
    dimensions = int(header["dim"][0])
    if not 1 <= dimensions <= 7:
        raise fault("header-broken", f"the header declares {dimensions} dimensions.")
    sizes = [int(size) for size in header["dim"][1 : dimensions + 1]]
    if min(sizes) < 1:
        raise fault("header-broken", f"the header declares sizes of {' × '.join(map(str, sizes))}.")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3 or min(sizes) < 2:
        raise fault(
            "not-a-volume",
            f"the file holds {' × '.join(map(str, sizes))} voxels, not one volume. A phase has a file of its own, with "
            "several rows, columns and slices.",
        )
    return sizes[0], sizes[1], sizes[2]


def _kind(header: "Nifti1Header") -> np.dtype[np.generic]:
    try:
        kind = header.get_data_dtype()
    except KeyError:
        raise fault("header-broken", f"the header names a kind of voxel ({int(header['datatype'])}) unknown.") from None
    if kind.kind not in "uif" or kind.itemsize > 8:
        raise fault("not-greyscale", "the voxels are complex numbers or colours. A phase has one number a voxel.")
    return kind


def _affine(header: "Nifti1Header") -> NDArray[np.float64]:
    declared = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(declared).all() and (declared > 0).all()):
        raise fault("spacing-absent", "the header gives no spacing of the voxels (pixdim is zero or no number).")
    if not int(header["qform_code"]) and not int(header["sform_code"]):
        raise fault(
            "orientation-absent",
            "the header does not say how the voxels lie in the patient (qform and sform codes are 0). Convert the "
            "series again with a tool that keeps it, such as dcm2niix.",
        )
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except (ValueError, ArithmeticError):
        affine = np.full((4, 4), np.nan)
    checked_affine(affine)
    return affine


def checked_affine(affine: NDArray[np.float64]) -> None:
    """Raise the fault of an affine that places voxels nowhere, or at impossible distances."""
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise fault("orientation-absent", "the axes of the voxels do not span a volume in the patient.")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = _SPACING
    if spacing.min() < low or spacing.max() > high:
        raise fault(
            "spacing-absent",
            f"voxels lie {' × '.join(f'{step:.3g}' for step in spacing)} mm apart; {low:g} to {high:g} mm are "
            "possible. Is the unit another one?",
        )
    if (cosines := np.abs(_cosines(affine))).max() > 0.1:
        raise fault("orientation-absent", f"the axes of the voxels stand askew (cosine {cosines.max():.2f}).")


def _cosines(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return np.asarray((axes.T @ axes)[np.triu_indices(3, 1)])


def _scale(header: "Nifti1Header") -> tuple[float, float] | None:
    """Slope and intercept, where there are any."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    return (slope, intercept) if slope and np.isfinite(slope) and (slope, intercept) != (1.0, 0.0) else None


def _scaled(values: NDArray[np.generic], scale: tuple[float, float] | None) -> NDArray[np.generic]:
    if scale is not None:
        # What overflows is found below.
        with np.errstate(all="ignore"):
            scaled = values.astype(np.float32)
            scaled *= np.float32(scale[0])
            scaled += np.float32(scale[1])
        values = scaled
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise fault("not-finite", f"{count:,} of {values.size:,} voxels are not finite. Make the volume anew.")
    return values
