"""Films as a person looks at them: outlines of breast, muscle and lesion, dense tissue tinted."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relapse.ground.files import write_atomic
from relapse.imaging.films.breast import resized
from relapse.imaging.films.reading import Reading

Mask = NDArray[np.bool_]
Colours = NDArray[np.uint8]

#: Colours of outlines and of the tint, told apart by people who are colour-blind (Okabe and Ito).
BREAST, PECTORAL, DENSE, LESION = (86, 180, 233), (213, 94, 0), (0, 158, 115), (240, 228, 66)

#: Films beside and below each other on a page, inches of each, and dots an inch.
_COLUMNS, _ROWS, _INCHES, _DOTS = 6, 4, (1.6, 2.0), 150

#: Pixels that a painted film is high at most, and how much of the tint covers it.
_HIGHEST, _COVER = 1000, 0.3

#: What brings out the dark tissue near the skin.
_GAMMA = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What is drawn of a film; all masks are (rows, columns) on the grid of ``image``, or None.

    ``mark`` is a circle (row, column, radius) in pixels, such as the one of a label.
    """

    title: str
    image: NDArray[np.float32]
    breast: Mask | None = None
    pectoral: Mask | None = None
    dense: Mask | None = None
    lesion: Mask | None = None
    mark: tuple[float, float, float] | None = None


def entry_of(reading: Reading, title: str = "") -> Entry:
    """What is drawn of a reading."""
    return Entry(title, reading.shown, reading.breast, reading.pectoral, reading.dense, reading.lesion)


def film_sheet(entries: Sequence[Entry], path: Path) -> None:
    """Draw one page of films as a PNG file; the same films give the same bytes. More than 24 make the page longer."""
    _page([(entry.title, _coloured(entry, round(_INCHES[1] * _DOTS))) for entry in entries], path)


def painted_sheets(films: Sequence[tuple[str, Path]], folder: Path) -> tuple[Path, ...]:
    """Draw films that were :func:`painted` into files, each with a title, on pages 001.png, 002.png, … of a folder.

    Only a page's films are held at once.
    """
    from PIL import Image

    each = _COLUMNS * _ROWS
    pages = []
    for start in range(0, len(films), each):
        pages.append(folder / f"{start // each + 1:03d}.png")
        panels = []
        for title, path in films[start : start + each]:
            with Image.open(path) as opened:
                panels.append((title, np.asarray(opened)))
        _page(panels, pages[-1])
    return tuple(pages)


def _page(panels: Sequence[tuple[str, Colours]], path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    width, height = _INCHES
    with rc_context({"font.family": "DejaVu Sans", "font.size": 5, "text.parse_math": False}):
        figure = Figure(figsize=(columns * width, rows * height), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place in axes:
            place.set_axis_off()
        for place, (title, colours) in zip(axes, panels, strict=False):
            place.imshow(colours, interpolation="antialiased")
            place.set_title(title, fontsize=5, pad=1.5)
        figure.subplots_adjust(
            left=0.003, right=0.997, bottom=0.003, top=1 - 0.25 / (rows * height), hspace=0.14, wspace=0.02
        )
        write_atomic(
            path, lambda temporary: figure.savefig(temporary, format="png", dpi=_DOTS, metadata={"Software": None})
        )


def painted(entry: Entry, *, highest: int = _HIGHEST) -> bytes:
    """Paint one film as a PNG file of at most ``highest`` rows, without its title; the same gives the same bytes."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(_coloured(entry, highest)).save(stream, format="PNG")
    return stream.getvalue()


def _coloured(entry: Entry, highest: int) -> Colours:
    """The film in colours (rows, columns, 3), tinted and with its outlines, at most ``highest`` rows."""
    by = min(1.0, highest / entry.image.shape[0])
    grey = resized(entry.image, by)
    shown = np.repeat((255 * np.clip(grey, 0, 1) ** _GAMMA)[..., None], 3, axis=2)
    if entry.dense is not None:
        dense = _small(entry.dense, by)
        shown[dense] = (1 - _COVER) * shown[dense] + _COVER * np.array(DENSE)
    # A lesion comes last, so that no other outline hides it.
    for mask, colour in ((entry.breast, BREAST), (entry.pectoral, PECTORAL), (entry.lesion, LESION)):
        if mask is not None and mask.any():
            shown[_outline(_small(mask, by))] = colour
    if entry.mark is not None:
        shown[_circle(entry.mark, by, grey.shape)] = LESION
    return np.asarray(np.rint(shown), dtype=np.uint8)


def _small(mask: Mask, by: float) -> Mask:
    return np.asarray(resized(mask.astype(np.float32), by) > 0.5)


def _outline(mask: Mask) -> Mask:
    """The outermost pixels of a mask; a small picture has thinner ones."""
    from scipy import ndimage

    return np.asarray(mask & ~ndimage.binary_erosion(mask, iterations=1 + mask.shape[0] // 800))


def _circle(mark: tuple[float, float, float], by: float, shape: tuple[int, ...]) -> Mask:
    row, column, radius = (by * one for one in mark)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(rows - row, columns - column)
    # Dashed, so that it is not taken for an outline that was found.
    angle = np.arctan2(rows - row, columns - column)
    return np.asarray((np.abs(distance - radius) < 0.8) & (np.sin(24 * angle) > 0))
