"""Forest plots of paired differences and of subgroups."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from relapse.evaluation.forests import EVERYBODY
from relapse.figures.style import INK, MUTED, RULE, describe, marks, new_figure
from relapse.wording import SIGNIFICANCE, interval, number, p_value

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def pairs(frame: "pd.DataFrame", titles: Mapping[str, str], *, label: str) -> "Figure":
    """Every pair's difference with its interval; black where Holm's p is below 0.05, grey elsewhere.

    ``frame`` as :func:`relapse.evaluation.forests.pairs_frame` gives it; ``label`` names the metric.
    """
    figure = new_figure(0.8 + 0.2 * len(frame))
    axes = figure.subplots()
    axes.axvline(0, color=RULE, linewidth=1, zorder=0)
    said, names, figures = [], [], []
    for place, row in enumerate(frame.to_dict("records")):
        shown = row["p_holm"] < SIGNIFICANCE
        colour = INK if shown else MUTED
        axes.plot([row["lower"], row["upper"]], [place, place], color=colour, linewidth=1.4, solid_capstyle="butt")
        axes.plot(
            [row["difference"]], [place], "o", color=colour, markersize=4, markerfacecolor=colour if shown else "w"
        )
        names.append(f"{titles[row['first']]} \N{MINUS SIGN} {titles[row['second']]}")
        span = interval(row["lower"], row["upper"])
        figures.append(f"{number(row['difference'])} ({span}), Holm p {p_value(row['p_holm'])}")
        if shown:
            said.append(f"{names[-1]} {number(row['difference'])}")
    axes.set_yticks(range(len(frame)), names, fontsize=7)
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"Difference of {label}, 95% interval; filled where Holm's p < {SIGNIFICANCE:g}")
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(frame)), figures, fontsize=6.5)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    told = "; ".join(said) or "none"
    return describe(figure, f"Paired differences of {label}. Shown to differ after Holm's adjustment: {told}.")


def subgroups(
    frame: "pd.DataFrame", titles: Mapping[str, str], columns: Mapping[str, str], *, shown: list[str], label: str
) -> "Figure":
    """The ranking metric of the candidates ``shown`` in every subgroup; the dotted lines are theirs for everybody.

    Parameters
    ----------
    frame
        As :func:`relapse.evaluation.forests.subgroups_frame` gives it.
    titles, columns
        Names of candidates and of subgroup columns for people.
    """
    groups = frame.loc[frame["candidate"] == shown[0], ["column", "level", "patients", "with_event"]].to_dict("records")
    figure = new_figure(0.75 + (0.16 + 0.15 * len(shown)) * len(groups))
    axes = figure.subplots()
    said = []
    for offset, (name, mark) in zip(np.linspace(-0.18, 0.18, len(shown)), marks(shown).items(), strict=True):
        mine = frame[frame["candidate"] == name].reset_index(drop=True)
        whole = float(mine.loc[mine["level"] == EVERYBODY, "value"].iloc[0])
        axes.axvline(whole, color=mark.colour, linewidth=0.8, linestyle=":", zorder=0)
        places = mine.index.to_numpy() + offset
        axes.hlines(places, mine["lower"], mine["upper"], color=mark.colour, linewidth=1.4)
        axes.plot(
            mine["value"], places, mark.marker, color=mark.colour, markersize=5, markeredgecolor="white",
            markeredgewidth=0.6, linestyle="none", label=titles[name],
        )  # fmt: skip
        known = mine.dropna(subset=["value"])
        told = ", ".join(
            f"{level} {number(value)}" for level, value in zip(known["level"], known["value"], strict=True)
        )
        said.append(f"{titles[name]}: {told}")
    names = [
        f"{columns.get(str(row['column']), row['column'])}: {row['level']}" if row["column"] else "Everybody"
        for row in groups
    ]
    axes.set_yticks(
        range(len(groups)),
        [f"{name} ({row['with_event']}/{row['patients']})" for name, row in zip(names, groups, strict=True)],
    )
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"{label}, 95% interval (patients with the event/patients in brackets)")
    figure.legend(loc="outside lower left", ncols=len(shown))
    return describe(figure, f"{label} by subgroup. {'; '.join(said)}.")
