"""Columns as the coded checks take them: predictors as one matrix, those of the outcome, the first rows found."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort


def as_numbers(table: pd.DataFrame, cohort: Cohort) -> NDArray[np.float64]:
    """All predictors of a typed table, shape (rows, predictors): numbers, positions of levels, NaN where missing."""
    columns = []
    for name in cohort.predictors:
        if isinstance(cohort.features[name], Categorical):
            codes = table[name].cat.codes.to_numpy(dtype=float)
            columns.append(np.where(codes < 0, np.nan, codes))
        else:
            columns.append(table[name].to_numpy(dtype=float))
    return np.column_stack(columns)


def outcome_columns(cohort: Cohort) -> list[str]:
    """The columns of a canonical table that hold the outcome."""
    return ["event", *(["time"] if cohort.survival else [])]


def first_rows(table: pd.DataFrame, chosen: "pd.Series | NDArray[np.bool_]") -> tuple[int, ...]:
    """The numbers of the first five rows chosen."""
    return tuple(table.loc[chosen, "row"].tolist()[:5])
