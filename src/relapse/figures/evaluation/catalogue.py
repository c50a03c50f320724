"""Figures: frames of all candidates in, matplotlib figures out. What is drawn is computed elsewhere.

The frames are those of :mod:`relapse.evaluation.curves`. Every figure carries a description that stands for it where it
cannot be seen.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.evaluation.evidence import Evidence
from relapse.evaluation.forests import pairs_frame, subgroups_frame
from relapse.figures.evaluation.calibration import calibration
from relapse.figures.evaluation.decision_curves import decision_curves
from relapse.figures.evaluation.flow import patient_flow
from relapse.figures.evaluation.forests import pairs, subgroups
from relapse.figures.evaluation.ranking import ranking
from relapse.figures.evaluation.survival import auc_over_time, risk_groups
from relapse.figures.shown import compared, labels
from relapse.figures.style import MUTED, RULE, WIDTH, describe, drawing, marks, new_figure, save, unit_square
from relapse.wording import horizon_words, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = dict[str, dict[str, "pd.DataFrame"]]

__all__ = ["Curves", "draw", "figures", "precision_recall", "read_curves", "roc", "save"]


def read_curves(folder: Path) -> Curves:
    """Read the frames ``<figure>/<candidate>.csv`` below a folder: figure name to candidate to frame."""
    import pandas as pd

    found: Curves = {}
    for path in sorted(folder.glob("*/*.csv")):
        found.setdefault(path.parent.name, {})[path.stem] = pd.read_csv(path)
    return found


def draw(
    folder: Path,
    curves: Curves,
    evidence: Evidence,
    *,
    flow: Mapping[str, Any] | None,
    titles: Mapping[str, str],
    columns: Mapping[str, str] | None = None,
) -> list[str]:
    """Draw every figure of a cohort and save it as ``folder/<name>.svg`` and ``.png``; returns the names."""
    drawn = figures(curves, evidence, flow=flow, titles=titles, columns=columns)
    for name, figure in drawn.items():
        save(figure, folder / name)
    return list(drawn)


def figures(
    curves: Curves,
    evidence: Evidence,
    *,
    flow: Mapping[str, Any] | None,
    titles: Mapping[str, str],
    columns: Mapping[str, str] | None = None,
) -> dict[str, "Figure"]:
    """Every figure of a cohort that its frames allow, by name.

    Parameters
    ----------
    curves
        As :func:`read_curves` gives them.
    evidence
        Gives the order of the candidates, the metrics in legends, and the candidate put forward, which is drawn where
        a figure can show one only.
    flow
        The patient flow, as ``flow.json`` has it; not drawn where it is None.
    titles
        Candidate name to the name that people read.
    columns
        The same for the columns of subgroups.
    """
    known = {item.name: titles.get(item.name, item.name) for item in evidence.candidates}
    called, shown = labels(evidence, known), evidence.shown
    order = {figure: {name: frames[name] for name in known if name in frames} for figure, frames in curves.items()}
    with drawing():
        drawn = {"flow": patient_flow(flow, evidence)} if flow is not None else {}
        drawn["ranking"] = ranking(evidence, known)
        if len(known) > 1:
            drawn["pairs"] = pairs(pairs_frame(evidence), known, label=evidence.primary_label)
        for name, draw_curve in (("roc", roc), ("precision_recall", precision_recall)):
            if name in order:
                drawn[name] = draw_curve(order[name], order.get(f"{name}_band", {}), evidence, called)
        if "auc_over_time" in order:
            last = evidence.endpoint.horizons[-1]
            drawn["auc_over_time"] = auc_over_time(
                order["auc_over_time"], last, titles=called, banded=compared(evidence)
            )
        if evidence.endpoint.timed and shown.name in order.get("risk_groups", {}):
            horizon = evidence.endpoint.horizons[-1]
            drawn["risk_groups"] = risk_groups(order["risk_groups"][shown.name], horizon, title=called[shown.name])
        for figure, when in _calibrations(evidence).items():
            if figure in order:
                histograms = order.get(figure.replace("calibration", "risks"), {})
                drawn[figure] = calibration(order[figure], histograms, known, when=when)
            useful = figure.replace("calibration", "decision_curve")
            if useful in order:
                drawn[useful] = decision_curves(order[useful], known, when=when)
        if shown.subgroups:
            drawn["subgroups"] = subgroups(
                subgroups_frame(evidence), called, columns or {}, shown=compared(evidence), label=evidence.primary_label
            )
    return drawn


def roc(
    frames: "dict[str, pd.DataFrame]", bands: "dict[str, pd.DataFrame]", evidence: Evidence, titles: Mapping[str, str]
) -> "Figure":
    """ROC curves of all candidates, with the point where each one's threshold puts it; bands of the two compared."""
    figure = new_figure(3.3 + 0.17 * len(frames), width=WIDTH / 2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1, zorder=0)
    axes.text(0.66, 0.62, "chance", color=MUTED, fontsize=7, rotation=45, rotation_mode="anchor", va="top")
    said = []
    for name, mark in marks(list(frames)).items():
        metrics = evidence.candidate(name).metrics
        area = number(metrics["auc"].value)
        said.append(f"{titles[name]} {area}")
        label = f"{titles[name]}, AUC {area}"
        _band(axes, bands, name, "fpr", evidence)
        axes.plot(frames[name]["fpr"], frames[name]["tpr"], color=mark.colour, linestyle=mark.dash, label=label)
        if "specificity" not in metrics:
            continue
        at = 1 - metrics["specificity"].value, metrics["sensitivity"].value
        axes.plot(*at, marker=mark.marker, markersize=6, color=mark.colour, markeredgecolor="white", linestyle="none")
    unit_square(axes)
    axes.set(xlabel="1 \N{MINUS SIGN} specificity", ylabel="Sensitivity")
    figure.legend(loc="outside lower left", handlelength=3.2)
    return describe(figure, f"ROC curves of {len(frames)} candidates. Area under the curve: {'; '.join(said)}.")


