"""SPSS and Stata files: columns with their types, and values with labels as the labels."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from relapse.cohorts.declared.source import SpssSource, StataSource
from relapse.cohorts.diagnosis import files
from relapse.cohorts.diagnosis.files import squeezed
from relapse.cohorts.grids import repeated
from relapse.ground.errors import SourceError


class Labelled(NamedTuple):
    """A table, and what its file says of each column in words."""

    table: pd.DataFrame
    labels: dict[str, str]


def read_labelled(source: SpssSource | StataSource, path: Path) -> Labelled:
    """Read a file of SPSS or Stata.

    A column of which every value has a label comes as text, the labels; where some have none, as in a number with a
    code for missing, it stays what it is. Values that the file itself calls missing are missing. Dates stay dates.

    Raises
    ------
    SourceError
        Not such a file, or a name that stands there twice.
    """
    import pyreadstat

    declared, program, read = (
        (source.spss, "SPSS", pyreadstat.read_sav)
        if isinstance(source, SpssSource)
        else (source.stata, "Stata", pyreadstat.read_dta)
    )
    try:
        table, about = read(str(path))
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OSError, UnicodeDecodeError) as error:
        kind = files.text_or(path.read_bytes())
        raise SourceError(
            f"{declared}: not readable as a file of {program} ({type(error).__name__})."
            + (f" It looks like {kind}." if kind else "")
        ) from None
    names = [squeezed(name) for name in table.columns]
    if again := repeated(names):
        raise SourceError(f"{declared}: column name more than once: {again}. Rename one in the file.")
    labels = {squeezed(name): squeezed(text) for name, text in about.column_names_to_labels.items() if text}
    for name, words in about.variable_value_labels.items():
        table[name] = _worded(table[name], words)
    return Labelled(_plain(table.set_axis(names, axis=1)), labels)


def _worded(values: pd.Series, words: dict[Any, str]) -> pd.Series:
    known = values.dropna()
    return values.map(words).astype("str") if len(known) and known.isin(list(words)).all() else values


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Dates as the type that dates have, and text as text: the reader gives both as objects."""
    import datetime

    columns = {}
    for name in table.columns:
        values = table[name]
        known = values.dropna()
        if values.dtype == object and len(known) and known.map(lambda item: isinstance(item, datetime.date)).all():
            values = pd.to_datetime(values).astype("datetime64[us]")
        elif values.dtype == object:
            values = values.astype("str").mask(values.isna())
        columns[name] = values
    return pd.DataFrame(columns)
