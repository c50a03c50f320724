"""One mammogram from a file: DICOM, PNG, PGM or TIFF, as numbers that grow with what the tissue attenuates.

The header is read first: how many pixels there will be is known, and bounded, before any is decoded. Of what a header
says of the patient only the number of the patient is kept, and no message repeats it.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import ImageError
from relapse.imaging.faults import fault
from relapse.imaging.reading.dicom import _DAMAGE

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom.dataset import FileDataset

#: Most pixels of a film. The largest scanners gave about 40 million; a film of 20,000 × 20,000 is a mistake.
LIMIT = 1 << 26

#: Bytes that a file may have beyond four a pixel.
_HEADER = 1 << 24

#: Millimetres between pixels that a mammogram can have, and that its side can be long.
SPACINGS, _SIDES = (0.02, 1.0), (40.0, 700.0)

#: Fewest pixels of the shorter side, and fewest grey levels.
_FEWEST, _LEVELS = 128, 16

#: Spacing along rows and columns may differ by this share.
_UNEVEN = 0.01

#: From this magnification on, a view is a magnified one, and the spacing at the detector not that of the breast.
_MAGNIFIED = 1.2

#: How near to an extreme grey level background lies, in shares of the range; how much more of a film and its border
#: must lie near the brightest than near the darkest for the film to be inverted. Of 322 scans none reaches 0.04.
_NEAR, _INVERTED = 0.06, 0.15

_PNG, _PGM, _TIFF = b"\x89PNG\r\n\x1a\n", b"P5", (b"II*\0", b"MM\0*")

#: A DICOM file that is deflated as a whole unfolds to no one knows how much.
_DEFLATED = b"1.2.840.10008.1.2.1.99"

#: Codes of the views that screening takes, in SNOMED's older and newer numbers.
_VIEWS = {"R-10242": "CC", "399162004": "CC", "R-10226": "MLO", "399368009": "MLO"}


@dataclass(frozen=True, slots=True)
class About:
    """What a sheet or a form says of a film; it fills in for the header, or wins over it.

    Parameters
    ----------
    spacing
        Millimetres between pixels.
    laterality
        ``L`` or ``R``; another side than the header's is a fault, since one of them is wrong.
    view
        ``CC``, ``MLO`` or another.
    inverted
        Whether dense tissue has the low numbers. None is as the header says. Whoever declares it is believed: a bright
        background is then a note, and no fault.
    """

    spacing: float | None = None
    laterality: str | None = None
    view: str | None = None
    inverted: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A film as it was stored, not turned.

    Parameters
    ----------
    values
        (rows, columns), the brighter the more is attenuated, on any scale.
    spacing
        Millimetres between pixels.
    laterality
        ``L``, ``R`` or None.
    view
        ``CC``, ``MLO``, another, or None.
    patient
        The header's number of the patient.
    bits
        Bits of a stored pixel that are used.
    notes
        What a radiologist should know of how it was read.
    """

    values: NDArray[np.float32]
    spacing: float
    laterality: str | None = None
    view: str | None = None
    patient: str | None = None
    bits: int = 8
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """What a format gives: pixels as stored, and what its header says."""

    values: NDArray[np.float32]
    bits: int
    about: About = About()
    patient: str | None = None
    notes: tuple[str, ...] = ()


def read_film(path: Path, about: About = About(), *, limit: int = LIMIT) -> Film:
    """Read the film in a file; see :func:`film_from`."""
    try:
        size = path.stat().st_size
        if size > 4 * limit + _HEADER:
            raise _too_large(f"the file takes {size / 2**20:,.0f} MiB", limit)
        content = path.read_bytes()
    except OSError as error:
        raise fault("file-unreadable", f"{path.name}: cannot be opened ({error.strerror or error}).") from None
    except ImageError as error:
        raise ImageError(error.code, f"{path.name}: {error}") from None
    try:
        return film_from(content, about, limit=limit)
    except ImageError as error:
        raise ImageError(error.code, f"{path.name}: {error}") from None


def film_from(content: bytes, about: About = About(), *, limit: int = LIMIT) -> Film:
    """Read a film from the bytes of its file.

    Parameters
    ----------
    content
        A file in DICOM, PNG, binary PGM or TIFF, in grey levels.
    about
        What is known beside the file.
    limit
        Most pixels.

    Raises
    ------
    ImageError
        The file is empty, ends too early, is of another kind, coloured, too large, or compressed in a way that cannot
        be read; it holds several pictures; its spacing is missing or impossible; its pixels are constant, not finite,
        too few or too coarse, or brighter beside the breast than in it; its side is not the declared one.
    """
    if not content:
        raise fault("file-empty", "the file is empty. Fetch it again.")
    if len(content) > 4 * limit + _HEADER:
        raise _too_large(f"the file takes {len(content) / 2**20:,.0f} MiB", limit)
    stored = _stored(content, limit)
    known = _joined(about, stored.about)
    spacing = _spacing(known.spacing, stored.values.shape)
    values = stored.values
    _check(values)
    if known.inverted:
        values = values.max() + values.min() - values
    notes = stored.notes
    if bright_background(values):
        if about.inverted is None:
            raise fault(
                "film-inverted",
                "the film is inverted: its background is brighter than the breast. Declare it as inverted, or send it "
                "with dense tissue bright.",
            )
        notes = (*notes, "The background is brighter than the breast. Is the film declared the right way round?")
    return Film(values, spacing, known.laterality, known.view, stored.patient, stored.bits, notes)


