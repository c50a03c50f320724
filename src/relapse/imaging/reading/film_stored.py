"""What every format of film gives: pixels as stored, what the header says of them, and how many there may be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import ImageError
from relapse.imaging.faults import fault

#: Most pixels of a film. The largest scanners gave about 40 million; a film of 20,000 × 20,000 is a mistake.
LIMIT = 1 << 26

#: Fewest pixels of the shorter side.
_FEWEST = 128


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


#: Of a film that nothing is said of beside its file.
UNSAID = About()


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """What a format gives: pixels as stored, and what its header says."""

    values: NDArray[np.float32]
    bits: int
    about: About = UNSAID
    patient: str | None = None
    notes: tuple[str, ...] = ()


def sized(rows: int, columns: int, limit: int) -> None:
    """Check what a header declares before anything is decoded."""
    if rows * columns > limit:
        raise too_large(f"the film has {columns:,} × {rows:,} pixels", limit)
    if min(rows, columns) < _FEWEST:
        raise fault(
            "film-coarse",
            f"the film has {columns} × {rows} pixels; at least {_FEWEST} on each side are needed. Is it a thumbnail?",
        )


def too_large(found: str, limit: int) -> ImageError:
    """The error of what was ``found`` to be more than the limit."""
    return fault("file-too-large", f"{found}; films of at most {limit / 1e6:,.0f} million pixels are read.")
