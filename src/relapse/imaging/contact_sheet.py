"""Contact sheets: pictures of many patients on a page with the outline of each mask, for a person to look through."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relapse.ground.files import write_atomic
from relapse.imaging.cache import Prepared
from relapse.imaging.slices import Picture
from relapse.imaging.stored import read_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Pictures beside and below each other; inches of each; dots an inch.
_COLUMNS, _ROWS, _INCHES, _DOTS = 8, 6, 1.15, 150

_OUTLINE = "#E69F00"


def contact_sheets(prepared: Sequence[Prepared], folder: Path, target: Path) -> tuple[Path, ...]:
    """Draw what was prepared, from the pictures kept below ``folder``, on pages 001.png, 002.png, … of ``target``.

    Every slice is drawn, in the channel of the first phase after contrast where there is one. Only a page's pictures
    are held at once.
    """
    shown = [(one.patient, one.image) for one in prepared if one.image is not None]
    slices = len(read_picture(folder, shown[0][1]).mask) if shown else 1
    each = max(1, _COLUMNS * _ROWS // slices)
    pages = []
    for start in range(0, len(shown), each):
        path = target / f"{start // each + 1:03d}.png"
        draw_sheet([(name, read_picture(folder, image)) for name, image in shown[start : start + each]], path)
        pages.append(path)
    return tuple(pages)


def draw_sheet(pictures: Sequence[tuple[str, Picture]], path: Path) -> None:
    """Draw one page of named pictures as a PNG file; the same pictures give the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [(name, one, index) for name, one in pictures for index in range(len(one.mask))]
    rows = -(-len(panels) // _COLUMNS)
    with rc_context({"font.family": "DejaVu Sans", "font.size": 5, "text.parse_math": False}):
        figure = Figure(figsize=(_COLUMNS * _INCHES, rows * (_INCHES + 0.12)), facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for place in axes:
            place.set_axis_off()
        for place, (name, one, index) in zip(axes, panels, strict=False):
            draw_slice(place, one, index)
            place.set_title(f"{name}  {one.width[index]:.0f} mm", fontsize=5, pad=1.5)
        figure.subplots_adjust(left=0.005, right=0.995, bottom=0.005, top=1 - 0.12 / (rows * (_INCHES + 0.12)))
        write_atomic(
            path, lambda temporary: figure.savefig(temporary, format="png", dpi=_DOTS, metadata={"Software": None})
        )


def draw_slice(axes: "Axes", one: Picture, index: int) -> None:
    """Draw one slice of a picture with its mask's outline, in the channel of the first phase after contrast."""
    image = one.channels[index, min(1, one.channels.shape[1] - 1)].astype(np.float32)
    low, high = np.percentile(image, [1, 99.5])
    axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-3), interpolation="nearest")
    mask = one.mask[index]
    if mask.any() and not mask.all():
        axes.contour(mask, levels=[0.5], colors=_OUTLINE, linewidths=0.6)
