"""The forest plot of what a block adds: everybody, then subgroups, then sites."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from relapse.figures.style import INK, MUTED, RULE, describe, drawing, new_figure
from relapse.wording import interval, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def forest(frame: "pd.DataFrame", kinds: Mapping[str, str], *, question: str, label: str) -> "Figure":
    """Differences of a metric to the base with their intervals, one panel a kind of group.

    Parameters
    ----------
    frame
        Columns ``kind``, ``label``, ``patients``, ``with_event``, ``base``, ``difference``, ``lower``, ``upper``.
    kinds
        Kinds in their order, with the title of each panel; those without rows are left out.
    question
        What is asked, as the figure's title.
    label
        Names the metric.
    """
    panels = {title: part for kind, title in kinds.items() if len(part := frame[frame["kind"] == kind])}
    said = []
    with drawing():
        figure = new_figure(0.9 + sum(0.35 + 0.2 * len(part) for part in panels.values()))
        figure.suptitle(question, fontsize=9, x=0.01, ha="left", color=INK)
        all_axes = figure.subplots(
            len(panels), 1, sharex=True, squeeze=False, height_ratios=[len(part) + 0.6 for part in panels.values()]
        )[:, 0]
        for axes, (title, part) in zip(all_axes, panels.items(), strict=True):
            axes.axvline(0, color=RULE, linewidth=1, zorder=0)
            names = []
            for place, row in enumerate(part.to_dict("records")):
                names.append(f"{row['label']} ({row['with_event']}/{row['patients']})")
                if row["difference"] != row["difference"]:
                    axes.text(0, place, " too few to tell", va="center", fontsize=7, color=MUTED)
                    continue
                apart = row["lower"] > 0 or row["upper"] < 0
                axes.plot([row["lower"], row["upper"]], [place, place], color=INK if apart else MUTED, linewidth=1.4)
                axes.plot(
                    [row["difference"]], [place], "s", color=INK if apart else MUTED, markersize=4.5,
                    markerfacecolor=INK if apart else "white",
                )  # fmt: skip
                said.append(f"{row['label']}: {number(row['difference'])} ({interval(row['lower'], row['upper'])})")
            axes.set_yticks(range(len(part)), names)
            axes.set_ylim(len(part) - 0.4, -0.6)
            axes.set_title(title)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        all_axes[-1].set_xlabel(
            f"Difference of {label} to the model without the block, 95% interval\n"
            "filled where it leaves out 0; in brackets patients with the event/patients"
        )
    return describe(figure, f"{question} Differences of {label}. {'; '.join(said)}.")
