"""Figures of the table itself: distributions, values by outcome, rank correlations, missing values."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from relapse.cohorts.schema import Cohort
from relapse.description.frames import DRAWN, OUTCOME, PAIRED
from relapse.description.outcome import outcome_groups
from relapse.figures.style import INK, MUTED, RULE, describe, drawing, new_figure
from relapse.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Panels a figure, so that it fits a printed page; more features go on in another figure.
_COLUMNS, _ROWS = 3, 7

_BAR = "#5b7f99"

#: Without and with the event: told apart by place and label, and by lightness in print.
_GROUPS = ("#9fbfd3", "#5b2a5e")

#: From falling to rising together, white in the middle; told apart with any colour vision.
_DIVERGING = "PuOr_r"

#: Letters of a panel's title, of a level.
_TITLE, _LEVEL = 23, 15


def description_figures(frames: "Mapping[str, pd.DataFrame]", cohort: Cohort) -> "dict[str, Figure]":
    """Every descriptive figure by name; ``frames`` as :mod:`relapse.description.frames` gives them, by function.

    Each kind of figure shows the first :data:`~relapse.description.frames.DRAWN` features, the frames have all.
    """
    with drawing():
        return {
            **_paged("distributions", list(cohort.features), frames["distributions"], cohort, _distribution, _TOLD_ALL),
            **_paged("by_outcome", cohort.numeric(list(cohort.features)), frames["densities"], cohort, _violin, ""),
            **_paged("levels", cohort.categorical(list(cohort.features)), frames["levels"], cohort, _shares, ""),
            "rank_correlations": rank_correlations(frames["rank_correlations"], cohort),
            "missing": missing(frames["missing_values"], frames["missing_together"], cohort),
        }


_TOLD_ALL = "Distributions of the features; the last bars hold the hundredth beyond them."


def _paged(
    name: str, features: list[str], frame: "pd.DataFrame", cohort: Cohort, draw: Any, said: str
) -> "dict[str, Figure]":
    """One figure for every :data:`_COLUMNS` × :data:`_ROWS` features: ``name``, ``name_2`` and so on."""
    pages = {}
    for place, start in enumerate(range(0, len(features[:DRAWN]), _COLUMNS * _ROWS)):
        shown = features[start : start + _COLUMNS * _ROWS]
        pages[name if not place else f"{name}_{place + 1}"] = _grid(shown, frame, cohort, draw, said)
    return pages


def _grid(features: list[str], frame: "pd.DataFrame", cohort: Cohort, draw: Any, said: str) -> "Figure":
    rows = -(-len(features) // _COLUMNS)
    figure = new_figure(1.3 * rows + 0.2)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    told = []
    for axes, name in zip(panels, features, strict=False):
        axes.set_title("\n".join(textwrap.wrap(cohort.label(name), _TITLE)), fontsize=7.5)
        axes.tick_params(labelsize=6.5)
        told.append(draw(axes, frame[frame["feature"] == name], name, cohort))
    for axes in panels[len(features) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return describe(figure, f"{said} {'; '.join(told)}.".strip())


def _distribution(axes: "Axes", part: "pd.DataFrame", name: str, cohort: Cohort) -> str:
    missing = float(part["missing"].iloc[0]) if len(part) else 0.0
    if part["lower"].notna().all():
        axes.bar(
            part["lower"], part["rows"], width=part["upper"] - part["lower"], align="edge", color=_BAR,
            edgecolor="white", linewidth=0.4,
        )  # fmt: skip
        most = part.iloc[int(part["rows"].to_numpy().argmax())]
        said = f"{cohort.label(name)} most often {number(most['lower'], 1)} to {number(most['upper'], 1)}"
    else:
        axes.barh(range(len(part)), part["rows"], color=_BAR, height=0.72)
        axes.set_yticks(range(len(part)), [_wrapped(level) for level in part["level"]])
        axes.invert_yaxis()
        said = f"{cohort.label(name)} {', '.join(f'{r.level} {r.rows}' for r in part.itertuples(index=False))}"
    if missing:
        axes.text(
            0.98, 0.96, f"{missing:.0%} missing", transform=axes.transAxes, ha="right", va="top", fontsize=6.5,
            color=MUTED,
        )  # fmt: skip
        said += f", {missing:.0%} missing"
    return said


def _violin(axes: "Axes", part: "pd.DataFrame", name: str, cohort: Cohort) -> str:
    said = []
    for place, (group, colour) in enumerate(zip(outcome_groups(cohort), _GROUPS, strict=True)):
        mine = part[part["group"] == group]
        if mine.empty:
            continue
        reach = 0.42 * mine["density"] / mine["density"].max()
        axes.fill_betweenx(mine["value"], place - reach, place + reach, color=colour, linewidth=0)
        low, middle, high = (float(mine[key].iloc[0]) for key in ("lower", "median", "upper"))
        axes.plot([place, place], [low, high], color="white", linewidth=3.2, solid_capstyle="butt")
        axes.plot([place, place], [low, high], color=INK, linewidth=1.6, solid_capstyle="butt")
        axes.plot([place], [middle], "o", color="white", markeredgecolor=INK, markersize=3.6)
        said.append(f"median {number(middle, 2)} {group}")
    axes.set_xticks([0, 1], [_wrapped(group) for group in outcome_groups(cohort)])
    axes.set_xlim(-0.55, 1.55)
    return f"{cohort.label(name)}: {', '.join(said) or 'does not vary'}"


def _shares(axes: "Axes", part: "pd.DataFrame", name: str, cohort: Cohort) -> str:
    names = list(dict.fromkeys(part["level"]))
    for place, (group, colour) in enumerate(zip(outcome_groups(cohort), _GROUPS, strict=True)):
        mine = part[part["group"] == group].set_index("level")["share"].reindex(names)
        axes.barh(np.arange(len(names)) + 0.2 * (2 * place - 1), mine, height=0.36, color=colour, label=group)
    axes.set_yticks(range(len(names)), [_wrapped(level) for level in names])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    with_event = part[part["group"] == outcome_groups(cohort)[1]]
    told = ", ".join(f"{row.level} {row.share:.0%}" for row in with_event.itertuples(index=False))
    return f"{cohort.label(name)}, share of those {outcome_groups(cohort)[1]}: {told}"


def rank_correlations(frame: "pd.DataFrame", cohort: Cohort) -> "Figure":
    """Heat map of Kendall's tau; the outcome is the first row, figures are written where they can be read."""
    names = [OUTCOME, *frame.loc[frame["second"] == OUTCOME, "first"][:PAIRED]]
    matrix = np.full((len(names), len(names)), np.nan)
    for row in frame[frame["first"].isin(names)].itertuples(index=False):
        one, two = names.index(row.first), names.index(row.second)
        matrix[one, two] = matrix[two, one] = row.tau
    np.fill_diagonal(matrix, np.nan)
    many = len(names) > 12
    figure = new_figure(min(8.6, 1.5 + 0.42 * len(names)) if not many else 6.9)
    axes = figure.subplots()
    image = axes.imshow(matrix, cmap=_DIVERGING, vmin=-1, vmax=1)
    labels = ["Outcome" if name == OUTCOME else cohort.features[name].label or name for name in names]
    size = 6 if many else 7.5
    turned: dict[str, Any] = {"rotation": 90} if many else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), labels, fontsize=size, **turned)
    axes.set_yticks(range(len(names)), labels, fontsize=size)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if not many:
        for (one, two), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.6 else INK
                axes.text(two, one, number(value, 2), ha="center", va="center", fontsize=6.5, color=colour)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)
    strongest = frame[frame["second"] == OUTCOME].dropna().assign(size=lambda part: part["tau"].abs())
    told = "; ".join(
        f"{cohort.label(str(name))} {number(float(tau), 2)}"
        for name, tau in strongest.sort_values("size", ascending=False).head(5)[["first", "tau"]].to_numpy()
    )
    return describe(figure, f"Kendall's tau of features and outcome. Strongest with the outcome: {told}.")


