"""Folds: rows of a patient stay together, events and sites are spread evenly."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from relapse.cohorts.size import PROTOCOL_SETTING, Folds, counts
from relapse.ground.errors import TrainingError

#: Patients of each outcome for each fold below which they are dealt: balancing sites as well could leave a fold none.
EVEN = 5


def fold_numbers(table: pd.DataFrame, *, folds: int, seed: int, setting: str = PROTOCOL_SETTING) -> NDArray[np.int_]:
    """The test fold (n,) of each row, 0 to ``folds`` - 1.

    Parameters
    ----------
    table
        Canonical; ``patient`` is never divided, ``event`` and ``site`` are balanced.
    folds
        Number of folds.
    seed
        Seed of the shuffling.
    setting
        What a user lowers to have fewer folds; empty where nothing does.

    Raises
    ------
    TrainingError
        Fewer patients with or without the event than folds.
    """
    found = counts(table)
    if lacking := Folds(folds, setting=setting).lacking(found):
        raise TrainingError(lacking)
    if found.fewer >= EVEN * folds:
        numbers = _balanced(table, folds=folds, seed=seed)
        if all(table.loc[numbers == number, "event"].nunique() == 2 for number in range(folds)):
            return numbers
    return _dealt(table, folds=folds, seed=seed)


def _balanced(table: pd.DataFrame, *, folds: int, seed: int) -> NDArray[np.int_]:
    """Folds whose shares of sites, and of events in each site, are as even as whole patients allow."""
    event = table["event"].to_numpy(dtype=int).astype(str)
    strata = table["site"].astype(str).to_numpy() + "/" + event
    names, often = np.unique(strata, return_counts=True)
    strata = np.where(np.isin(strata, names[often < folds]), np.char.add("/", event), strata)
    if np.unique(strata, return_counts=True)[1].min() < folds:
        strata = event
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    numbers = np.empty(len(table), dtype=int)
    for number, (_, test) in enumerate(splitter.split(table, strata, groups=table["patient"])):
        numbers[test] = number
    return numbers


def _dealt(table: pd.DataFrame, *, folds: int, seed: int) -> NDArray[np.int_]:
    """Patients of each outcome dealt in turn: each test part has some, none more than it must; sites are not seen."""
    relapsed = table.groupby("patient", observed=True)["event"].max()
    rng = np.random.default_rng(seed)
    order = [name for value in (1, 0) for name in rng.permutation(relapsed.index[relapsed == value].to_numpy())]
    fold = {name: place % folds for place, name in enumerate(order)}
    return table["patient"].map(fold).to_numpy(dtype=int)


def outer_folds(table: pd.DataFrame, *, folds: int, repeats: int, seed: int) -> pd.DataFrame:
    """The outer folds: columns ``row``, ``repeat``, ``fold``, one row a table row and repeat."""
    drawn = [
        pd.DataFrame(
            {
                "row": table["row"].to_numpy(),
                "repeat": repeat,
                "fold": fold_numbers(table, folds=folds, seed=derived_seed(seed, "outer", repeat)),
            }
        )
        for repeat in range(repeats)
    ]
    return pd.concat(drawn, ignore_index=True)


def derived_seed(seed: int, *purpose: str | int) -> int:
    """A seed of its own for each purpose, independent of what ran before or beside it."""
    words = [int.from_bytes(str(item).encode(), "little") for item in purpose]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] % (2**31))
