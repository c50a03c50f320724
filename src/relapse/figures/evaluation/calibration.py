"""Calibration: observed against predicted risk, a panel a candidate, with the histogram of risks beneath."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from relapse.evaluation.curves import BIN_WIDTH
from relapse.figures.style import RULE, WIDTH, describe, marks, new_figure, unit_square
from relapse.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4

#: Letters that fit above a panel.
_TITLE = 21


def calibration(
    frames: "dict[str, pd.DataFrame]",
    histograms: "dict[str, pd.DataFrame]",
    titles: Mapping[str, str],
    *,
    when: str,
) -> "Figure":
    """Panels of observed against predicted risk; on the diagonal the two agree.

    Parameters
    ----------
    frames, histograms
        As :func:`relapse.evaluation.curves.calibration_frame` and ``risk_histogram_frame`` give them, by candidate.
    titles
        Candidate name to the name that people read.
    when
        The horizon in words; empty where there is none.
    """
    columns = min(_COLUMNS, len(frames))
    rows = -(-len(frames) // columns)
    figure = new_figure(rows * (WIDTH / _COLUMNS * 1.42 + 0.2) + 0.15)
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[1, 0.28] * rows)
    tallest = max((int(frame["rows"].max()) for frame in histograms.values()), default=1)
    said = []
    for place, (name, mark) in enumerate(marks(list(frames)).items()):
        row, column = divmod(place, columns)
        axes, bars = grid[2 * row, column], grid[2 * row + 1, column]
        frame = frames[name]
        axes.plot([0, 1], [0, 1], color=RULE, linewidth=1, zorder=0)
        error = np.vstack([frame["observed"] - frame["lower"], frame["upper"] - frame["observed"]])
        axes.errorbar(
            frame["predicted"], frame["observed"], yerr=np.clip(error, 0, None), color=mark.colour, fmt=mark.marker,
            markersize=3.2, elinewidth=0.9,
        )  # fmt: skip
        unit_square(axes)
        axes.set_title("\n".join(textwrap.wrap(titles[name], _TITLE)))
        axes.tick_params(labelbottom=False, labelleft=column == 0)
        if column == 0:
            axes.set_ylabel("Observed risk")
        _bars(bars, histograms.get(name), colour=mark.colour, tallest=tallest, first=column == 0)
        last, lowest = frame.iloc[-1], frame.iloc[0]
        said.append(
            f"{titles[name]} lowest group predicted {number(lowest['predicted'], 2)} observed "
            f"{number(lowest['observed'], 2)}, highest predicted {number(last['predicted'], 2)} observed "
            f"{number(last['observed'], 2)}"
        )
    for place in range(len(frames), rows * columns):
        row, column = divmod(place, columns)
        grid[2 * row, column].axis("off")
        grid[2 * row + 1, column].axis("off")
    figure.supxlabel(f"Predicted risk{f' at {when}' if when else ''}", fontsize=8)
    return describe(figure, f"Calibration{f' at {when}' if when else ''}: {'; '.join(said)}.")


def _bars(axes: "Axes", frame: "pd.DataFrame | None", *, colour: str, tallest: int, first: bool) -> None:
    if frame is not None:
        axes.bar(frame["risk"], frame["rows"], width=BIN_WIDTH * 0.9, color=colour, linewidth=0)
    axes.set(xlim=(-0.02, 1.02), ylim=(0, tallest * 1.05))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks([0, tallest])
    axes.tick_params(labelleft=first)
    if first:
        axes.set_ylabel("Rows")
