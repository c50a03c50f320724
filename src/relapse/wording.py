"""How numbers are written for people: rounded once, here, the same way everywhere."""

import math
import re

from relapse.cohorts.size import Counts

_MINUS = "\N{MINUS SIGN}"
_UNITS = {"d": "day", "w": "week", "m": "month", "y": "year"}

#: What an adjusted p-value has to fall below for a difference to be called shown; goes with intervals of 95%.
SIGNIFICANCE = 0.05


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with fixed decimals and a real minus sign; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return "\N{EN DASH}"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", _MINUS)


def interval(lower: float, upper: float) -> str:
    """Write an interval as "0.61 to 0.72"; says so where there is none."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return "no interval"
    return f"{number(lower)} to {number(upper)}"


def p_value(p: float) -> str:
    """Write a p-value as a number: "<0.001", three decimals below 0.1, else two; never rounded to 0."""
    if not math.isfinite(p):
        return "\N{EN DASH}"
    if p < 0.001:
        return "<0.001"
    # Two decimals would turn 0.046 into the 0.05 that it passed.
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def p_equals(p: float) -> str:
    """Write a p-value in a sentence: "p = 0.03", "p < 0.001"."""
    text = p_value(p)
    if text == "\N{EN DASH}":
        return "p not available"
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: "1 patient", "686 patients"."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def people(found: Counts) -> str:
    """Write who a table speaks of: patients counted as patients, with the rows said beside them where they differ."""
    with_event = f"{found.with_event:,} of whom had the event".replace(",", "\N{NARROW NO-BREAK SPACE}")
    patients = count(found.patients, "patient")
    if found.rows == found.patients:
        return f"{patients}, {with_event}"
    return f"{count(found.rows, 'row')} of {patients}, {with_event} ({count(found.rows_with_event, 'row')})"


def listing(items: list[str]) -> str:
    """Items as "a", "a and b", "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def sentence(text: str) -> str:
    """Text with a capital first letter and a full stop; the rest as it stands."""
    stripped = text.strip()
    ended = stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."
    return ended[:1].upper() + ended[1:]


def horizon_unit(label: str) -> tuple[float, str] | None:
    """Read a horizon's label as amount and unit ("5 y" gives 5 and "year"); None where it is written in another way."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([dwmy])", label.strip())
    return (float(match[1]), _UNITS[match[2]]) if match else None


def horizon_words(label: str) -> str:
    """Write a horizon for people: "5 y" is "5 years"."""
    parsed = horizon_unit(label)
    if parsed is None:
        return label
    amount, unit = parsed
    return f"{amount:g} {unit}{'' if amount == 1 else 's'}"
