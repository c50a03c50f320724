"""What a cell reads as, a number by the declared signs or a code: one rule for reader, gate and diagnosis."""

import re

import numpy as np
import pandas as pd

from relapse.cohorts.declared.source import Source, TextSource

_EXPONENT = r"(?:[eE][-+]?[0-9]+)?"


def pattern_of(source: Source) -> str:
    """The regular expression of a whole cell that is a number in this source."""
    decimal, thousands = _signs(source)
    point = re.escape(decimal)
    plain = rf"(?:[0-9]+(?:{point}[0-9]*)?|{point}[0-9]+){_EXPONENT}"
    if thousands is None:
        return rf"^\s*[-+]?{plain}\s*$"
    between = {" ": "[ \u00a0\u202f]", "'": "['’]"}.get(thousands, re.escape(thousands))
    grouped = rf"[0-9]{{1,3}}(?:{between}[0-9]{{3}})+(?:{point}[0-9]*)?"
    return rf"^\s*[-+]?(?:{grouped}|{plain})\s*$"


def read_numbers(values: pd.Series, source: Source) -> pd.Series:
    """Values as float; where one is no number in this source the whole column stays text, for the gate to name it."""
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(np.float64)
    text = values.astype("str")
    if not text.dropna().str.fullmatch(pattern_of(source)).all():
        return text
    decimal, thousands = _signs(source)
    if thousands is not None:
        text = text.str.replace(r"[ \u00a0\u202f]" if thousands == " " else f"[{thousands}’]", "", regex=True)
    return pd.to_numeric(text.str.replace(decimal, ".", regex=False)).astype(np.float64)


def as_text(values: pd.Series) -> pd.Series:
    """Values as stripped text; whole numbers without a decimal point, so that the code 1.0 is the code 1."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype(int).astype(str)
    if pd.api.types.is_numeric_dtype(values):
        return values.map(lambda value: f"{value:.15g}", na_action="ignore").astype("str")
    return values.astype("str").str.strip().str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)


def _signs(source: Source) -> tuple[str, str | None]:
    return (source.decimal, source.thousands) if isinstance(source, TextSource) else (".", None)
