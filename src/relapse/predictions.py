"""The predictions table: what a candidate said about patients it had not seen, and what became of them.

One row a table row and repeat, with the columns

==================  ==========================================================================================
``row``             identifies the row; the same in every table that is compared
``patient``         rows of one patient are resampled together
``site``            hospital or scanner; may be empty
``repeat, fold``    which outer split the row was a test row of
``event``           1 relapse, 0 none (yet)
``time``            time to the event or to the end of follow-up; only where the endpoint has a time
``score``           the model's ranking, higher = more likely to relapse
``risk``            probability of relapse; where the endpoint has a time one column a horizon, ``risk_3y``
``threshold``       risk from which the model calls a row positive, chosen without the row; binary endpoints
``subgroup_…``      a level that results are also given for, such as ``subgroup_grade``; any number of columns
==================  ==========================================================================================

Evaluation is a function of such tables alone.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from relapse.ground.errors import PredictionsError

if TYPE_CHECKING:
    import pandas as pd

#: Prefix of the columns that name a row's subgroups.
SUBGROUP = "subgroup_"

KEYS = ("row", "patient", "site", "repeat", "fold")


def read_predictions(path: Path, *, risks: list[str], timed: bool) -> "pd.DataFrame":
    """Read and check a predictions table.

    Parameters
    ----------
    path
        A parquet file.
    risks
        The risk columns that must be there.
    timed
        Whether the endpoint has a time.

    Raises
    ------
    PredictionsError
        No such file, a column missing, a row twice in one repeat, a missing or impossible value.
    """
    import pandas as pd

    if not path.is_file():
        raise PredictionsError(f"{path}: no such file. Run the stage that writes it: dvc repro.")
    table = pd.read_parquet(path)
    check_predictions(table, risks=risks, timed=timed, where=str(path))
    return table


def check_predictions(table: "pd.DataFrame", *, risks: list[str], timed: bool, where: str) -> None:
    """Raise :class:`PredictionsError` unless ``table`` keeps the contract of this module."""
    needed = [*KEYS, "event", *(["time"] if timed else []), "score", *risks]
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise PredictionsError(f"{where}: column missing: {', '.join(lacking)}. It has: {', '.join(table.columns)}.")
    if table.empty:
        raise PredictionsError(f"{where}: no rows.")
    if table.duplicated(["row", "repeat"]).any():
        raise PredictionsError(f"{where}: a row stands more than once in the same repeat.")
    numbers = ["event", "score", *risks, *(["time"] if timed else [])]
    for name in numbers:
        if table[name].isna().any():
            raise PredictionsError(f"{where}: {name} is missing in {int(table[name].isna().sum())} rows.")
    rules = {"event": (0, 1)} | {name: (0, 1) for name in risks} | ({"time": (0, float("inf"))} if timed else {})
    for name, (low, high) in rules.items():
        outside = ~table[name].between(low, high)
        if outside.any():
            raise PredictionsError(f"{where}: {name} is outside [{low}, {high}] in {int(outside.sum())} rows.")
    if not set(table["event"].unique()) <= {0, 1}:
        raise PredictionsError(f"{where}: event holds values other than 0 and 1.")
    if table["event"].nunique() < 2:
        raise PredictionsError(f"{where}: all rows have the same outcome; nothing can be told apart.")


def check_pairing(tables: "dict[str, pd.DataFrame]") -> None:
    """Raise :class:`PredictionsError` unless all tables speak of the same rows with the same outcomes."""
    first_name, *others = tables
    outcome = [name for name in ("event", "time") if name in tables[first_name].columns]
    columns = ["row", "repeat", "patient", *outcome]
    expected = tables[first_name][columns].sort_values(["repeat", "row"]).reset_index(drop=True)
    for name in others:
        found = tables[name][columns].sort_values(["repeat", "row"]).reset_index(drop=True)
        if not found.equals(expected):
            raise PredictionsError(
                f"{first_name} and {name} do not speak of the same rows and outcomes ({len(expected)} and "
                f"{len(found)} rows): they cannot be compared in pairs. Predict the same patients with both."
            )
