"""Figures of monitoring over calendar time: evidence, features, missing values, risks, and how the model did."""

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from relapse.figures.style import INK, MUTED, RULE, describe, drawing, new_figure
from relapse.monitoring.result import Looked, evidence
from relapse.monitoring.streams import Judged, Kind
from relapse.wording import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Told apart with any colour vision; what has no alarm is grey.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#882255", "#E69F00")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
_GREY, _BAND, _DIVERGING = "#9aa3af", "#d6e2ec", "PuOr_r"

#: Features shown at most, those with most evidence first.
_SHOWN, _LINES = 30, 6


def monitoring_figures(found: Looked) -> "dict[str, Figure]":
    """Every figure by name; what nothing is known of is left out."""
    with drawing():
        figures = {"evidence": _evidence(found)}
        if len(found.features):
            figures["features"] = _features(found)
            if found.features["missing"].max() > 0:
                figures["missing"] = _missing(found)
        if len(found.risks):
            figures["risks"] = _risks(found)
        if len(found.performance):
            figures["performance"] = _performance(found)
        return figures


def _evidence(found: Looked) -> "Figure":
    """One panel a kind: the capital of each stream, and what the one that is ahead needs for an alarm."""
    kinds = [kind for kind in Kind if any(item.stream.kind is kind for item in found.judged)]
    figure = new_figure(1.55 * max(len(kinds), 1) + 0.2)
    panels = figure.subplots(max(len(kinds), 1), 1, sharex=True, squeeze=False)[:, 0]
    said = []
    for axes, kind in zip(panels, kinds, strict=False):
        mine = sorted((item for item in found.judged if item.stream.kind is kind), key=_rank)
        needed = np.log10(len(Kind) * len(mine) / found.level)
        for item in reversed(mine):
            place = mine.index(item)
            shown = item.alarm is not None or place == 0
            style: dict[str, Any] = {"color": _GREY, "linewidth": 0.8, "zorder": 1}
            if shown and place < len(_COLOURS):
                style = _line(place) | {"label": item.stream.title}
            axes.step(item.stream.day, item.stream.logs / np.log(10), where="post", **style)
            if item.alarm is not None:
                axes.axvline(item.alarm.day, color=style["color"], linewidth=0.8, linestyle=(0, (1, 1.5)))
        axes.axhline(needed, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.axhline(0, color=RULE, linewidth=0.7, zorder=0)
        axes.set_title(kind.value.capitalize())
        axes.set_ylabel("evidence, 10^")
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
        ahead = mine[0]
        said.append(f"{kind.value}: {ahead.stream.title} ahead with 10^{evidence(ahead):.1f} of 10^{needed:.1f}")
    _dated(panels[-1])
    return describe(figure, f"Evidence of drift over calendar time. {'; '.join(said)}.")


def _line(place: int) -> dict[str, Any]:
    return {"color": _COLOURS[place], "linestyle": _DASHES[place % len(_DASHES)]}


def _rank(item: Judged) -> tuple[float, float]:
    return (item.adjusted, -evidence(item))


def _features(found: Looked) -> "Figure":
    names = _ranked(found)[:_SHOWN]
    table = found.features.pivot(index="feature", columns="last", values="position").loc[names]
    figure = new_figure(0.9 + 0.17 * len(names))
    axes = figure.subplots()
    image = axes.imshow(table, cmap=_DIVERGING, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(names)), [textwrap.shorten(found.subject.labels[name], 30) for name in names])
    every = max(1, table.shape[1] // 8)
    axes.set_xticks(range(0, table.shape[1], every), list(table.columns[::every]), rotation=30, ha="right")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=20, label="lower – higher than in training, SD")
    bar.outline.set_visible(False)
    last = table.iloc[:, -1].dropna()
    furthest = last.abs().sort_values(ascending=False).index[:3]
    told = "; ".join(f"{found.subject.labels[name]} {number(float(last[name]), 2)}" for name in furthest)
    return describe(figure, f"Mean position of each feature among the training's patients. At the end: {told}.")


def _ranked(found: Looked) -> list[str]:
    by_name = {item.stream.column: item for item in found.judged if item.stream.kind is Kind.VALUES}
    return sorted(found.training.features, key=lambda name: _rank(by_name[name]))