def bright_background(values: NDArray[np.float32]) -> bool:
    """Whether a film looks inverted.

    What is beside the breast lies close to one end of the grey levels and meets the film's border almost all around;
    the breast does neither. Rows and columns of one grey level, with which films are made square, are left out.
    """
    step = max(1, min(values.shape) // 256)
    coarse = framed(values[::step, ::step])
    low, high = (float(one) for one in np.percentile(coarse, [1, 99]))
    if high <= low:
        return False
    near = _NEAR * (high - low)

    def brighter(part: NDArray[np.float32]) -> float:
        return float((part >= high - near).mean() - (part <= low + near).mean())

    border = np.concatenate([coarse[0], coarse[-1], coarse[:, 0], coarse[:, -1]])
    return brighter(coarse) + brighter(border) > _INVERTED


def framed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The film without the rows and columns at its sides that hold one grey level, but for a few pixels."""
    range_ = max(float(np.ptp(values)), 1e-12)
    for _ in range(2):
        low, high = np.percentile(values, [4, 96], axis=0)
        keep = np.flatnonzero(high - low > 0.02 * range_)
        if len(keep) < 16:
            break
        values = values[:, keep[0] : keep[-1] + 1]
        values = values.T
    return values


def _stored(content: bytes, limit: int) -> _Stored:
    if content.startswith(_PNG):
        return _png(content, limit)
    if content.startswith(_PGM) and content[2:3].isspace():
        return _pgm(content, limit)
    if content.startswith(_TIFF):
        return _tiff(content, limit)
    if content[128:132] == b"DICM":
        return _dicom(content, limit)
    if re.match(rb"P[36]\s", content):
        raise fault("not-greyscale", "the film is a coloured picture (PPM). Send it in grey levels.")
    if re.match(rb"P[1-7]\s", content):
        raise fault("file-foreign", "of the PNM files only binary PGM (P5) is read. Convert it to PNG.")
    if any(one.startswith(content) for one in (_PNG, *_TIFF)):
        raise fault("file-truncated", "the file ends in its first bytes. Fetch it again.")
    raise fault("file-foreign", "the file is neither DICOM nor PNG, PGM or TIFF. Convert it to one of these.")


def _joined(about: About, header: About) -> About:
    """What is known of a film: as declared, else as its header has it."""
    if about.laterality and header.laterality and about.laterality != header.laterality:
        raise fault(
            "film-laterality",
            f"the film is declared to be of side {about.laterality}, and its header says {header.laterality}. "
            "Correct whichever is wrong.",
        )
    return About(
        header.spacing if about.spacing is None else about.spacing,
        about.laterality or header.laterality,
        about.view or header.view,
        header.inverted if about.inverted is None else about.inverted,
    )


def _spacing(spacing: float | None, shape: tuple[int, ...]) -> float:
    if spacing is None:
        raise fault(
            "spacing-absent", "the file does not say how many millimetres lie between its pixels. Declare the spacing."
        )
    low, high = SPACINGS
    if not low <= spacing <= high:
        raise fault(
            "spacing-implausible",
            f"{spacing:g} mm between pixels cannot be right; a mammogram has {low:g} to {high:g} mm.",
        )
    if not _SIDES[0] <= spacing * min(shape) <= spacing * max(shape) <= _SIDES[1]:
        raise fault(
            "spacing-implausible",
            f"with {spacing:g} mm between pixels the film would measure {spacing * shape[1]:,.0f} × "
            f"{spacing * shape[0]:,.0f} mm; a mammogram's sides have {_SIDES[0]:.0f} to {_SIDES[1]:.0f} mm.",
        )
    return float(spacing)


def _check(values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise fault("not-finite", "the film holds values that are not finite. Export it anew.")
    if not np.ptp(values) > 0:
        raise fault("constant", "all pixels of the film are equal. Fetch it again.")
    step = max(1, min(values.shape) // 256)
    levels = len(np.unique(values[::step, ::step]))
    if levels < _LEVELS:
        raise fault("film-coarse", f"the film has {levels} grey levels; at least {_LEVELS} are needed.")


def _sized(rows: int, columns: int, limit: int) -> None:
    """Check what a header declares before anything is decoded."""
    if rows * columns > limit:
        raise _too_large(f"the film has {columns:,} × {rows:,} pixels", limit)
    if min(rows, columns) < _FEWEST:
        raise fault(
            "film-coarse",
            f"the film has {columns} × {rows} pixels; at least {_FEWEST} on each side are needed. Is it a thumbnail?",
        )


def _too_large(found: str, limit: int) -> ImageError:
    return fault("file-too-large", f"{found}; films of at most {limit / 1e6:,.0f} million pixels are read.")


def _png(content: bytes, limit: int) -> _Stored:
    # The first chunk is the header, of which the standard fixes every byte.
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise fault("file-truncated", "the file ends in its header. Fetch it again.")
    columns, rows = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    _sized(rows, columns, limit)
    with _picture(content) as image:
        return _of_picture(image)


def _tiff(content: bytes, limit: int) -> _Stored:
    with _picture(content) as image:
        _sized(image.height, image.width, limit)
        try:
            image.seek(1)
        except EOFError:
            image.seek(0)
        else:
            raise fault("film-frames", "the file holds several pictures. Send one film a file.")
        return _of_picture(image)


@contextmanager
def _picture(content: bytes) -> Iterator["Image"]:
    """Open with Pillow; what goes wrong is a fault of the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # It warns of tags and of sizes; both are judged here.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=("PNG", "TIFF")) as image:
                yield image
    except Image.DecompressionBombError:
        raise fault("file-too-large", "the film has too many pixels to be read.") from None
    except UnidentifiedImageError:
        raise fault("file-truncated", "the file's header is damaged or ends too early. Fetch it again.") from None
    except ImageError:
        raise
    except (*_DAMAGE, OSError, SyntaxError) as error:
        raise fault(
            "file-truncated", f"the pixels end too early or are damaged ({type(error).__name__}). Fetch it again."
        ) from None


def _of_picture(image: "Image") -> _Stored:
    mode = image.mode
    if mode == "1":
        raise fault("film-coarse", "the film is black and white, without grey levels. Export it in grey levels.")
    if mode in ("L", "F", "I") or mode.startswith("I;16"):
        image.load()
        bits = {"L": 8, "F": 32, "I": 32}.get(mode, 16)
        return _Stored(np.asarray(image).astype(np.float32), bits)
    # Viewers export grey films in colours: taken where red, green and blue are the same.
    colours = np.asarray(image.convert("RGB")) if mode in ("RGB", "RGBA", "P", "LA") else None
    if colours is not None and (colours == colours[..., :1]).all() and not _transparent(image):
        return _Stored(colours[..., 0].astype(np.float32), 8, notes=("The file is coloured, and all of it is grey.",))
    raise fault("not-greyscale", "the film is coloured or transparent. Send it in grey levels.")


def _transparent(image: "Image") -> bool:
    return "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255)


def _pgm(content: bytes, limit: int) -> _Stored:
    # Width, height and largest grey level, with comments between them, and one space before the pixels.
    blank = rb"(?:\s|#[^\n]{0,1000}\n)"
    found = re.match(rb"P5" + 3 * (blank + rb"{1,64}(\d{1,9})") + rb"\s", content[:8192])
    if not found:
        raise fault("file-truncated", "the file's header is damaged or ends too early. Fetch it again.")
    columns, rows, largest = (int(one) for one in found.groups())
    _sized(rows, columns, limit)
    if not 0 < largest < 1 << 16:
        raise fault("header-broken", f"the header gives {largest:,} as largest grey level; PGM allows 1 to 65,535.")
    kind = np.dtype(np.uint8 if largest < 256 else ">u2")
    if len(content) - found.end() < rows * columns * kind.itemsize:
        raise fault("file-truncated", "the file ends before its last pixel. Fetch it again.")
    values = np.frombuffer(content, kind, rows * columns, found.end()).reshape(rows, columns)
    return _Stored(values.astype(np.float32), largest.bit_length())


def _dicom(content: bytes, limit: int) -> _Stored:
    if _DEFLATED in content[:4096]:
        raise fault("pixels-compressed", "the file is deflated as a whole. Send it uncompressed.")
    header = _parsed(content, pixels=False)
    with _sound("header-broken", "the header contradicts the standard"):
        for element in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"):
            if header.get(element) in (None, ""):
                raise fault("pixels-absent", f"the file holds no film, or ends too early ({element} is missing).")
        if int(header.get("NumberOfFrames", 1) or 1) != 1:
            raise fault("film-frames", "the file holds several frames, as tomosynthesis has. Send a single view.")
        photometric = str(header.PhotometricInterpretation)
        if int(header.get("SamplesPerPixel", 1) or 1) != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
            raise fault("not-greyscale", "the film is coloured. Send it in grey levels.")
        _sized(int(header.Rows), int(header.Columns), limit)
        spacing, notes = _spacing_of(header)
        about = About(spacing, _side_of(header), _view_of(header), photometric == "MONOCHROME1")
        patient = str(header.get("PatientID") or "").strip() or None
        bits = int(header.get("BitsStored") or header.BitsAllocated)
        if str(header.get("PresentationIntentType") or "") == "FOR PROCESSING":
            notes = (*notes, "These are a detector's raw numbers (FOR PROCESSING); send what is meant to be looked at.")
    return _Stored(_pixels(content, header), bits, about, patient, notes)


def _parsed(content: bytes, *, pixels: bool) -> "FileDataset":
    import pydicom

    # What it says of values that break the standard would repeat them; the rest is judged here.
    warnings.filterwarnings("ignore", category=UserWarning, module="pydicom")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    with _sound("file-truncated", "the file is damaged or ends too early"):
        return pydicom.dcmread(io.BytesIO(content), stop_before_pixels=not pixels)


@contextmanager
def _sound(code: str, words: str) -> Iterator[None]:
    """What goes wrong in reading is a fault of the file. Nothing that stands in it is repeated."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        yield
    except ImageError:
        raise
    except (*_DAMAGE, BytesLengthException, InvalidDicomError, OSError, RuntimeError) as error:
        raise fault(code, f"{words} ({type(error).__name__}). Fetch it again.") from None


def _pixels(content: bytes, header: "FileDataset") -> NDArray[np.float32]:
    from PIL.Image import DecompressionBombError
    from pydicom.pixels.decoders.base import get_decoder

    syntax = header.file_meta.get("TransferSyntaxUID")
    code, words = "file-truncated", "its pixels end too early or are damaged"
    with _sound("header-broken", "the header names no way in which pixels are stored"):
        compressed = syntax is not None and syntax.is_compressed
    if compressed:
        code, words = "pixels-compressed", f"its pixels ({syntax.name}) cannot be decompressed"
        try:
            readable = get_decoder(syntax).is_available
        except NotImplementedError:
            readable = False
        if not readable:
            raise fault(code, f"{words} here. Decompress the film, as gdcmconv --raw does.")
    data = _parsed(content, pixels=True)
    if "PixelData" not in data:
        raise fault("file-truncated", "the file ends before its pixels. Fetch it again.")
    with _sound(code, words):
        try:
            found = data.pixel_array
        except DecompressionBombError:
            raise fault("file-too-large", "the film has too many pixels to be read.") from None
        if found.shape != (int(header.Rows), int(header.Columns)):
            raise fault("header-broken", "the pixels have another size than the header says. Fetch it again.")
        slope, intercept = (
            np.float32(data.get(element, default) or default)
            for element, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
        )
        values = found.astype(np.float32)
        # What a scanner fills the film's surroundings with says nothing; as dark as the darkest, it is background.
        padding = data.get("PixelPaddingValue")
        padded = found == padding if isinstance(padding, int) else None
        with np.errstate(all="ignore"):
            values = np.asarray(values * slope + intercept, dtype=np.float32)
    if padded is not None and padded.any() and not padded.all():
        inverted = str(header.PhotometricInterpretation) == "MONOCHROME1"
        values[padded] = values[~padded].max() if inverted else values[~padded].min()
    return values


def _spacing_of(header: "FileDataset") -> tuple[float | None, tuple[str, ...]]:
    """Millimetres between pixels at the breast, and what is to be said of them."""
    notes: tuple[str, ...] = ()
    steps = [float(one) for one in header.get("PixelSpacing") or ()]
    if not steps:
        steps = [float(one) for one in header.get("ImagerPixelSpacing") or ()]
        magnified = float(header.get("EstimatedRadiographicMagnificationFactor") or 1)
        if steps and magnified > _MAGNIFIED:
            steps = [one / magnified for one in steps]
            notes = (f"A magnified view: lengths are divided by {magnified:g}.",)
    if len(steps) != 2:
        return None, ()
    if not min(steps) > 0 or abs(steps[0] - steps[1]) > _UNEVEN * max(steps):
        raise fault(
            "spacing-implausible", f"pixels of {steps[0]:g} × {steps[1]:g} mm are no mammogram's; they are square."
        )
    return float(np.mean(steps)), notes


def _side_of(header: "FileDataset") -> str | None:
    for element in ("ImageLaterality", "Laterality", "FrameLaterality"):
        found = str(header.get(element) or "").strip().upper()
        if found in ("L", "R"):
            return found
    return None


def _view_of(header: "FileDataset") -> str | None:
    found = str(header.get("ViewPosition") or "").strip().upper()
    if found:
        return found
    for item in header.get("ViewCodeSequence") or ():
        return _VIEWS.get(str(item.get("CodeValue") or ""))
    return None
