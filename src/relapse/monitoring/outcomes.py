"""Outcomes that arrived: read, joined to the answers by pseudonym, and those that count sorted out.

Where the endpoint has a time, an outcome counts at the first horizon, and only of patients answered so long ago that
everybody's would be known by then: events are known before the others' freedom from them, and counting each as it
arrives would make every model look too low. Of these, patients lost before the horizon have no outcome. Cases are left
out in the share in which others were lost by their time (thinning by the censoring distribution, which is weighting by
its inverse without weights), so that the rest are as they would be without losses.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.declared.units import DAYS_PER
from relapse.evaluation.csv_tables import read_csv_table
from relapse.evaluation.statistics.survival.kaplan_meier import censoring_survival
from relapse.ground.errors import PredictionsError
from relapse.monitoring.monitored import Outcomes
from relapse.monitoring.performance import Known
from relapse.monitoring.served import Served
from relapse.monitoring.store import pseudonym

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Outcomes by patient: the event (0, 1), and the time where the endpoint has one."""

    patient: NDArray[np.str_]
    event: NDArray[np.int64]
    time: Array | None


def read_any(path: Path) -> pd.DataFrame:
    """A table, CSV or parquet; raises :class:`PredictionsError` where it is none, or has no rows."""
    if not path.is_file():
        raise PredictionsError(f"{path}: no such file.")
    if path.suffix == ".parquet":
        try:
            table = pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise PredictionsError(f"{path}: not readable as parquet ({type(error).__name__}).") from None
    else:
        # A name of a patient such as 007 is text.
        table = read_csv_table(path, dtype={"patient": str})
    if table.empty:
        raise PredictionsError(f"{path}: no rows.")
    return table


def read_outcomes(path: Path, *, timed: bool, key: bytes | None) -> Arrived:
    """Read outcomes.

    Parameters
    ----------
    path
        Columns ``patient`` and ``event`` (0, 1), and ``time`` from the answer on where the endpoint has one, in its
        unit. Rows without an event are patients whose outcome is not known.
    key
        The store's, by which patients become pseudonyms; None for a table's own names.

    Raises
    ------
    PredictionsError
        A column is lacking, a patient stands there twice, or a value is impossible.
    """
    table = read_any(path)
    needed = ["patient", "event", *(["time"] if timed else [])]
    lacking = [name for name in needed if name not in table.columns]
    if lacking:
        raise PredictionsError(f"{path}: column missing: {', '.join(lacking)}. It has: {', '.join(table.columns)}.")
    table = table[table["event"].notna()].reset_index(drop=True)
    patient = table["patient"].astype(str)
    if patient.duplicated().any():
        raise PredictionsError(f"{path}: patient: {int(patient.duplicated().sum())} stand there again. Give each once.")
    event = pd.to_numeric(table["event"], errors="coerce")
    if not event.isin([0, 1]).all():
        raise PredictionsError(f"{path}: event: {int((~event.isin([0, 1])).sum())} are neither 0 nor 1.")
    time = None
    if timed:
        numbers = pd.to_numeric(table["time"], errors="coerce")
        wrong = ~(numbers >= 0) | ~np.isfinite(numbers)
        if wrong.any():
            raise PredictionsError(f"{path}: time: {int(wrong.sum())} of those with an event are no time from 0 on.")
        time = numbers.to_numpy(dtype=np.float64)
    names = [pseudonym(key, name.encode()) for name in patient] if key else list(patient)
    return Arrived(np.array(names, dtype=str), event.to_numpy(dtype=np.int64), time)


def known_of(served: Served, arrived: Arrived, training: Outcomes, *, until: np.datetime64) -> Known:
    """Sort out whose outcome counts on the day ``until``; only patients whom the champion answered have one."""
    counts = np.isfinite(served.risk)
    if training.horizon is not None and training.unit is not None:
        days = np.timedelta64(int(np.ceil(training.horizon * DAYS_PER[training.unit])), "D")
        counts &= served.day + days <= until
    place = {name: row for row, name in enumerate(arrived.patient)}
    found = np.array([place.get(name, -1) for name in served.patient], dtype=np.int64)
    without = int((counts & (found < 0)).sum())
    rows = np.flatnonzero(counts & (found >= 0))
    event, lost, left_out = arrived.event[found[rows]], 0, 0
    if training.horizon is not None and arrived.time is not None and rows.size:
        at, time = training.horizon, arrived.time[found[rows]]
        case = (event == 1) & (time <= at)
        other = (time > at) | ((event == 0) & (time == at))
        staying = censoring_survival(time, event)
        # Before the horizon: who is censored at it was followed so long.
        share = staying.before(np.full(time.size, at)) / staying.before(time)
        drawn = np.array([int(name, 36) % 9973 / 9973 for name in map(_digits, served.patient[rows])])
        kept = other | (case & (drawn < share))
        lost, left_out = int((~case & ~other).sum()), int((case & ~kept).sum())
        rows, event = rows[kept], case[kept].astype(np.int64)
    return Known(rows, served.day[rows], served.risk[rows], event, without, lost, left_out)


def _digits(name: str) -> str:
    """Letters and digits that a number can be made of, the same for the same patient."""
    return "".join(sign for sign in name.lower() if sign.isascii() and sign.isalnum()) or "0"