def precision_recall(
    frames: "dict[str, pd.DataFrame]", bands: "dict[str, pd.DataFrame]", evidence: Evidence, titles: Mapping[str, str]
) -> "Figure":
    """Precision-recall curves of all candidates, as the steps whose area is the average precision."""
    figure = new_figure(3.3 + 0.17 * len(frames), width=WIDTH / 2)
    axes = figure.subplots()
    prevalence = evidence.events / evidence.rows
    axes.axhline(prevalence, color=RULE, linewidth=1, zorder=0)
    axes.text(1.0, prevalence - 0.015, f"chance {prevalence:.2f}", color=MUTED, fontsize=7, ha="right", va="top")
    said = []
    for name, mark in marks(list(frames)).items():
        area = number(evidence.candidate(name).metrics["average_precision"].value)
        said.append(f"{titles[name]} {area}")
        frame = frames[name]
        _band(axes, bands, name, "recall", evidence)
        axes.step(
            [0.0, *frame["recall"]],
            [float(frame["precision"].iloc[0]), *frame["precision"]],
            where="pre",
            color=mark.colour,
            linestyle=mark.dash,
            label=f"{titles[name]}, AP {area}",
        )
    unit_square(axes)
    axes.set(xlabel="Recall (sensitivity)", ylabel="Precision (positive predictive value)")
    figure.legend(loc="outside lower left", handlelength=3.2)
    text = f"Precision-recall curves of {len(frames)} candidates. Average precision: {'; '.join(said)}."
    return describe(figure, text)


def _band(axes: "Axes", bands: "dict[str, pd.DataFrame]", name: str, along: str, evidence: Evidence) -> None:
    """The 95% band of one curve, for the candidates compared only: eight bands would hide each other."""
    if name in bands and name in compared(evidence):
        band, colour = bands[name], marks(list(bands))[name].colour
        axes.fill_between(band[along], band["lower"], band["upper"], color=colour, alpha=0.13, linewidth=0)


def _calibrations(evidence: Evidence) -> dict[str, str]:
    """Name of each calibration figure, and the horizon it is for in words."""
    if not evidence.endpoint.timed:
        return {"calibration": ""}
    return {
        "calibration" + horizon.column.removeprefix("risk"): horizon_words(horizon.label)
        for horizon in evidence.endpoint.horizons
    }
