"""Figures of explanations, each a frame and its drawing: beeswarm, importance of features, three typical patients.

The beeswarm is shap's. Not so the other two: ``shap.plots.bar`` has neither folds nor intervals nor a second measure;
``shap.plots.waterfall`` draws one patient in a figure of its own, in its own colours and sizes, and takes no axes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.schema import Cohort
from relapse.explanation.out_of_fold import Explained
from relapse.figures.style import INK, MUTED, RULE, describe, drawing, new_figure
from relapse.wording import number

if TYPE_CHECKING:
    import shap
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Features that a figure shows at most, the most important ones; its frame holds all.
SHOWN = 12

#: Features of a typical patient that have a bar of their own; all others share one.
BARS = 6

#: From low over middling to high, and what lowers and raises a risk: blue to orange, told apart with any colour vision.
_LOW, _MIDDLE, _HIGH = "#0072B2", "#C9CED6", "#D55E00"

_SIZES = ("low", "middle", "high")


def beeswarm_frame(found: "shap.Explanation", cohort: Cohort) -> pd.DataFrame:
    """One row a patient's row and part, the most important part first, without what identifies a patient.

    Columns ``feature``, ``label``, ``shap``, and ``level``: the value's rank among all rows, 0 lowest to 1 highest;
    empty where a value is missing or levels have no order, and for a block.
    """
    parts = []
    for place in np.argsort(-np.abs(found.values).mean(axis=0), kind="stable"):
        name, shap = cohort.explained[place], found.values[:, place]
        block = name in cohort.blocks
        label = cohort.block_title(name) if block else cohort.label(name)
        rows = pd.DataFrame({"feature": name, "label": label, "shap": np.round(shap, 6)})
        level = np.nan if block else np.round(_level(found.data[:, place], cohort, name), 4)
        parts.append(rows.assign(level=level).sort_values(["shap", "level"]))
    return pd.concat(parts, ignore_index=True)


def importance_frame(explained: Explained, cohort: Cohort) -> pd.DataFrame:
    """One row a part, the most important first, then one a group of correlated features.

    Columns ``features``, ``label``, ``together`` (1 for a group), ``shap`` with ``shap_lower`` and ``shap_upper``
    (smallest and largest fold), ``loss`` with ``loss_lower`` and ``loss_upper`` (95% interval), and the ranks that a
    part takes among the folds.
    """
    order = {name: place for place, name in enumerate(_order(explained, cohort))}
    singles, groups = explained.importance[: len(order)], explained.importance[len(order) :]
    rows = []
    for item in (*sorted(singles, key=lambda item: order[item.features[0]]), *groups):
        alone = len(item.features) == 1
        place = cohort.explained.index(item.features[0])
        rows.append(
            {
                "features": " + ".join(item.features),
                "label": _together([cohort.part_title(name) for name in item.features]),
                "together": int(not alone),
                "shap": item.shap,
                "shap_lower": min(item.shap_by_fold),
                "shap_upper": max(item.shap_by_fold),
                "loss": item.loss.value,
                "loss_lower": item.loss.lower,
                "loss_upper": item.loss.upper,
                "shap_best_rank": explained.shap_stability.best[place] if alone else None,
                "shap_worst_rank": explained.shap_stability.worst[place] if alone else None,
                "loss_best_rank": explained.loss_stability.best[place] if alone else None,
                "loss_worst_rank": explained.loss_stability.worst[place] if alone else None,
            }
        )
    return pd.DataFrame(rows)


def waterfall_frame(found: "shap.Explanation", cohort: Cohort) -> pd.DataFrame:
    """Three typical patients, artificial ones of low, middle and high risk: what each feature adds, largest first.

    Columns ``patient``, ``base``, ``output``, ``feature``, ``label``, ``value`` (rounded text) and ``shap``.

    Parameters
    ----------
    found
        Of all typical patients, lowest output first.
    """
    last = len(found.values) - 1
    parts = []
    for size, place in zip(_SIZES, (0, last // 2, last), strict=True):
        base, values = found.base_values[place], found.values[place]
        for at in np.argsort(-np.abs(values), kind="stable"):
            name = cohort.explained[at]
            parts.append(
                {
                    "patient": size,
                    "base": base,
                    "output": base + values.sum(),
                    "feature": name,
                    "label": cohort.part_title(name),
                    "value": _value(found.display_data[place, at], cohort, name),
                    "shap": values[at],
                }
            )
    return pd.DataFrame(parts)


def beeswarm(frame: pd.DataFrame, *, scale: str, title: str) -> "Figure":
    """Every row's Shapley values, coloured by the feature's value; drawn by ``shap.plots.beeswarm``."""
    import shap
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    features = [rows for _, rows in frame.groupby("feature", sort=False) if (rows["shap"] != 0).any()][:SHOWN]
    # Grey too where all values but a few are the same and others missing, of which shap knows no range.
    colours = LinearSegmentedColormap.from_list("low to high", [_LOW, _MIDDLE, _HIGH]).with_extremes(bad=MUTED)
    with drawing(), _same_chance():
        figure = new_figure(1.1 + 0.36 * max(len(features), 2))
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", color=INK)
        axes = figure.subplots()
        if features:
            look = {"color": colours, "axis_color": INK, "color_bar": False, "s": 6, "max_display": None}
            shap.plots.beeswarm(_swarms(features), ax=axes, plot_size=None, show=False, **look)
            bar = figure.colorbar(
                ScalarMappable(Normalize(0, 1), colours), ax=axes, ticks=[0, 1], fraction=0.025, pad=0.01
            )
            bar.ax.set_yticklabels(["low", "high"])
            bar.set_label("value", fontsize=7)
            bar.outline.set_visible(False)
        for points in axes.collections:
            # Thousands of points as shapes would make the SVG a megabyte.
            points.set_rasterized(True)
        axes.set_ylim(-0.6, max(len(features), 1) - 0.4)
        axes.tick_params(labelsize=7.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(
            f"Shapley value, {scale}: to the right raises the risk\ncolour: the feature's value, grey where it is "
            "missing or has no order",
            fontsize=8,
        )
    labels = [rows["label"].iloc[0] for rows in features]
    return describe(figure, f"{title}. Shapley values ({scale}) of held-out rows, most important first: {labels}.")


def importance(frame: pd.DataFrame, *, scale: str, metric: str, title: str) -> "Figure":
    """Mean |Shapley value| with its folds beside the loss of the ranking metric when a feature is shuffled."""
    singles = frame[(frame["together"] == 0) & ((frame["shap"] != 0) | (frame["loss"] != 0))].head(SHOWN)
    groups = frame[(frame["together"] == 1) & ((frame["shap"] != 0) | (frame["loss"] != 0))]
    rows = pd.concat([singles, groups], ignore_index=True)
    with drawing():
        figure = new_figure(1.15 + 0.26 * max(len(rows), 2))
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", color=INK)
        left, right = figure.subplots(1, 2, sharey=True)
        said = []
        for place, row in enumerate(rows.itertuples(index=False)):
            colour = MUTED if row.together else _LOW
            left.barh(place, row.shap, height=0.62, color=colour, alpha=0.85)
            left.plot([row.shap_lower, row.shap_upper], [place, place], color=INK, linewidth=1.1)
            right.plot([row.loss_lower, row.loss_upper], [place, place], color=colour, linewidth=1.6)
            right.plot([row.loss], [place], "D" if row.together else "o", color=colour, markersize=4.5)
            said.append(f"{row.label} {row.shap:.3f}, {row.loss:.3f}")
        for axes in (left, right):
            _rows(axes, list(rows["label"]))
            if len(groups) and len(singles):
                axes.axhline(len(singles) - 0.5, color=RULE, linewidth=0.8)
        right.axvline(0, color=RULE, linewidth=1, zorder=0)
        left.set(title="Mean |Shapley value|", xlabel=f"{fill(scale, 30)}\n(line: smallest, largest fold)")
        right.set(title="Loss when shuffled", xlabel=f"loss of {metric}\n(line: 95% interval)")
        right.tick_params(axis="y", labelleft=False)
    return describe(figure, f"{title}. Mean |Shapley value| ({scale}) and loss of {metric}: {'; '.join(said)}.")


def waterfall(frame: pd.DataFrame, *, scale: str, title: str) -> "Figure":
    """From the average to the output of three typical patients, one feature after another."""
    with drawing():
        panels = [_steps(frame[frame["patient"] == size]) for size in _SIZES]
        figure = new_figure(0.7 + sum(0.42 + 0.2 * len(steps) for steps in panels))
        figure.suptitle(title, fontsize=9, x=0.01, ha="left", color=INK)
        rows = figure.subplots(3, 1, sharex=True, height_ratios=[len(steps) + 1.5 for steps in panels])
        ends = [edge for steps in panels for edge in (*(s[1] for s in steps), *(s[1] + s[2] for s in steps))]
        # A model that says the same of everybody has no bars.
        ends += frame["base"].tolist()
        reach = (max(ends) - min(ends)) or 1.0
        said = []
        for axes, size, steps in zip(rows, _SIZES, panels, strict=True):
            first = frame[frame["patient"] == size].iloc[0]
            for place, (_, start, change) in enumerate(steps):
                axes.barh(place, change, left=start, height=0.66, color=_HIGH if change > 0 else _LOW)
                beyond = max(start, start + change) + 0.01 * reach
                sign = "+" if change > 0 else ""
                text = axes.text(beyond, place, f"{sign}{number(change, 2)}", va="center", fontsize=7)
                text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
            axes.axvline(first["base"], color=RULE, linewidth=1, zorder=0)
            axes.axvline(first["output"], color=MUTED, linewidth=1, linestyle=(0, (3, 2)), zorder=0)
            _rows(axes, [label for label, _, _ in steps])
            outcome = f"average {number(first['base'], 2)}, this patient {number(first['output'], 2)}"
            axes.set_title(f"Typical patient of {size} risk: {outcome}")
            said.append(f"{size} risk, {outcome}: {'; '.join(f'{label} {number(c, 2)}' for label, _, c in steps)}")
        rows[-1].set_xlabel(f"{scale}\norange raises it, blue lowers it; solid: average, dashed: this patient")
        rows[-1].set_xlim(min(ends) - 0.04 * reach, max(ends) + 0.12 * reach)
    return describe(figure, f"{title}. {' '.join(said)}.")


def _order(explained: Explained, cohort: Cohort) -> list[str]:
    """The parts, largest mean |Shapley value| first."""
    singles = explained.importance[: len(cohort.explained)]
    return [item.features[0] for item in sorted(singles, key=lambda item: -item.shap)]


def _level(values: Any, cohort: Cohort, name: str) -> Any:
    feature = cohort.features[name]
    if isinstance(feature, Categorical):
        if feature.type == "nominal" and len(feature.names) > 2:
            return np.nan
        return values.astype(float) / (len(feature.names) - 1)
    ranks = pd.Series(values.astype(float)).rank().to_numpy(dtype=float)
    span = np.nanmax(ranks) - np.nanmin(ranks) if np.isfinite(ranks).any() else 0.0
    return (ranks - np.nanmin(ranks)) / span if span else np.where(np.isnan(ranks), np.nan, 0.5)


def _together(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{labels[0]} + {len(labels) - 1} correlated"


def _value(value: Any, cohort: Cohort, name: str) -> str:
    """A value for people: a text as it is, a whole number for a count, else two significant digits."""
    if isinstance(value, str):
        return value
    feature = cohort.features[name]
    whole = feature.type == "count" or value == 0
    digits = 0 if whole else max(0, 1 - int(np.floor(np.log10(abs(value)))))
    rounded = value if whole else float(f"{value:.1e}")
    unit = isinstance(feature, Numeric) and feature.unit
    return number(rounded, digits) + (f" {unit}" if unit else "")


def _steps(rows: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Label, start and change of each bar: the largest changes, then all others as one."""
    used = rows[rows["shap"] != 0]
    texts = used["label"] + " = " + used["value"]
    changes = list(zip(texts[:BARS], map(float, used["shap"][:BARS]), strict=True))
    if len(used) > BARS:
        changes.append((f"{len(used) - BARS} other features", float(used["shap"].iloc[BARS:].sum())))
    at, steps = float(rows["base"].iloc[0]), []
    for label, change in changes:
        steps.append((label, at, change))
        at += change
    return steps


def _swarms(features: list[pd.DataFrame]) -> "shap.Explanation":
    """The features' rows of a beeswarm's frame as shap draws them: each a column, in any order of the patients."""
    import shap

    # To shap a text is what has no order; of nothing but gaps it would warn.
    levels = [
        rows["level"] if rows["level"].notna().any() else rows["level"].astype(object).fillna("") for rows in features
    ]
    return shap.Explanation(
        np.column_stack([rows["shap"] for rows in features]),
        data=np.column_stack([level.to_numpy(dtype=object) for level in levels]),
        feature_names=[rows["label"].iloc[0] for rows in features],
    )


@contextmanager
def _same_chance() -> Iterator[None]:
    """Draw the same each time: shap puts points in no order by numpy's global state, which is put back afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _rows(axes: "Axes", labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(max(len(labels), 1) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
