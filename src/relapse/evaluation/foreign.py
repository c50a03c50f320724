"""Predictions tables made elsewhere (R, another program, a paper's supplement): read, completed and checked.

Columns asked for: ``event`` (0, 1) and ``score`` or a risk; ``time`` where the outcome is a time to an event. Risks are
``risk``, or ``risk_3y``, ``risk_60m``, ``risk_90d`` at a horizon. Of the others, ``row`` defaults to the line,
``patient`` to the row, ``site`` to nothing, ``repeat`` and ``fold`` to 0, ``score`` to the (last) risk. See
:mod:`relapse.predictions`.
"""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from relapse.cohorts.declared.endpoint import horizon
from relapse.cohorts.grids import repeated
from relapse.evaluation.csv_tables import read_csv_table
from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.ground.errors import PredictionsError
from relapse.predictions import check_predictions

_RISK_AT = re.compile(r"risk_(\d+(?:\.\d+)?)([dwmy])")


def read_foreign(paths: list[Path]) -> dict[str, pd.DataFrame]:
    """Read tables, CSV or parquet, each under the name of its file (or folder, where files share a name).

    Raises
    ------
    PredictionsError
        No such file, not a table, empty, or two of the same name.
    """
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [path.resolve().parent.name for path in paths]
    if len(set(names)) < len(names):
        raise PredictionsError(
            f"Two tables are called {_repeated(names)}. Rename a file, or put each in its own folder."
        )
    return {name: _completed(_read(path)) for name, path in zip(names, paths, strict=True)}


def infer_endpoint(tables: dict[str, pd.DataFrame], *, unit: str) -> Endpoint:
    """The endpoint that all tables speak of: a time or none, and the risks and thresholds that each of them holds.

    Parameters
    ----------
    unit
        Unit of ``time``: day, week, month or year.

    Raises
    ------
    PredictionsError
        Some tables have a time and others none.
    """
    shared = set.intersection(*(set(table.columns) for table in tables.values()))
    timed = {"time" in table.columns for table in tables.values()}
    if len(timed) > 1:
        without = [name for name, table in tables.items() if "time" not in table.columns]
        raise PredictionsError(f"{', '.join(without)}: column missing: time. The other tables have one.")
    if timed == {False}:
        return Endpoint(risks="risk" in shared, threshold="threshold" in shared)
    found = []
    for column in sorted(shared):
        if match := _RISK_AT.fullmatch(column):
            at = horizon(f"{match[1]} {match[2]}", unit)
            found.append(Horizon(column, at.time, at.label))
    return Endpoint(tuple(sorted(found, key=lambda item: item.time)), scored_times=True)


def check_foreign(tables: dict[str, pd.DataFrame], endpoint: Endpoint) -> None:
    """Raise :class:`PredictionsError` unless every table keeps the contract and its score tells rows apart."""
    for name, table in tables.items():
        check_predictions(table, risks=endpoint.risk_columns, timed=endpoint.timed, where=name)
        if table["score"].nunique() < 2:
            raise PredictionsError(f"{name}: score is the same in all {len(table)} rows; nothing can be ranked by it.")


def _read(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise PredictionsError(f"{path}: this is a folder. Name the table in it.")
    if not path.is_file():
        raise PredictionsError(f"{path}: no such file.")
    table = _read_parquet(path) if path.suffix == ".parquet" else read_csv_table(path)
    if table.empty:
        raise PredictionsError(f"{path}: no rows.")
    text = [
        name
        for name in table.columns
        if (name in ("event", "time", "score", "threshold") or str(name).startswith("risk"))
        and not pd.api.types.is_numeric_dtype(table[name])
    ]
    if text:
        raise PredictionsError(f"{path}: {', '.join(text)}: expected numbers, found text. Write them with a point.")
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    try:
        # The reader itself stumbles over a repeated name without saying which.
        again = repeated(parquet.read_schema(path).names)
        if again is None:
            return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise PredictionsError(f"{path}: not readable as parquet ({type(error).__name__}).") from None
    raise PredictionsError(f"{path}: column name more than once: {again}. Rename one in the file.")


def _completed(table: pd.DataFrame) -> pd.DataFrame:
    row = table["row"] if "row" in table.columns else pd.Series(range(1, len(table) + 1), index=table.index)
    defaults: dict[str, Any] = {"row": row, "patient": row.astype(str), "site": "", "repeat": 0, "fold": 0}
    risks = [name for name in table.columns if str(name).startswith("risk")]
    if risks:
        defaults["score"] = table[risks[-1]]
    return table.assign(**{name: value for name, value in defaults.items() if name not in table.columns})


def _repeated(names: list[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
