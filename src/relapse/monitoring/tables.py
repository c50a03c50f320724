"""Any table as what was served: read, its columns found, levels named, numbers checked; nothing guessed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import levels_of, typed
from relapse.ground.errors import PredictionsError
from relapse.monitoring.outcomes import read_any


@dataclass(frozen=True, slots=True)
class Tabled:
    """Patients of a table in the order of their days: their typed predictors, and a risk where there is one.

    ``left_out`` counts rows without a value that the model needs: no service would have answered them.
    """

    features: pd.DataFrame
    day: NDArray[np.datetime64]
    patient: NDArray[np.str_]
    risk: NDArray[np.float64] | None
    left_out: int


def read_patients(path: Path, cohort: Cohort, *, day: str, risk: str, may_lack: set[str]) -> Tabled:
    """Read a table of patients.

    Parameters
    ----------
    path
        CSV or parquet, with each predictor under its own name or that of its column in the training's source.
    day
        The column of the day, as 2026-11-28.
    risk
        The column that may hold the model's risk at the horizon that is watched.
    may_lack
        Predictors that may be missing.

    Raises
    ------
    PredictionsError
        A column is lacking, a level is not declared, a number is none, or a day cannot be read.
    """
    raw = read_any(path)
    columns = {
        name: name if name in raw.columns else cohort.source_column(name)
        for name in cohort.predictors
        if name in raw.columns or cohort.source_column(name) in raw.columns
    }
    lacking = [name for name in cohort.predictors if name not in columns]
    lacking += [] if day in raw.columns else [f"{day} (the day, --day names another)"]
    if lacking:
        raise PredictionsError(
            f"{path}: column missing: {', '.join(lacking)}. It has: {', '.join(map(str, raw.columns))}."
        )
    features = pd.DataFrame({name: _feature(raw, cohort, name, columns[name], path) for name in columns})
    days = pd.to_datetime(raw[day].astype(str).str.slice(0, 10), format="%Y-%m-%d", errors="coerce")
    if days.isna().any():
        raise PredictionsError(f"{path}: {day}: {int(days.isna().sum())} rows have no day such as 2026-11-28.")
    named = next((name for name in ("patient", cohort.patient) if name in raw.columns), None)
    patient = raw[named].astype(str) if named else pd.Series([str(row) for row in range(1, len(raw) + 1)])
    whole = features[[name for name in columns if name not in may_lack]].notna().all(axis=1)
    order = days[whole].sort_values(kind="stable").index
    return Tabled(
        features=typed(features.loc[order].reset_index(drop=True), cohort),
        day=days[order].to_numpy().astype("datetime64[D]"),
        patient=patient[order].to_numpy(dtype=str),
        risk=_risk(raw, risk, path)[order] if risk in raw.columns else None,
        left_out=int((~whole).sum()),
    )


def _risk(raw: pd.DataFrame, column: str, path: Path) -> NDArray[np.float64]:
    found = pd.to_numeric(raw[column], errors="coerce")
    outside = int((~found.between(0, 1)).sum())
    if outside:
        raise PredictionsError(f"{path}: {column}: {outside} rows have no risk between 0 and 1.")
    return found.to_numpy(dtype=np.float64)


def _feature(raw: pd.DataFrame, cohort: Cohort, name: str, column: str, path: Path) -> pd.Series:
    feature, values = cohort.features[name], raw[column]
    if isinstance(feature, Categorical):
        found = levels_of(values, feature)
        unknown = found.notna() & ~found.isin(feature.names)
        if unknown.any():
            raise PredictionsError(
                f"{path}: {column}: {int(unknown.sum())} rows have a level that is not declared. Allowed are "
                f"{', '.join(feature.names)}."
            )
        return found
    if isinstance(feature, Numeric) and feature.from_ is not None and column != name:
        raise PredictionsError(f"{path}: {name}: give the time between its two dates, in {feature.unit}, as {name}.")
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = int((values.notna() & numbers.isna()).sum())
    if wrong:
        raise PredictionsError(
            f"{path}: {column}: {wrong} rows hold no number. Write it with a point, or leave it empty."
        )
    return numbers * feature.times if column != name and feature.recorded is not None else numbers
