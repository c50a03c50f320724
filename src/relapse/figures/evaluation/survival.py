"""Kaplan-Meier curves by predicted risk, with the numbers at risk beneath."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.evaluation.groups import RISK_GROUPS
from relapse.evaluation.metrics import Horizon
from relapse.figures.style import INK, MUTED, RULE, describe, marks, new_figure
from relapse.wording import horizon_unit, horizon_words, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Not candidates' colours: light to dark with rising risk, and a dash each.
_LOOKS: dict[str, tuple[str, Any]] = dict(
    zip(RISK_GROUPS, (("#7aa6c2", "-"), ("#a0568a", (0, (5, 1.5))), ("#3d1f47", (0, (1.5, 1.2)))), strict=True)
)


def auc_over_time(
    frames: "Mapping[str, pd.DataFrame]", horizon: Horizon, *, titles: Mapping[str, str], banded: list[str]
) -> "Figure":
    """Cumulative/dynamic AUC by time; bands for the candidates ``banded`` only, so that they can be told apart.

    ``frames`` as :func:`relapse.evaluation.bands.auc_over_time_frame` gives them, by candidate.
    """
    amount, unit = horizon_unit(horizon.label) or (horizon.time, "")
    scale = horizon.time / amount
    figure = new_figure(3.1 + 0.1 * len(frames))
    axes = figure.subplots()
    axes.axhline(0.5, color=RULE, linewidth=1, zorder=0)
    said = []
    for name, mark in marks(list(frames)).items():
        frame = frames[name]
        time = frame["time"] / scale
        if name in banded:
            axes.fill_between(time, frame["lower"], frame["upper"], color=mark.colour, alpha=0.14, linewidth=0)
        axes.plot(time, frame["auc"], color=mark.colour, linestyle=mark.dash, label=titles[name])
        said.append(f"{titles[name]} {number(float(frame['auc'].min()), 2)} to {number(float(frame['auc'].max()), 2)}")
    axes.set(xlabel=f"Time ({unit}s)" if unit else "Time", ylabel="AUC of those with the event by then")
    figure.legend(loc="outside lower left", ncols=3, handlelength=3.2)
    return describe(figure, f"AUC over time, lowest to highest: {'; '.join(said)}.")


def risk_groups(frame: "pd.DataFrame", horizon: Horizon, *, title: str) -> "Figure":
    """Curves of the thirds of predicted risk with pointwise 95% bands.

    Parameters
    ----------
    frame
        As :func:`relapse.evaluation.curves.risk_group_frame` gives it.
    horizon
        The one that the groups were formed at.
    title
        The candidate, as people call it, with its role.
    """
    amount, unit = horizon_unit(horizon.label) or (horizon.time, "")
    scale = horizon.time / amount
    groups = [name for name in RISK_GROUPS if name in set(frame["group"])]
    figure = new_figure(4.3)
    axes, table = figure.subplots(2, 1, sharex=True, height_ratios=[1, 0.06 + 0.065 * len(groups)])
    ticks = horizon.time * np.arange(7) / 5
    said, ends = [], list[tuple[float, float]]()
    for place, name in enumerate(groups):
        part = frame[frame["group"] == name]
        colour, dash = _LOOKS[name]
        time = part["time"] / scale
        axes.step(time, part["survival"], where="post", color=colour, linestyle=dash)
        axes.fill_between(time, part["lower"], part["upper"], step="post", color=colour, alpha=0.16, linewidth=0)
        ends.append((float(time.iloc[-1]), float(part["survival"].iloc[-1])))
        at_horizon = part[part["time"] <= horizon.time]["survival"].iloc[-1]
        said.append(f"{name} {number(float(at_horizon), 2)}")
        for tick in ticks:
            here = part[np.isclose(part["time"], tick)]
            at_risk = str(int(here["at_risk"].iloc[0])) if len(here) else "0"
            table.text(tick / scale, place, at_risk, ha="center", va="center", fontsize=7.5)
    heights = _spread(np.array([survival for _, survival in ends]), least=0.06)
    for name, (end, _), height in zip(groups, ends, heights, strict=True):
        axes.annotate(
            f"{name} of risk", (end, height), xytext=(5, 0), textcoords="offset points", va="center", color=INK,
            fontsize=7.5,
        )  # fmt: skip
    axes.axvline(amount, color=RULE, linewidth=1, zorder=0)
    axes.set(ylim=(0, 1.02), xlim=(0, ticks[-1] / scale), ylabel="Free of the event")
    axes.set_title(f"Thirds of the risk at {horizon_words(horizon.label)} predicted by {title}")
    axes.tick_params(labelbottom=True)
    table.set_yticks(range(len(groups)), [name.capitalize() for name in groups])
    table.set_ylim(len(groups) - 0.5, -0.5)
    table.set_xticks(ticks / scale)
    table.tick_params(length=0, labelbottom=False)
    # Clear of the first number, which stands at the axis itself.
    table.tick_params(axis="y", pad=14)
    table.set_title("Number at risk", fontweight="normal", fontsize=7.5, color=MUTED)
    for spine in table.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(f"{unit.capitalize()}s from baseline" if unit else "Time from baseline")
    when = horizon_words(horizon.label)
    text = f"Kaplan-Meier curves by third of the risk at {when} predicted by {title}. Free of the event by then: "
    return describe(figure, f"{text}{'; '.join(said)}.")


def _spread(heights: NDArray[np.float64], *, least: float) -> NDArray[np.float64]:
    """Heights of labels, kept in their order, moved to lie ``least`` apart and none above 1."""
    order = np.argsort(heights, kind="stable")
    steps = least * np.arange(len(heights))
    moved = np.empty_like(heights)
    moved[order] = np.maximum.accumulate(heights[order] - steps) + steps
    return moved - max(0.0, moved.max() - 1)
