"""How figures look, and how they are saved: one colour and dash a candidate, the same bytes for the same figure."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.candidates.catalogue import MODULES, REFERENCE
from relapse.ground.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Width of a figure in inches: the text of an A4 page.
WIDTH = 6.9

#: Dots an inch of a bitmap, and of the layout: at another number of dots texts are not quite as wide.
_DOTS = 200

INK, MUTED, RULE = "#1c2430", "#5c6673", "#c9ced6"

#: Told apart with any colour vision: Okabe and Ito (2008); its yellow, faint on paper, gives way to two of Tol's.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#882255", "#E69F00", "#777733")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    # A label is a user's text, in which a dollar sign is a dollar sign.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Letters as outlines: the file looks the same where the font is not installed, and loads nothing.
    "svg.fonttype": "path",
    "svg.hashsalt": "relapse",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells a candidate from the others: ``colour`` on screen, ``dash`` and ``marker`` also in black and white."""

    colour: str
    dash: Any
    marker: str


def marks(candidates: list[str]) -> dict[str, Mark]:
    """Give each candidate its mark, by the catalogue's order: the same in every figure of every cohort.

    The clinical reference is black. Names that the catalogue does not know follow after it.
    """
    order = [*MODULES, *sorted(set(candidates) - set(MODULES))]
    others = [name for name in order if name != REFERENCE]
    found = {REFERENCE: Mark(INK, _DASHES[0], "o")}
    for index, name in enumerate(others):
        dash = _DASHES[(index // len(_COLOURS) + index + 1) % len(_DASHES)]
        found[name] = Mark(_COLOURS[index % len(_COLOURS)], dash, _MARKERS[(index + 1) % len(_MARKERS)])
    return {name: found[name] for name in candidates}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with the project's settings; matplotlib's own are put back afterwards."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS):
        yield


def new_figure(height: float, *, width: float = WIDTH) -> "Figure":
    """Make an empty figure that no global list knows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", h_pad=0.06)
    return figure


def describe(figure: "Figure", text: str) -> "Figure":
    """Give a figure the text that stands for it where it cannot be seen."""
    figure.set_label(text)
    return figure


def unit_square(axes: "Axes") -> None:
    """Both axes from 0 to 1, equally long."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def save(figure: "Figure", path: Path) -> None:
    """Write ``path``.svg and ``path``.png, each whole or not at all.

    Both carry the figure's description. Neither carries a date, so that the same figure gives the same bytes.
    """
    text = str(figure.get_label())
    svg: Mapping[str, str | None] = {"Description": text, "Date": None, "Creator": None, "Format": None, "Type": None}
    png: Mapping[str, str | None] = {"Description": text, "Software": None}
    with drawing():
        if layout := figure.get_layout_engine():
            # The first layout places a legend outside the axes only roughly; from the second on it stays. A layout is
            # then fixed: saving would lay the figure out again, and draw it twice, for each of the formats.
            figure.set_dpi(_DOTS)
            for _ in range(2 if figure.legends else 1):
                layout.execute(figure)
            figure.set_layout_engine(None)
        # Of an SVG the dots are those of its bitmaps, where it has any.
        for suffix, metadata in ((".svg", svg), (".png", png)):
            write_atomic(
                path.with_name(path.name + suffix),
                lambda temporary, kind=suffix[1:], about=metadata: figure.savefig(  # type: ignore[misc]
                    temporary, format=kind, metadata=about, dpi=_DOTS
                ),
            )
