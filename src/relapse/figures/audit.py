"""The audit's figure: for each naive protocol, what a candidate would be reported to reach and what it reaches."""

from typing import TYPE_CHECKING, Any

from relapse.figures.style import INK, MUTED, RULE, describe, drawing, marks, new_figure
from relapse.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def optimism_figure(optimism: "pd.DataFrame", protocols: list[dict[str, Any]], *, metric: str, title: str) -> "Figure":
    """One panel a protocol; an arrow from the honest value (open) to the naive one (filled), one a candidate.

    Parameters
    ----------
    optimism
        Columns ``candidate``, ``title``, ``protocol``, ``naive``, ``honest``, as the audit gives them.
    protocols
        ``name`` and ``title`` of each protocol, in the order of the panels; those without rows are left out.
    metric
        Name of the metric on the axis.
    title
        Of the cohort; says where the data are simulated.
    """
    shown = [item for item in protocols if (optimism["protocol"] == item["name"]).any()]
    names = list(dict.fromkeys(optimism["candidate"]))
    lines = [int((optimism["protocol"] == item["name"]).sum()) for item in shown] or [1]
    with drawing():
        figure = new_figure(0.9 + sum(0.35 + 0.17 * count for count in lines))
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", color=INK)
        panels = figure.subplots(len(lines), 1, sharex=True, squeeze=False, height_ratios=lines)[:, 0]
        said = []
        for axes, item in zip(panels, shown, strict=False):
            rows = optimism[optimism["protocol"] == item["name"]]
            for place, row in enumerate(rows.itertuples(index=False)):
                mark = marks(names)[row.candidate]
                axes.plot([row.honest, row.naive], [place, place], color=mark.colour, linewidth=1.2)
                axes.plot([row.honest], [place], mark.marker, color=mark.colour, markerfacecolor="white", markersize=5)
                axes.plot([row.naive], [place], mark.marker, color=mark.colour, markersize=5)
                said.append(f"{item['title']}, {row.title}: {number(row.honest)} becomes {number(row.naive)}")
            axes.set_yticks(range(len(rows)), list(rows["title"]))
            axes.set_ylim(len(rows) - 0.4, -0.6)
            axes.set_title(item["title"])
            axes.axvline(0.5, color=RULE, linewidth=1, zorder=0)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        if not shown:
            panels[0].set_axis_off()
            panels[0].text(0, 0.5, "No naive protocol applies to this cohort.", color=MUTED)
        panels[-1].set_xlabel(f"{metric}, mean over outer folds: open honest, filled as a naive protocol reports it")
    return describe(figure, f"Optimism of naive protocols ({metric}). {'; '.join(said)}.")