def missing(frame: "pd.DataFrame", together: "pd.DataFrame", cohort: Cohort) -> "Figure":
    """Bars of the features that lack values, and which of them lack values in the same rows."""
    lacking = frame[frame["rows"] > 0].sort_values("rows", ascending=False, kind="stable").head(20)
    patterns = together[together["features"] != "none"].head(8)
    if lacking.empty:
        figure = new_figure(0.55)
        axes = figure.subplots()
        axes.set_axis_off()
        axes.text(0, 0.5, "No feature lacks a value.", color=MUTED, va="center")
        return describe(figure, "Missing values: none.")
    figure = new_figure(0.7 + 0.2 * max(len(lacking), len(patterns)))
    bars, rows = figure.subplots(1, 2, width_ratios=[1, 1])
    _bars(bars, [cohort.label(name) for name in lacking["feature"]], list(lacking["rows"]), "Rows without a value")
    joined = [
        " + ".join(cohort.features[name].label or name for name in text.split(" + ")) for text in patterns["features"]
    ]
    _bars(rows, joined, list(patterns["rows"]), "Missing in the same rows")
    told = "; ".join(
        f"{cohort.label(str(name))} {rows} ({share:.1%})"
        for name, rows, share in zip(lacking["feature"], lacking["rows"], lacking["share"], strict=True)
    )
    return describe(figure, f"Missing values: {told}.")


def _bars(axes: "Axes", names: list[str], rows: list[int], title: str) -> None:
    axes.barh(range(len(names)), rows, color=_BAR, height=0.7)
    axes.set_yticks(range(len(names)), ["\n".join(textwrap.wrap(name, 30)) for name in names])
    axes.invert_yaxis()
    axes.set_title(title)
    axes.margins(x=0.15)
    for place, count in enumerate(rows):
        axes.text(count, place, f" {count}", va="center", fontsize=7)
    axes.spines["left"].set_color(RULE)
    axes.locator_params(axis="x", integer=True)


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _LEVEL)[:3])
