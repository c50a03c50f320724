"""What each column of a table holds: numbers, levels, dates, an identifier, text; which words mean missing."""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from relapse.cohorts.dates import order_of
from relapse.cohorts.declared.source import Source
from relapse.cohorts.diagnosis.words import CODES, MISSING, OUTCOMES
from relapse.cohorts.numbers import as_text, pattern_of, read_numbers

Kind = Literal["number", "levels", "date", "identifier", "text", "constant", "empty"]

#: More levels than this are text; as many whole numbers may still be codes.
MOST_LEVELS, MOST_CODES = 20, 6

#: A column of numbers holds so large a share of them, once words for missing are out.
_NEARLY_ALL = 0.9

#: Words that mean missing in a column of numbers, and may be a level of their own in one of words.
_ALSO_LEVELS = frozenset(("none", "x", "-", "*", "/", "nd", "nc", "np", "null"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source.

    ``values`` are numbers where ``kind`` is number, else text, missing where a word for it stands. ``levels`` are the
    spellings that stand there, each with how many rows have it. ``absent`` are the words (``NC``, ``999``) that mean
    missing here, ``doubts`` what is not certain about it.
    """

    name: str
    kind: Kind
    values: pd.Series
    levels: dict[str, int] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def missing(self) -> float:
        """The share of rows without a value."""
        return float(self.values.isna().mean())

    @property
    def whole(self) -> bool:
        """Whether every number is a whole one."""
        known = self.values.dropna()
        return self.kind == "number" and bool((known == known.round()).all())

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        return int(self.values.nunique())

    @property
    def two_valued(self) -> bool:
        """Whether two values stand there, as in the code of an outcome."""
        return self.distinct == 2 and self.kind in ("number", "levels")

    @property
    def codes(self) -> list[str]:
        """The different values as text, in order."""
        if self.kind == "number":
            return [f"{value:g}" for value in sorted(self.values.dropna().unique())]
        return sorted(self.levels)


def among(column: Column, rows: pd.Series) -> Column:
    """What a column holds in those rows alone that ``rows`` (n truth values) marks."""
    values = column.values[rows]
    left = values.nunique()
    kind: Kind = (
        "empty" if not left else "constant" if left == 1 and column.kind in ("number", "levels") else column.kind
    )
    levels = {word: int((values == word).sum()) for word in column.levels}
    return replace(column, values=values, kind=kind, levels={word: times for word, times in levels.items() if times})


def profile(values: pd.Series, *, name: str, source: Source) -> Column:
    """Look at one column (n rows) of a source, as it was read.

    Numbers written as text are numbers where nine in ten cells are; the rest is then told as a doubt.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return Column(name, "date" if values.notna().any() else "empty", values)
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        return _number(name, values.astype(np.float64), (), ())
    text = as_text(values)
    text = text.mask(values.isna() | (text == ""))
    known = text.dropna()
    if known.empty:
        return Column(name, "empty", text)
    absent = {word for word in known.unique() if word.casefold() in MISSING}
    rest = known[~known.isin(absent)]
    numbers = pd.Series(dtype=np.float64)
    if len(rest):
        readable = rest[rest.str.fullmatch(pattern_of(source))]
        numbers = read_numbers(readable, source) if len(readable) >= _NEARLY_ALL * len(rest) else numbers
    if len(numbers):
        other = len(rest) - len(numbers)
        doubts = (f"{other} cells hold no number: the check will say what they look like.",) if other else ()
        return _number(name, numbers.reindex(text.index), tuple(sorted(absent)), doubts)
    dates = rest[rest.str.contains(r"\d")]
    if len(dates) >= _NEARLY_ALL * len(rest) and len(rest) and order_of(dates):
        return Column(name, "date", text.where(~text.isin(absent)), absent=tuple(sorted(absent)))
    absent -= {word for word in absent if word.casefold() in _ALSO_LEVELS}
    return _words(name, text.where(~text.isin(absent)), tuple(sorted(absent)))


def _number(name: str, values: pd.Series, absent: tuple[str, ...], doubts: tuple[str, ...]) -> Column:
    if code := _coded(values):
        values = values.mask(values.isin([float(word) for word in code]))
        doubts = (*doubts, f"{' and '.join(code)} stands apart from all other values, and is taken to mean missing.")
    kind: Kind = "number"
    if not values.notna().any():
        kind = "empty"
    elif values.nunique() == 1:
        kind = "constant"
    return Column(name, kind, values, absent=(*absent, *code), doubts=doubts)


def _coded(values: pd.Series) -> tuple[str, ...]:
    """Codes for missing among numbers: usual ones, further from all the others than those are from each other."""
    found = np.sort(values.dropna().unique())
    absent: list[float] = []
    while len(found) > 3 and found[-1] in CODES and found[-1] - found[-2] > found[-2] - found[0]:
        absent.append(found[-1])
        found = found[:-1]
    while len(found) > 2 and found[0] in {-1.0, *CODES} and found[0] < 0 <= found[1]:
        absent.append(found[0])
        found = found[1:]
    return tuple(f"{value:g}" for value in sorted(absent))


def _words(name: str, text: pd.Series, absent: tuple[str, ...]) -> Column:
    counts = text.value_counts()
    levels = {str(word): int(times) for word, times in sorted(counts.items())}
    doubts = (f"{', '.join(absent)} is taken to mean missing, and may be a level.",) if absent else ()
    rows = int(counts.sum())
    kind: Kind = "levels"
    if not levels:
        kind = "empty"
    elif len(levels) == 1:
        kind = "constant"
    elif len(levels) >= 0.95 * rows and rows > 5:
        kind = "text" if text.dropna().str.contains(r"\s").mean() > 0.5 else "identifier"
    elif len(levels) > MOST_LEVELS or len(levels) > rows / 3:
        kind = "text"
    return Column(name, kind, text, levels, absent, doubts)


def sides(column: Column) -> dict[str, int] | None:
    """What two codes mean as an outcome, 0 or 1 for each; None where their words do not tell."""
    if not column.two_valued:
        return None
    codes = column.codes
    if codes == ["1", "2"]:
        return {"1": 0, "2": 1}
    # As portals write it: 0:LIVING, 1:DECEASED.
    leading = [re.match(r"([01])\s*[:=-]", code) for code in codes]
    if all(leading):
        found = {code: int(match[1]) for code, match in zip(codes, leading, strict=True) if match}
    else:
        found = {code: OUTCOMES.get(code.casefold(), -1) for code in codes}
    return found if set(found.values()) == {0, 1} else None
