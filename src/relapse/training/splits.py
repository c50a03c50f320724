"""Folds: rows of a patient stay together, events and sites are spread evenly."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from relapse.errors import TrainingError


def fold_numbers(table: pd.DataFrame, *, folds: int, seed: int) -> NDArray[np.int_]:
    """The test fold (n,) of each row, 0 to ``folds`` - 1.

    Parameters
    ----------
    table
        Canonical; ``patient`` is never divided, ``event`` and ``site`` are balanced.
    folds
        Number of folds.
    seed
        Seed of the shuffling.

    Raises
    ------
    TrainingError
        Fewer patients with or without the event than folds.
    """
    event = table["event"].to_numpy(dtype=int)
    relapsed, free = (int(table.loc[event == value, "patient"].nunique()) for value in (1, 0))
    if min(relapsed, free) < folds:
        raise TrainingError(
            f"{folds} folds need at least {folds} patients with and {folds} without the event; found {relapsed} with "
            f"and {free} without. "
            "Lower split.folds or train.inner_folds in params.yaml, or bring more patients."
        )
    strata = table["site"].astype(str).to_numpy() + "/" + event.astype(str)
    names, counts = np.unique(strata, return_counts=True)
    rare = np.isin(strata, names[counts < folds])
    strata = np.where(rare, np.char.add("/", event.astype(str)), strata)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    numbers = np.empty(len(table), dtype=int)
    for number, (_, test) in enumerate(splitter.split(table, strata, groups=table["patient"])):
        numbers[test] = number
        if len(np.unique(event[test])) < 2:
            raise TrainingError(f"fold {number} of {folds} has patients of one outcome only. Use fewer folds.")
    return numbers


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
