"""The patient flow as boxes: rows read, rows left out and why, rows analysed."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from relapse.evaluation.evidence import Evidence
from relapse.figures.style import INK, MUTED, WIDTH, describe, new_figure
from relapse.wording import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Inches: height of a line of text, space inside a box, space between boxes.
_LINE, _PADDING, _GAP = 0.155, 0.12, 0.32
_BECAME = {"exclude": "left out", "keep": "kept"}
_LEFT, _RIGHT = (0.05, 3.15), (3.6, WIDTH - 0.05)


def patient_flow(flow: Mapping[str, Any], evidence: Evidence) -> "Figure":
    """Boxes from the rows of the source to the rows analysed; what was left out stands to the right."""
    # Flows that were published before sources could be joined have no such entry.
    joined = flow.get("joined", ())
    read = [count(flow["rows_read"], "row"), "in the first source" if joined else "in the source"]
    for item in joined:
        read += [
            f"{item['source']} joined: {count(item['matched'], 'patient')} matched,",
            f"{item['without']} not in it ({_BECAME[item['unmatched']]}), {item['not_ours']} only in it",
        ]
    left_out = sum(item["rows"] for item in flow["excluded"])
    out = [f"{count(left_out, 'row')} left out"]
    for item in flow["excluded"]:
        out += textwrap.wrap(f"{item['rows']}: {item['reason']}", 44, subsequent_indent="   ", break_on_hyphens=False)
    # A row of a table is nothing to a clinician; where it is a patient, it is called one.
    noun = "patient" if flow["rows_kept"] == flow["patients_kept"] else "row"
    free = "censored" if evidence.endpoint.timed else "without"
    kept = [f"{count(flow['rows_kept'], noun)} analysed"]
    if noun == "row":
        kept.append(f"of {count(flow['patients_kept'], 'patient')}")
    size = evidence.size
    outcome = [f"{count(size.with_event, 'patient')} with the event", f"{count(size.without_event, 'patient')} {free}"]
    if noun == "row":
        rows = size.rows_with_event, size.rows - size.rows_with_event
        outcome = [f"{line} ({count(number, 'row')})" for line, number in zip(outcome, rows, strict=True)]
    height = _height(read) + _GAP / 2 + _height(out) + _GAP / 2 + _height(kept) + _GAP + _height(outcome) + 0.1
    figure = new_figure(height)
    # Boxes are measured in inches, which a layout engine would rescale.
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis("off")
    top = height - 0.05
    first = _box(axes, _LEFT, top, read)
    side_top = first - _GAP / 2
    side = _RIGHT if len(out) > 1 else (_RIGHT[0], _RIGHT[0] + 1.5)
    side_bottom = _box(axes, side, side_top, out, muted=True)
    last_top = side_bottom - _GAP / 2
    axis = sum(_LEFT) / 2
    _arrow(axes, (axis, first), (axis, last_top))
    side_middle = (side_top + side_bottom) / 2
    _arrow(axes, (axis, side_middle), (_RIGHT[0], side_middle))
    second = _box(axes, _LEFT, last_top, kept, bold=True)
    _arrow(axes, (axis, second), (axis, second - _GAP))
    _box(axes, _LEFT, second - _GAP, outcome)
    reasons = "; ".join(f"{item['reason']}, {item['rows']}" for item in flow["excluded"]) or "none"
    text = f"Patient flow: {' '.join(read)}; left out: {reasons}; {' '.join(kept)}; {', '.join(outcome)}."
    return describe(figure, text)


def _height(lines: list[str]) -> float:
    return len(lines) * _LINE + 2 * _PADDING


def _box(
    axes: "Axes", sides: tuple[float, float], top: float, lines: list[str], *, bold: bool = False, muted: bool = False
) -> float:
    """Draw a box that hangs from ``top``; returns its lower edge."""
    from matplotlib.patches import Rectangle

    height = _height(lines)
    edge = MUTED if muted else INK
    box = Rectangle((sides[0], top - height), sides[1] - sides[0], height, fill=False, edgecolor=edge, linewidth=0.8)
    axes.add_patch(box)
    for index, line in enumerate(lines):
        centred = not muted
        axes.text(
            sum(sides) / 2 if centred else sides[0] + 0.12,
            top - _PADDING - (index + 0.5) * _LINE,
            line,
            ha="center" if centred else "left",
            va="center",
            fontsize=8,
            fontweight="bold" if (bold or muted) and index == 0 else "normal",
        )
    return top - height


def _arrow(axes: "Axes", start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)
