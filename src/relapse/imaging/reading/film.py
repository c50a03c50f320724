"""One mammogram from a file: DICOM, PNG, PGM or TIFF, as numbers that grow with what the tissue attenuates.

The header is read first: how many pixels there will be is known, and bounded, before any is decoded. Of what a header
says of the patient only the number of the patient is kept, and no message repeats it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import ImageError
from relapse.imaging.faults import fault
from relapse.imaging.reading.film_dicom import dicom
from relapse.imaging.reading.film_pictures import pgm, png, tiff
from relapse.imaging.reading.film_stored import LIMIT, UNSAID, About, Stored, too_large

#: Bytes that a file may have beyond four a pixel.
_HEADER = 1 << 24

#: Millimetres between pixels that a mammogram can have, and that its side can be long.
SPACINGS, _SIDES = (0.02, 1.0), (40.0, 700.0)

#: Fewest grey levels.
_LEVELS = 16

#: How near to an extreme grey level background lies, in shares of the range; how much more of a film and its border
#: must lie near the brightest than near the darkest for the film to be inverted. Of 322 scans none reaches 0.04.
_NEAR, _INVERTED = 0.06, 0.15

_PNG, _PGM, _TIFF = b"\x89PNG\r\n\x1a\n", b"P5", (b"II*\0", b"MM\0*")


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


def read_film(path: Path, about: About = UNSAID, *, limit: int = LIMIT) -> Film:
    """Read the film in a file; see :func:`film_from`."""
    try:
        size = path.stat().st_size
        if size > 4 * limit + _HEADER:
            raise too_large(f"the file takes {size / 2**20:,.0f} MiB", limit)
        content = path.read_bytes()
    except OSError as error:
        raise fault("file-unreadable", f"{path.name}: cannot be opened ({error.strerror or error}).") from None
    except ImageError as error:
        raise ImageError(error.code, f"{path.name}: {error}") from None
    try:
        return film_from(content, about, limit=limit)
    except ImageError as error:
        raise ImageError(error.code, f"{path.name}: {error}") from None


def film_from(content: bytes, about: About = UNSAID, *, limit: int = LIMIT) -> Film:
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
        raise too_large(f"the file takes {len(content) / 2**20:,.0f} MiB", limit)
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


def _stored(content: bytes, limit: int) -> Stored:
    if content.startswith(_PNG):
        return png(content, limit)
    if content.startswith(_PGM) and content[2:3].isspace():
        return pgm(content, limit)
    if content.startswith(_TIFF):
        return tiff(content, limit)
    if content[128:132] == b"DICM":
        return dicom(content, limit)
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
