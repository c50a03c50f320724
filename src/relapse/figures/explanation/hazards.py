"""How the coefficients of a Cox model change with time: scaled Schoenfeld residuals with a smooth curve."""

import textwrap
from typing import TYPE_CHECKING

from relapse.figures.style import INK, MUTED, RULE, describe, drawing, new_figure
from relapse.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_COLUMNS, _COLOUR, _TITLE = 2, "#0072B2", 44


def hazards_over_time(frame: "pd.DataFrame", fitted: dict[str, float], *, unit: str) -> "Figure":
    """Draw a panel a term.

    Parameters
    ----------
    frame
        As :func:`relapse.explanation.hazards.proportional_hazards` gives it.
    fitted
        The one coefficient that the model gives each term for all times, by panel.
    unit
        Of the follow-up.
    """
    names = list(dict.fromkeys(frame["term"]))
    rows = -(-len(names) // _COLUMNS)
    with drawing():
        figure = new_figure(2.0 * rows + 0.2)
        panels = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True).ravel()
        said = []
        for axes, name in zip(panels, names, strict=False):
            part = frame[frame["term"] == name]
            curve, means = part[part["kind"] == "curve"], part[part["kind"] == "mean"]
            axes.axhline(0, color=RULE, linewidth=1, zorder=0)
            axes.axhline(fitted[name], color=INK, linewidth=1, linestyle=(0, (5, 1.5)))
            axes.plot(means["time"], means["coefficient"], "o", color=MUTED, markersize=2.8)
            if len(curve):
                axes.fill_between(curve["time"], curve["lower"], curve["upper"], color=_COLOUR, alpha=0.16, linewidth=0)
                axes.plot(curve["time"], curve["coefficient"], color=_COLOUR)
                ends = curve["coefficient"].iloc[[0, -1]]
                said.append(f"{name} from {number(float(ends.iloc[0]))} to {number(float(ends.iloc[1]))}")
            axes.set_title("\n".join(textwrap.wrap(name, _TITLE)), fontsize=7.5)
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(f"Time ({unit}s)")
        for axes in panels[::_COLUMNS][:rows]:
            axes.set_ylabel("Log hazard ratio")
        for axes in panels[len(names) :]:
            axes.set_axis_off()
    told = "; ".join(said) or "too few events for a curve"
    return describe(figure, f"Coefficients of the Cox model over time, first to last: {told}.")
