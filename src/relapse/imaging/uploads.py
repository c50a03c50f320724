"""What a service is sent, made into a picture in bounded memory; no name that a client gives is opened or repeated.

Volumes are NIfTI files, plain or gzipped, or zip archives of the slices of one DICOM series, which are read from memory
one at a time. A picture that was packed here can be sent in their place. Whatever else comes is refused with a code of
:mod:`relapse.imaging.faults`.
"""

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from relapse.cohorts.declared.images import DceMri
from relapse.ground.errors import ImageError
from relapse.imaging.cache import made_of
from relapse.imaging.faults import fault
from relapse.imaging.reading.dicom import DEFLATED, series_from
from relapse.imaging.reading.nifti import nifti_from
from relapse.imaging.reading.volume import LIMIT, Volume
from relapse.imaging.slices import Picture
from relapse.imaging.stored import packed

#: Most bytes that one volume may take: twice the largest of MAMA-MIA.
UPLOAD_LIMIT = LIMIT // 2

#: How much longer than its voxels a file may be.
_HEADER = 1 << 20

#: Of an archive: most files; most bytes of its directory for each; most times that it may grow (slices of a mask that
#: mark next to nothing grow some 300 times).
_FILES, _ENTRY, _GROWTH = 2000, 1024, 500

#: How the end of an archive's directory begins, its size, and how its 64-bit form is announced before it.
_END, _END_SIZE, _WIDE, _WIDE_SIZE = b"PK\x05\x06", 22, b"PK\x06\x07", 20

#: Marks of an entry that is encrypted, weakly or strongly.
_ENCRYPTED = 0x41

#: What zipfile stumbles over.
_DAMAGE = (
    zipfile.BadZipFile,
    ArithmeticError,
    EOFError,
    LookupError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)

