"""Does a published table fit together? Coded checks of printed estimates, intervals, statistics and p-values.

A table is a CSV with a column ``what`` (a row's name) and any of ``estimate``, ``lower``, ``upper``, ``z``, ``chi2``
(one degree of freedom), ``p`` (two-sided; ``<0.001`` is understood), ``precision``, ``recall``, ``f1``. Numbers are
taken as rounded to the digits printed: only what no rounding explains is flagged.

====  ========  ================================================================================
code  severity  what it finds
====  ========  ================================================================================
P001  error     the estimate lies outside its own interval
P002  error     p does not belong to z (two-sided); says so where it would fit one-sided
P003  error     p does not belong to chi2 with one degree of freedom
P004  error     the interval's ends are the wrong way round
P005  warning   the estimate is far from the middle of its interval, on the plain and the logit scale
P006  warning   F1 is not the harmonic mean of precision and recall (it need not be, if averaged over folds)
====  ========  ================================================================================
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scipy import stats

from relapse.evaluation.csv_tables import read_csv_table
from relapse.ground.errors import PredictionsError

COLUMNS = ("estimate", "lower", "upper", "z", "chi2", "p", "precision", "recall", "f1")

#: How far an estimate may be from the middle of its interval, as a share of the interval's half width.
SKEW = 0.5

#: Slack of floating-point arithmetic.
_EXACT = 1e-12


@dataclass(frozen=True, slots=True)
class Printed:
    """A number as printed: any value in [low, high] would have been printed so."""

    text: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something in a row that does not fit."""

    code: str
    severity: Literal["error", "warning"]
    what: str
    message: str


def read_published(path: Path) -> list[dict[str, str]]:
    """Read a table of printed figures, every cell as the text that stands there.

    Raises
    ------
    PredictionsError
        No such file, not a CSV, no column ``what``, none of :data:`COLUMNS`, or a cell that is no number.
    """
    if not path.is_file():
        raise PredictionsError(f"{path}: no such file.")
    table = read_csv_table(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    known = [name for name in table.columns if name in COLUMNS]
    if "what" not in table.columns or not known:
        present = ", ".join(str(name) for name in table.columns)
        raise PredictionsError(f"{path}: expected a column 'what' and any of {', '.join(COLUMNS)}; found {present}.")
    rows = [{str(key): str(value).strip() for key, value in row.items()} for row in table.to_dict(orient="records")]
    for line, row in enumerate(rows, start=2):
        for name in known:
            if row[name] and _printed(row[name]) is None:
                raise PredictionsError(f"{path}: line {line}, {name}: expected a number such as 0.89 or <0.001.")
    return rows


def check_published(rows: list[dict[str, str]]) -> list[Mismatch]:
    """All mismatches of a table, row by row."""
    found = []
    for row in rows:
        cells = {name: value for name in COLUMNS if (value := _printed(row.get(name, ""))) is not None}
        for code, severity, message in (*_interval(cells), *_statistics(cells), *_harmonic(cells)):
            found.append(Mismatch(code, severity, row["what"], message))
    return found


_Found = list[tuple[str, Literal["error", "warning"], str]]


def _interval(cells: dict[str, Printed]) -> _Found:
    if "lower" not in cells or "upper" not in cells:
        return []
    lower, upper = cells["lower"], cells["upper"]
    shown = f"[{lower.text}, {upper.text}]"
    if lower.low > upper.high:
        return [("P004", "error", f"the interval {shown} ends before it begins.")]
    if "estimate" not in cells:
        return []
    estimate = cells["estimate"]
    # Touching ends need one exact value for both numbers, which rounding does not explain.
    if estimate.high <= lower.low + _EXACT or estimate.low >= upper.high - _EXACT:
        return [("P001", "error", f"the estimate {estimate.text} lies outside its interval {shown}.")]
    if all(_skew(estimate, lower, upper, logit=logit) > SKEW for logit in (False, True)):
        return [("P005", "warning", f"the estimate {estimate.text} is far from the middle of its interval {shown}.")]
    return []


def _statistics(cells: dict[str, Printed]) -> _Found:
    found: _Found = []
    p = cells.get("p")
    if p is None:
        return found
    if z := cells.get("z"):
        low, high = sorted(2 * stats.norm.sf(abs(end)) for end in _magnitudes(z))
        if not _overlap(p, low, high):
            message = f"z = {z.text} gives a two-sided p of {_shown(low, high)}, not {p.text}."
            if _overlap(p, low / 2, high / 2):
                message += " It would fit a one-sided test."
            found.append(("P002", "error", message))
    if chi2 := cells.get("chi2"):
        low, high = sorted(float(stats.chi2.sf(max(end, 0.0), 1)) for end in (chi2.low, chi2.high))
        if not _overlap(p, low, high):
            message = f"chi-square = {chi2.text} (1 df) gives p = {_shown(low, high)}, not {p.text}."
            found.append(("P003", "error", message))
    return found


def _harmonic(cells: dict[str, Printed]) -> _Found:
    if not {"precision", "recall", "f1"} <= cells.keys():
        return []
    precision, recall, f1 = cells["precision"], cells["recall"], cells["f1"]

    def harmonic(a: float, b: float) -> float:
        return 2 * a * b / (a + b) if a + b > 0 else 0.0

    low, high = harmonic(precision.low, recall.low), harmonic(precision.high, recall.high)
    if _overlap(f1, low, high):
        return []
    text = f"precision {precision.text} and recall {recall.text} give an F1 of {_shown(low, high)}, not {f1.text}."
    return [("P006", "warning", text)]


def _printed(text: str) -> Printed | None:
    match = re.fullmatch(r"(<)?\s*([-+\u2212]?)(\d*\.?\d+)", text.strip())
    if not match:
        return None
    value = float(match[3]) * (-1 if match[2] in ("-", "\u2212") else 1)
    if match[1]:
        return Printed(text, value, 0.0, value)
    half = 0.5 * 10.0 ** -len(match[3].partition(".")[2])
    return Printed(text, value, value - half, value + half)


def _magnitudes(z: Printed) -> tuple[float, float]:
    """The smallest and the largest |z| that would have been printed so."""
    ends = abs(z.low), abs(z.high)
    return (0.0 if z.low <= 0 <= z.high else min(ends)), max(ends)


def _overlap(printed: Printed, low: float, high: float) -> bool:
    return printed.low <= high and low <= printed.high


def _shown(low: float, high: float) -> str:
    first, last = f"{low:.3g}", f"{high:.3g}"
    return first if first == last else f"{first} to {last}"


def _skew(estimate: Printed, lower: Printed, upper: Printed, *, logit: bool) -> float:
    values = [estimate.value, lower.value, upper.value]
    if logit:
        if not all(0 < value < 1 for value in values):
            return math.inf
        values = [math.log(value / (1 - value)) for value in values]
    half = (values[2] - values[1]) / 2
    return abs(values[0] - (values[1] + values[2]) / 2) / half if half > 0 else 0.0
