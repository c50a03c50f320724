"""Artificial patients that stand for a cohort: what an explanation compares a patient with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed

Array = NDArray[np.float64]

#: Fewest patients that an artificial one is made of, so that none of them can be recognised in it.
CELL = 10


@dataclass(frozen=True, slots=True)
class Background:
    """Rows that stand for a missing feature: ``table`` (m rows, typed predictors), ``weights`` (m,) with sum 1."""

    table: pd.DataFrame
    weights: Array


def typical_patients(table: pd.DataFrame, cohort: Cohort, *, size: int) -> Background:
    """Artificial patients, each the centre of a group of similar real ones: means of numbers, modes of levels.

    The group with most patients is halved along its direction of largest variance, at the median patient, until there
    are ``size`` groups or none could be halved without leaving fewer than :data:`CELL` patients in a part. No chance is
    involved. A patient with several rows stands with the mean of its rows.

    Parameters
    ----------
    table
        Typed canonical table.
    size
        Number of artificial patients wanted.
    """
    position = _positions(table, cohort).groupby(table["patient"].to_numpy(), sort=True).mean().to_numpy()
    code = np.unique(table["patient"].to_numpy(), return_inverse=True)[1]
    groups = [np.arange(len(position))]
    while len(groups) < size:
        largest = max(range(len(groups)), key=lambda at: len(groups[at]))
        if len(groups[largest]) < 2 * CELL:
            break
        groups[largest : largest + 1] = _halves(groups[largest], position)
    centres = [_centre(table[np.isin(code, members)], table, cohort) for members in groups]
    rows = np.array([np.isin(code, members).sum() for members in groups], dtype=np.float64)
    return Background(typed(pd.DataFrame(centres), cohort), rows / rows.sum())


def _halves(members: NDArray[np.int_], position: Array) -> list[NDArray[np.int_]]:
    mine = position[members] - position[members].mean(axis=0)
    direction = np.linalg.svd(mine, full_matrices=False)[2][0]
    # Rounded, so that the order of equal patients hangs on no last digit.
    order = np.argsort(np.round(mine @ direction, 9), kind="stable")
    half = len(members) // 2
    return [np.sort(members[order[:half]]), np.sort(members[order[half:]])]


def _positions(table: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Numbers standardised, ordered levels as standardised codes, unordered ones as indicators; gaps at the mean."""
    columns: dict[str, NDArray[Any]] = {}
    for name in cohort.predictors:
        feature = cohort.features[name]
        if isinstance(feature, Categorical) and feature.type == "nominal":
            columns |= {f"{name}={level}": (table[name] == level).to_numpy(dtype=float) for level in feature.names}
        elif isinstance(feature, Categorical):
            columns[name] = np.where(table[name].isna(), np.nan, table[name].cat.codes.to_numpy(dtype=float))
        else:
            columns[name] = table[name].to_numpy(dtype=float)
    frame = pd.DataFrame(columns)
    spread = frame.std(ddof=0).replace(0.0, 1.0)
    return ((frame - frame.mean()) / spread).fillna(0.0)


def _centre(group: pd.DataFrame, table: pd.DataFrame, cohort: Cohort) -> dict[str, object]:
    """Means and modes of a group; those of the whole table where the group has no value at all."""
    centre: dict[str, object] = {}
    for name in cohort.predictors:
        known = group[name].dropna() if group[name].notna().any() else table[name].dropna()
        if isinstance(cohort.features[name], Categorical):
            centre[name] = None if known.empty else str(known.mode().iloc[0])
        else:
            centre[name] = float(known.mean()) if len(known) else np.nan
    if cohort.volumes:
        # Nobody's: an average picture, to the models that look at one.
        centre[IMAGE] = None
    return centre