#: How archives and compressed files begin that have no place within an archive.
_PACKED = (b"PK\x03\x04", _END, b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")

#: Farthest that standardised intensities lie from 0; widest that anything marked in a patient is, in millimetres.
_FARTHEST, _WIDEST = 60.0, 600.0


def picture_of_volumes(phases: Sequence[bytes], mask: bytes, images: DceMri, *, limit: int = UPLOAD_LIMIT) -> Picture:
    """Make the picture of a patient from the contents of files: what training makes of the same files in folders.

    Parameters
    ----------
    phases
        The declared phases in their order: NIfTI, gzipped NIfTI, or a zip archive of one DICOM series.
    mask
        The same of the tumour's mask.
    limit
        Most bytes that the voxels of a file may take. Two volumes are held at once at most.

    Raises
    ------
    ImageError
        They cannot be used.
    """
    if len(phases) != len(images.phases):
        raise fault(
            "upload-phases",
            f"{len(phases)} phases were sent, and {len(images.phases)} are needed: "
            f"{', '.join(map(str, images.phases))} (0 is before contrast), in this order.",
        )
    openers = [
        partial(_volume, content, f"phase {phase}", limit) for phase, content in zip(images.phases, phases, strict=True)
    ]
    return made_of(openers, partial(_volume, mask, "mask", limit), images.preprocessing)


def pack(picture: Picture) -> bytes:
    """A picture as a client keeps it and sends it back; equal pictures are equal bytes."""
    return packed(picture)


def as_text(picture: Picture) -> str:
    """A packed picture in base64, as JSON and tables hold it."""
    return base64.b64encode(pack(picture)).decode()


def from_text(text: str, images: DceMri) -> Picture:
    """The picture that :func:`as_text` wrote; raises as :func:`unpack`."""
    try:
        content = base64.b64decode(text, validate=True)
    except ValueError:
        raise _foreign("its text is no base64") from None
    return unpack(content, images)


def unpack(content: bytes, images: DceMri) -> Picture:
    """Take up a picture that :func:`pack` wrote, of the declared phases and preprocessing.

    Raises
    ------
    ImageError
        It is something else, or holds what no preprocessing gives.
    """
    declared = images.preprocessing
    square = (declared.slices, declared.size, declared.size)
    expected: dict[str, NDArray[Any]] = {
        "channels": np.empty((declared.slices, len(images.phases), *square[1:]), dtype=np.float16),
        "mask": np.empty((*square[:2], -(-declared.size // 8)), dtype=np.uint8),
        "width": np.empty(declared.slices, dtype=np.float32),
    }
    most = sum(one.nbytes for one in expected.values()) + 8192
    if len(content) > most:
        raise fault(
            "upload-too-large",
            f"the picture takes {len(content):,} bytes; one of this model takes at most {most:,}. Is it another's?",
        )
    archive = _archive(content)
    if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in expected):
        raise _foreign("it does not hold channels, mask and width")
    found = {name: _array(archive, archive.getinfo(f"{name}.npy"), one) for name, one in expected.items()}
    mask = np.unpackbits(found["mask"], axis=-1, count=declared.size).astype(np.bool_)
    picture = Picture(found["channels"], mask, found["width"])
    _check(picture, images)
    return picture


def _check(picture: Picture, images: DceMri) -> None:
    """Raise the fault of values that preprocessing does not give."""
    declared = images.preprocessing
    channels = picture.channels.astype(np.float32)
    if not (np.isfinite(channels).all() and np.isfinite(picture.width).all()):
        raise fault("not-finite", "the picture holds values that are not finite. Make it anew.")
    if np.abs(channels).max() > _FARTHEST:
        raise _foreign(f"its intensities are not standardised: they lie up to {np.abs(channels).max():.0f} from 0")
    narrowest = 2 * declared.margin
    if not ((picture.width > narrowest) & (picture.width <= narrowest + _WIDEST)).all():
        raise _foreign(f"its width is not that of a tumour and a margin of {declared.margin:g} mm on each side")
    if not picture.mask.any(axis=(1, 2)).all():
        raise fault("mask-empty", "the picture's mask marks nothing in a slice.")
    if np.ptp(channels[:, 0]) == 0:
        raise fault("constant", "the first channel of the picture is a constant.")
    for number in range(1, channels.shape[1]):
        former = channels[:, number - 1] if declared.channels == "phases" else 0
        if (channels[:, number] == former).all():
            raise fault("phases-equal", f"channel {number + 1} of the picture shows no change of contrast.")


def _volume(content: bytes, what: str, limit: int) -> Volume:
    try:
        if len(content) > limit + _HEADER:
            raise fault(
                "upload-too-large",
                f"the file takes {len(content) / 2**20:,.0f} MiB; at most {limit / 2**20:,.0f} MiB are read.",
            )
        if not content.startswith(b"PK"):
            return nifti_from(io.BytesIO(content), limit=limit)
        return series_from(_slices(_archive(content), len(content), limit), limit=limit)
    except ImageError as error:
        raise ImageError(error.code, f"{what}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Slice:
    """A file of an archive, unfolded as often as it is asked for, never to more than the archive says."""

    name: str
    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    def open(self, mode: Literal["rb"], /) -> IO[bytes]:
        content = _unfolded(self.archive, self.entry)
        if content.startswith(_PACKED):
            raise fault(
                "upload-nested", f"{self.name} is an archive itself. Send the slices of one series, and no more."
            )
        if DEFLATED in content:
            raise fault("pixels-compressed", f"{self.name} is deflated as a whole. Send it uncompressed.")
        return io.BytesIO(content)


def _slices(archive: zipfile.ZipFile, size: int, limit: int) -> list[_Slice]:
    """The slices in an archive of ``size`` bytes, once it is known that they unfold to no more than the limit."""
    # Left out as from a folder: what is hidden, such as what macOS notes of every file.
    entries = [
        entry
        for entry in archive.infolist()
        if not entry.filename.endswith("/") and not entry.filename.rpartition("/")[2].startswith(".")
    ]
    unfolded = sum(entry.file_size for entry in entries)
    if unfolded > limit + _HEADER or unfolded > _GROWTH * size:
        raise fault(
            "upload-too-large",
            f"the archive of {size / 2**20:,.1f} MiB unfolds to {unfolded / 2**20:,.0f} MiB; at most "
            f"{limit / 2**20:,.0f} MiB are read, and at most {_GROWTH} times what was sent.",
        )
    return [_Slice(f"slice {number}", archive, entry) for number, entry in enumerate(entries, start=1)]


def _archive(content: bytes) -> zipfile.ZipFile:
    """A zip archive whose directory is known to be small before it is read."""
    end = content[-_END_SIZE:]
    if len(end) < _END_SIZE or not end.startswith(_END) or not end.endswith(b"\0\0"):
        raise fault("upload-archive", "this is no zip archive, or one that ends too early or carries a comment.")
    if content[-_END_SIZE - _WIDE_SIZE :].startswith(_WIDE):
        raise fault("upload-archive", "the archive is in zip's 64-bit form. Make an ordinary one.")
    count, size = struct.unpack("<HL", end[10:16])
    if count > _FILES or size > _FILES * _ENTRY:
        raise fault("upload-archive", f"the archive lists {count:,} files; at most {_FILES:,} are taken.")
    with _sound():
        archive = zipfile.ZipFile(io.BytesIO(content))
    entries = archive.infolist()
    if len(entries) > _FILES:
        raise fault("upload-archive", f"the archive lists {len(entries):,} files; at most {_FILES:,} are taken.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise fault("upload-encrypted", "the archive is encrypted. Send it without a password.")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise fault("upload-archive", "the archive is compressed in another way than zip's usual one (deflate).")
    return archive


@contextmanager
def _sound() -> Iterator[None]:
    """What goes wrong in reading an archive is a fault of the archive."""
    try:
        yield
    except _DAMAGE as error:
        raise fault("upload-archive", f"the archive is damaged ({type(error).__name__}). Send it again.") from None


def _unfolded(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content of a file of an archive; its checksum is compared."""
    with _sound(), archive.open(entry) as stream:
        # Asked for by its size, zip unfolds no more than that, whatever else the file holds.
        content = stream.read(entry.file_size)
    if len(content) < entry.file_size:
        raise fault("upload-archive", "a file of the archive is smaller than the archive says.")
    return content


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, expected: NDArray[Any]) -> NDArray[Any]:
    """An array of an archive that has the kind and shape expected; nothing else is unfolded, and nothing unpickled."""
    if entry.compress_type != zipfile.ZIP_STORED or not 0 < entry.file_size - expected.nbytes <= 1024:
        raise _foreign(f"its {entry.filename[:-4]} have another size")
    stream = io.BytesIO(_unfolded(archive, entry))
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError
        header = np.lib.format.read_array_header_1_0(stream, max_header_size=1024)
    except ValueError:
        raise _foreign(f"its {entry.filename[:-4]} cannot be read") from None
    content = stream.read()
    if header != (expected.shape, False, expected.dtype) or len(content) != expected.nbytes:
        raise _foreign(f"its {entry.filename[:-4]} have another kind or shape")
    return np.frombuffer(content, dtype=expected.dtype).reshape(expected.shape)


def _foreign(what: str) -> ImageError:
    return fault(
        "upload-picture", f"the picture was not packed by this service for this model: {what}. Send what it returned."
    )
