"""A film as one DICOM file: MONOCHROME1 or 2, as sent or compressed in a way that can be read here."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import ImageError
from relapse.imaging.faults import fault
from relapse.imaging.reading.dicom import DAMAGE, DEFLATED
from relapse.imaging.reading.film_stored import About, Stored, sized

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

#: Spacing along rows and columns may differ by this share.
_UNEVEN = 0.01

#: From this magnification on, a view is a magnified one, and the spacing at the detector not that of the breast.
_MAGNIFIED = 1.2

#: Codes of the views that screening takes, in SNOMED's older and newer numbers.
_VIEWS = {"R-10242": "CC", "399162004": "CC", "R-10226": "MLO", "399368009": "MLO"}


def dicom(content: bytes, limit: int) -> Stored:
    """Read a DICOM file of at most ``limit`` pixels; raises ImageError."""
    if DEFLATED in content[:4096]:
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
        sized(int(header.Rows), int(header.Columns), limit)
        spacing, notes = _spacing_of(header)
        about = About(spacing, _side_of(header), _view_of(header), photometric == "MONOCHROME1")
        patient = str(header.get("PatientID") or "").strip() or None
        bits = int(header.get("BitsStored") or header.BitsAllocated)
        if str(header.get("PresentationIntentType") or "") == "FOR PROCESSING":
            notes = (*notes, "These are a detector's raw numbers (FOR PROCESSING); send what is meant to be looked at.")
    return Stored(_pixels(content, header), bits, about, patient, notes)


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
    except (*DAMAGE, BytesLengthException, InvalidDicomError, OSError, RuntimeError) as error:
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
