"""Dates as they stand in a source, and the time between two of them."""

import numpy as np
import pandas as pd

from relapse.cohorts.declared.source import Source, TextSource
from relapse.cohorts.declared.units import DAYS_PER
from relapse.ground.errors import SourceError

#: A date's parts by the order that is declared; a year in front, which is no other order, is read in all of them.
_FIRST_YEAR = r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"
_PATTERNS = {
    "ymd": (),
    "dmy": (r"(?P<d>\d{1,2})[-/. ]{1,2}(?P<m>\d{1,2}|[A-Za-z]{3,9})[-/. ]{1,2}(?P<y>\d{4})",),
    "mdy": (r"(?P<m>\d{1,2}|[A-Za-z]{3,9})[-/. ]{1,2}(?P<d>\d{1,2}),?[-/. ]{1,2}(?P<y>\d{4})",),
}
#: What every date looks like, whatever its order.
_LIKE_A_DATE = r"\w{1,9}[-/. ]{1,2}\w{1,9},?[-/. ]{1,2}\d{1,4}.*"
_CLOCK = r"(?:[ T]\d{1,2}:\d{2}.*)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read_dates(values: pd.Series, *, order: str) -> pd.Series:
    """Dates (n rows) of cells written in an order of day, month and year; NaT where there is none or it is not one.

    ``order`` is ``ymd``, ``dmy`` or ``mdy``. A time of day is passed over. Years have four digits: of two, nothing
    tells the century of a birth.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.tz_localize(None).dt.normalize()
    text = values.astype("str").str.strip()
    found = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us]")
    for pattern in (_FIRST_YEAR, *_PATTERNS[order]):
        parts = text.str.extract(rf"^{pattern}{_CLOCK}$")
        month = parts["m"].str[:3].str.lower().replace({name: str(at) for at, name in enumerate(_MONTHS, start=1)})
        numbers = pd.DataFrame({"year": parts["y"], "month": month, "day": parts["d"]}).apply(
            pd.to_numeric, errors="coerce"
        )
        read = pd.to_datetime(numbers, errors="coerce")
        found = found.fillna(read.astype("datetime64[us]"))
    return found


def between(first: pd.Series, last: pd.Series, *, unit: str, source: Source) -> pd.Series:
    """The time from a date to a later one, in a unit of time; NaN where one of them is missing.

    Raises
    ------
    SourceError
        A cell is filled and no date; the message names column, order and rows, and no cell.
    """
    days = (_dates(last, source) - _dates(first, source)).dt.days.astype(np.float64)
    return (days / DAYS_PER[unit]).round(6)


def _dates(values: pd.Series, source: Source) -> pd.Series:
    order = source.dates if isinstance(source, TextSource) else "ymd"
    found = read_dates(values, order=order)
    broken = values.notna() & found.isna()
    if not broken.any():
        return found
    fitting = [other for other in _PATTERNS if read_dates(values[broken], order=other).notna().all()]
    places = [str(place + 1) for place, broke in enumerate(broken) if broke]
    mend = f"Declare `dates: {fitting[0]}` under source." if fitting else _two_digits(values[broken])
    raise SourceError(
        f"column {values.name}: {len(places)} filled cells are no date in the order {order} (of the rows looked at, "
        f"number {', '.join(places[:5])}{', …' if len(places) > 5 else ''}). {mend}"
    )


def _two_digits(broken: pd.Series) -> str:
    short = broken.astype("str").str.strip().str.fullmatch(r"\d{1,2}[-/. ]\w{1,9}[-/. ]\d{2}").all()
    if short:
        return "Their years have two digits, which leaves the century open: write four."
    return (
        "Dates are written as 2024-05-31 (`dates: ymd`), 31.05.2024 or 31-May-2024 (`dates: dmy`), 05/31/2024 "
        "(`dates: mdy`); words for a missing date are declared under `missing`."
    )


def order_of(values: pd.Series) -> list[str]:
    """The orders of day, month and year that all filled cells of a column can be read in; none where there are none."""
    known = values.dropna()
    if known.empty or not (
        pd.api.types.is_datetime64_any_dtype(known) or known.astype("str").str.strip().str.fullmatch(_LIKE_A_DATE).all()
    ):
        return []
    return [order for order in _PATTERNS if read_dates(known, order=order).notna().all()]
