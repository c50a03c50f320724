"""The report's section on regressions: ratios of the clinical reference, and of a penalised model put forward."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relapse.candidates.catalogue import REFERENCE
from relapse.report.material import Material
from relapse.report.page.tables import Cell
from relapse.wording import count, horizon_words, number, p_value

#: Terms of a penalised model that the page holds, those that say most.
MOST = 30


@dataclass(frozen=True, slots=True)
class RatioTable:
    """The ratios of one model: term, step, ratio with interval, p; ``note`` is what has to be said of them."""

    title: str
    method: str
    rows: list[tuple[str, str, Cell, str]]
    note: str
    tested: bool


def ratio_tables(m: Material) -> list[RatioTable]:
    """The reference's table, then that of the candidate put forward where it is a penalised regression."""
    if m.regression is None:
        return []
    found = [(REFERENCE, m.regression["reference"]), (m.put_forward, m.regression["penalised"].get(m.put_forward))]
    return [_table(m.titles.get(name, name), ratios, name == REFERENCE) for name, ratios in found if ratios]


@dataclass(frozen=True, slots=True)
class EquationTable:
    """The reference as an equation: a row a term (term, step, coefficient, centre), and what the sum becomes."""

    rows: list[tuple[str, str, str, str]]
    baselines: list[tuple[str, str]]
    intercept: str
    note: str


def hazard_rows(m: Material) -> list[tuple[str, str, str, str, str]]:
    """Give a row a term of the reference: chi-square of the test of proportional hazards, p, and p after Holm."""
    tests = m.regression["hazards"] if m.regression else ()
    return [
        (one["label"], one["step"], number(one["statistic"], 2), p_value(one["p"]), p_value(one["p_holm"]))
        for one in tests
    ]


def equation_table(m: Material) -> EquationTable | None:
    """The reference's equation, with digits enough for a risk to three decimals."""
    found = m.regression["equation"] if m.regression else None
    if found is None:
        return None
    rows = [(one["label"], one["step"], exact(one["coefficient"]), exact(one["centre"])) for one in found["summands"]]
    baselines = [(horizon_words(one["label"]), number(one["survival"], 6)) for one in found["baselines"]]
    intercept = "" if found["intercept"] is None else exact(found["intercept"])
    return EquationTable(rows, baselines, intercept, str(found["note"]))


def exact(value: float) -> str:
    """Write a number of an equation with seven digits that count."""
    return f"{value:.7g}".replace("-", "\N{MINUS SIGN}")


def ratio(value: float | None) -> str:
    """Write a ratio with three decimals, or as a power of ten where that would say nothing."""
    if value is None or not math.isfinite(value) or value == 0 or 0.01 <= value < 1000:
        return number(value)
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}×10^{number(int(power), 0)}"


def _table(title: str, ratios: Mapping[str, Any], tested: bool) -> RatioTable:
    rows, note = list(ratios["rows"]), str(ratios["note"])
    if not tested:
        left_out = [row for row in rows if row["ratio"] == 1]
        rows = sorted((row for row in rows if row["ratio"] != 1), key=_weight)
        if left_out:
            note += f" The penalty left {count(len(left_out), 'term')} at 1; not shown."
        if len(rows) > MOST:
            note += f" Of {len(rows)} others the {MOST} farthest from 1 are shown."
    return RatioTable(
        title, str(ratios["method"]), [_row(row) for row in rows[: None if tested else MOST]], note, tested
    )


def _weight(row: Mapping[str, Any]) -> float:
    # A ratio that could not be written is NaN in Python and nothing in JSON.
    value = row["ratio"]
    return -abs(math.log(value)) if value and math.isfinite(value) else -math.inf


def _row(row: Mapping[str, Any]) -> tuple[str, str, Cell, str]:
    ends = f"{ratio(row['lower'])} to {ratio(row['upper'])}" if row["lower"] is not None else ""
    p = p_value(row["p"]) if row["p"] is not None else ""
    return row["label"], row["step"], Cell(ratio(row["ratio"]), ends), p
