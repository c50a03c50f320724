"""Table 1: who was studied, overall and by outcome."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relapse.cohorts.declared.features import Categorical, Known
from relapse.cohorts.schema import Cohort
from relapse.description.followed import median_followed
from relapse.description.outcome import FEWEST, by_outcome
from relapse.evaluation.statistics.results import Estimate

if TYPE_CHECKING:
    import pandas as pd

OVERALL = "all"

_MEDIAN = "median (quartiles)"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of Table 1.

    ``feature`` is a declared name, or empty for the line of numbers; ``level`` names a level, or what a line of numbers
    gives; ``cells`` hold a text for each group, :data:`OVERALL` first.
    """

    feature: str
    label: str
    level: str
    cells: dict[str, str]


def table_one(table: "pd.DataFrame", cohort: Cohort) -> list[Line]:
    """Numbers as median (quartiles), levels as rows (per cent of the known), missing values where there are any.

    Parameters
    ----------
    table
        Typed canonical table.

    Notes
    -----
    No p-values: differences between the groups are what the models are about, and tests of them invite to select
    features by their outcome.
    """
    groups = {OVERALL: table, **by_outcome(table, cohort)}
    noun = "patients" if table["patient"].nunique() == len(table) else "rows"
    lines = [Line("", f"Number of {noun}", "", {name: str(len(part)) for name, part in groups.items()})]
    if noun == "rows":
        patients = {name: str(part["patient"].nunique()) for name, part in groups.items()}
        lines.append(Line("", "Number of patients", "", patients))
    if cohort.survival:
        unit = cohort.survival.unit
        followed = {n: _quartiles(part["time"]) for n, part in groups.items()}
        lines.append(Line("", f"Time to event or censoring ({unit}s)", _MEDIAN, followed))
        reverse = dict.fromkeys(groups, "") | {OVERALL: _reached(median_followed(table))}
        lines.append(Line("", f"Follow-up, reverse Kaplan–Meier ({unit}s)", "median (95% interval)", reverse))
    for name, feature in cohort.features.items():
        label = cohort.label(name) + (" †" if feature.known is Known.AFTER else "")
        if isinstance(feature, Categorical):
            for level in feature.names:
                lines.append(Line(name, label, level, _shares({n: part[name] for n, part in groups.items()}, level)))
        else:
            cells = {n: _quartiles(part[name]) for n, part in groups.items()}
            lines.append(Line(name, label, _MEDIAN, cells))
        if table[name].isna().any():
            lacking = {n: _count(int(part[name].isna().sum())) for n, part in groups.items()}
            lines.append(Line(name, label, "missing", lacking))
    return lines


def _reached(found: Estimate) -> str:
    value, lower, upper = (
        _short(end) if math.isfinite(end) else "not reached" for end in (found.value, found.lower, found.upper)
    )
    return f"{value} ({lower} to {upper})"


def _quartiles(values: "pd.Series[float]") -> str:
    known = values.dropna().astype(float)
    if len(known) < FEWEST:
        return "–"
    low, middle, high = known.quantile([0.25, 0.5, 0.75])
    return f"{_short(middle)} ({_short(low)} to {_short(high)})"


def _shares(groups: "dict[str, pd.Series[str]]", level: str) -> dict[str, str]:
    """A cell a group. Where one group's count is hidden, all rows' count would give it away by subtraction."""
    cells = {name: _share(values, level) for name, values in groups.items()}
    hidden = [name for name, text in cells.items() if text.startswith("<")]
    if hidden and OVERALL not in hidden:
        known = groups[OVERALL].dropna()
        cells[OVERALL] = f"{100 * (known == level).mean():.0f}%"
    return cells


def _share(values: "pd.Series[str]", level: str) -> str:
    known = values.dropna()
    found = int((known == level).sum())
    if 0 < found < FEWEST:
        return _count(found)
    return f"{found} ({100 * found / len(known):.0f}%)" if len(known) else "–"


def _count(found: int) -> str:
    return f"<{FEWEST}" if 0 < found < FEWEST else str(found)


def _short(value: float) -> str:
    """Three digits that matter, whole where the value is large."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
