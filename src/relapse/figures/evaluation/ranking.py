"""Forest plot: each candidate's ranking metric, and its paired difference from the reference (else the first one)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from relapse.candidates.catalogue import REFERENCE
from relapse.evaluation.evidence import Evidence
from relapse.figures.shown import roles
from relapse.figures.style import INK, MUTED, RULE, describe, marks, new_figure
from relapse.wording import interval, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def ranking(evidence: Evidence, titles: Mapping[str, str]) -> "Figure":
    """Each candidate's ranking metric with its 95% interval and its single folds; beside it the paired difference."""
    metric = evidence.endpoint.primary
    names = [item.name for item in evidence.candidates]
    figure = new_figure(0.95 + 0.36 * len(names))
    value_axes, difference_axes = figure.subplots(1, 2, width_ratios=[1.15, 1], sharey=True)
    baseline = REFERENCE if REFERENCE in names else names[0]
    reference = evidence.candidate(baseline).metrics[metric.key].value
    value_axes.axvline(reference, color=RULE, linewidth=1, zorder=0)
    difference_axes.axvline(0, color=RULE, linewidth=1, zorder=0)
    said = []
    for place, (name, mark) in enumerate(marks(names).items()):
        item = evidence.candidate(name)
        estimate = item.metrics[metric.key]
        folds = item.primary_by_fold
        value_axes.plot(
            folds, [place + 0.2] * len(folds), "|", color=mark.colour, alpha=0.55, markersize=5, markeredgewidth=0.9
        )
        bounds = (estimate.lower, estimate.upper)
        _whisker(value_axes, place, estimate.value, bounds, colour=mark.colour, marker=mark.marker)
        said.append(f"{titles[name]} {number(estimate.value)} ({interval(*bounds)})")
        if name == baseline:
            difference_axes.text(
                0, place, " reference ", color=MUTED, fontsize=7, ha="center", va="center", backgroundcolor="w"
            )
            continue
        test = evidence.paired(name, baseline).test
        _whisker(
            difference_axes, place, test.difference, (test.lower, test.upper), colour=mark.colour, marker=mark.marker
        )
    known = roles(evidence)
    ticks = [f"{titles[name]}\n({known[name]})" if name in known else titles[name] for name in names]
    value_axes.set_yticks(range(len(names)), ticks)
    value_axes.set_ylim(len(names) - 0.4, -0.6)
    for axes in (value_axes, difference_axes):
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    value_axes.set(title=metric.label, xlabel="95% interval; ticks beneath: single folds")
    difference_axes.set(
        title=f"Difference from {'the reference' if baseline == REFERENCE else titles[baseline]}",
        xlabel="95% interval, paired",
    )
    difference_axes.tick_params(axis="y", labelleft=False)
    low, high = difference_axes.get_xlim()
    reach = max(abs(low), abs(high))
    difference_axes.set_xlim(-reach, reach)
    return describe(figure, f"Forest plot of {metric.label} with 95% intervals: {'; '.join(said)}.")


def _whisker(
    axes: "Axes", place: float, value: float, bounds: tuple[float, float], *, colour: str, marker: str
) -> None:
    axes.plot(bounds, [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot([value], [place], marker=marker, color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.6)
    axes.annotate(
        number(value), (value, place), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7, color=INK
    )