def _missing(found: Looked) -> "Figure":
    most = found.features.groupby("feature")["missing"].max().sort_values(ascending=False, kind="stable")
    names = [str(name) for name in most.index[:_LINES] if most[name] > 0]
    figure = new_figure(2.1)
    axes = figure.subplots()
    told = []
    for place, name in enumerate(names):
        part = found.features[found.features["feature"] == name]
        days, item = _middle(part), found.training.features[name]
        label = found.subject.labels[name]
        axes.plot(days, part["missing"], marker="o", markersize=2.5, label=label, **_line(place))
        share = item.missing / found.training.patients
        axes.axhline(share, color=_COLOURS[place], linewidth=0.7, linestyle=(0, (1, 2)))
        told.append(f"{label} {share:.0%} in training, {part['missing'].iloc[-1]:.0%} at the end")
    _percent(axes, "y")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("missing")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    _dated(axes)
    return describe(figure, f"Missing values over time; dotted, in the training. {'; '.join(told)}.")


def _risks(found: Looked) -> "Figure":
    part = found.risks
    figure = new_figure(2.9)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    days = _middle(part)
    upper.fill_between(days, part["lower"], part["upper"], color=_BAND, linewidth=0, label="middle half")
    upper.plot(days, part["median"], color="#0B4F7D", marker="o", markersize=2.5, label="median")
    middle = _median(found)
    if middle is not None:
        upper.axhline(middle, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)), label="median in training, about")
    upper.set_ylabel("risk")
    upper.set_ylim(bottom=0)
    upper.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    upper.set_title(f"Risk of {found.training.risk_label}")
    lower.plot(days, part["unlike"], color=_COLOURS[0], marker="o", markersize=2.5)
    lower.axhline(found.training.unlike / found.training.patients, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
    lower.set_title("Answers that say the patient is unlike the training")
    lower.set_ylim(bottom=0)
    _percent(lower, "y")
    _dated(lower)
    return describe(
        figure,
        f"Risks over time: median {number(float(part['median'].iloc[0]), 2)} first, "
        f"{number(float(part['median'].iloc[-1]), 2)} last; unlike the training {part['unlike'].iloc[-1]:.0%} last.",
    )


def _median(found: Looked) -> float | None:
    """The limit of the classes nearest to half of the training's patients."""
    limits, counts = found.training.risk.limits or (), np.array(found.training.risk.counts, dtype=np.float64)
    if not limits:
        return None
    return limits[int(np.abs(np.cumsum(counts)[:-1] / counts.sum() - 0.5).argmin())]


def _performance(found: Looked) -> "Figure":
    outcomes, part = found.training.outcomes, found.performance
    assert outcomes is not None
    panels = (
        ("auc", "Discrimination (AUC)", outcomes.auc, "in the training"),
        ("ratio", "Observed over expected events", outcomes.ratio, "in the training"),
        ("gain", f"Net benefit over treating all or none, threshold {outcomes.threshold:.2f}", 0.0, "of no use"),
    )
    figure = new_figure(4.6)
    drawn = figure.subplots(3, 1, sharex=True)
    days, told = _middle(part), []
    for axes, (key, title, reference, meaning) in zip(drawn, panels, strict=True):
        low, high = part[f"{key}_lower"], part[f"{key}_upper"]
        axes.vlines(days, low, high, color="#0B4F7D", linewidth=1.2)
        axes.plot(days, part[key], "o", color="#0B4F7D", markersize=4)
        axes.axhline(reference, color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)), label=meaning)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set_title(title)
        told.append(f"{title} {number(float(part[key].iloc[-1]), 2)} at the end")
    _dated(drawn[-1])
    return describe(figure, f"How the model did, by the day of the answer, with 95% intervals: {'; '.join(told)}.")


def _middle(part: "pd.DataFrame") -> np.ndarray[Any, Any]:
    first, last = (part[key].to_numpy().astype("datetime64[D]") for key in ("first", "last"))
    return first + (last - first) // 2


def _percent(axes: "Axes", which: str) -> None:
    from matplotlib.ticker import PercentFormatter

    getattr(axes, f"{which}axis").set_major_formatter(PercentFormatter(1, decimals=0))


def _dated(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
