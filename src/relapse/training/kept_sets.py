"""Finished hyperparameter sets of a joint search, each in a file, so that a killed run goes on from them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.schema import Cohort
from relapse.files import sha256_of_text, write_atomic
from relapse.training.studies import digest, is_url

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tried:
    """One set of hyperparameters on one table: inner predictions and their mean discrimination, or the error."""

    held_out: Array | None
    value: float
    error: str


def folder_of(
    storage: str | None, label: str, tables: Sequence[pd.DataFrame], cohort: Cohort, *, seeds: Sequence[int], folds: int
) -> Path | None:
    """Where the sets of one search are kept: a name that changes with all that shapes them.

    None where trials are kept in a database or nowhere: the sets of a joint search are then computed anew, with the
    same results.
    """
    if storage is None or is_url(storage):
        return None
    parts = [
        digest(label, table, cohort, seed=seed, folds=folds, startup=0)
        for table, seed in zip(tables, seeds, strict=True)
    ]
    return Path(storage) / f"{label}-{sha256_of_text(*parts)[:16]}"


def write_set(path: Path, tried: list[Tried], seconds: float) -> None:
    """Write one finished set, whole or not at all."""
    arrays: dict[str, Any] = {
        f"held_out_{at}": item.held_out for at, item in enumerate(tried) if item.held_out is not None
    }
    about = json.dumps({"values": [item.value for item in tried], "errors": [item.error for item in tried]})

    def save(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez(stream, about=np.array(about), seconds=np.array(seconds), **arrays)

    write_atomic(path, save)


def read_set(path: Path) -> tuple[list[Tried], float]:
    """Read what :func:`write_set` wrote; nothing in the file is executed."""
    with np.load(path, allow_pickle=False) as content:
        about = json.loads(str(content["about"]))
        tried = [
            Tried(content.get(f"held_out_{at}"), value, error)
            for at, (value, error) in enumerate(zip(about["values"], about["errors"], strict=True))
        ]
        return tried, float(content["seconds"])
