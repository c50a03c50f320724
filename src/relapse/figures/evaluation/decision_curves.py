"""Decision curves: the net benefit of acting on each candidate's risks, beside acting on all patients or on none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from relapse.figures.style import MUTED, RULE, describe, marks, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def decision_curves(frames: "dict[str, pd.DataFrame]", titles: Mapping[str, str], *, when: str) -> "Figure":
    """Net benefit by threshold, all candidates in one panel; thresholds end where even the largest risk is below."""
    at = f" at {when}" if when else ""
    figure = new_figure(3.2)
    axes = figure.subplots()
    longest = max(frames.values(), key=len)
    axes.axhline(0, color=RULE, linewidth=1, zorder=0)
    axes.plot(longest["threshold"], longest["treat_all"], color=MUTED, linewidth=1, label="everybody")
    for name, mark in marks(list(frames)).items():
        frame = frames[name]
        axes.plot(frame["threshold"], frame["net_benefit"], color=mark.colour, linestyle=mark.dash, label=titles[name])
    # NaN where nobody was followed up to the horizon: then there is no curve, and the axis needs some height.
    top = float(np.nanmax([0.01, *(frame["net_benefit"].max() for frame in frames.values())]))
    axes.set_ylim(-0.25 * top, 1.1 * top)
    axes.set_xlim(0, float(longest["threshold"].max()))
    axes.text(axes.get_xlim()[1], 0.01 * top, "nobody", color=MUTED, fontsize=7, ha="right", va="bottom")
    axes.set(xlabel=f"Risk{at} from which one would act", ylabel="Net benefit")
    figure.legend(loc="outside right upper", handlelength=3.2)
    text = f"Decision curves of {len(frames)} candidates{at}: net benefit against the risk from which one would act."
    return describe(figure, text)
