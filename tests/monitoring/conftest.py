"""Invented cohorts (meadow has a time, harbour none), their monitored bundles, and patients drawn for them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.bundle.load import Bundle, load_bundle
from relapse.cohorts.table import typed
from tests.bundle.blocks import Invented, invented
from tests.bundle.making import small_bundle

KEY = b"a key of sixteen signs"


@dataclass(frozen=True)
class Watched:
    """An invented cohort with its bundle."""

    item: Invented
    folder: Path
    bundle: Bundle

    def patients(self, size: int, seed: int = 1) -> pd.DataFrame:
        """Patients of the training drawn with replacement, a little apart in every number, as a typed table."""
        rng = np.random.default_rng(seed)
        table = self.item.table.iloc[rng.integers(0, len(self.item.table), size)].reset_index(drop=True)
        for name in self.item.cohort.predictors:
            if name.startswith("tex"):
                table[name] = (table[name] + rng.normal(0, 0.5, size)).round(2)
        table["patient"] = [f"N{number}" for number in range(size)]
        return typed(table, self.item.cohort)


@pytest.fixture(scope="session")
def watched(tmp_path_factory) -> dict[str, Watched]:
    """Either cohort."""
    folder = tmp_path_factory.mktemp("watched")
    found = {}
    for survival in (True, False):
        item = invented(folder / "tables", survival=survival, wide=4, rows=240)
        at = folder / item.cohort.name
        small_bundle(at, item.cohort, item.table, "linear", declaration=item.declaration, monitored=True)
        found[item.cohort.name] = Watched(item, at, load_bundle(at))
    return found


@pytest.fixture(scope="session")
def bundle_from_before(tmp_path_factory, watched) -> Bundle:
    """A bundle that was written before anything was kept for monitoring."""
    at = tmp_path_factory.mktemp("before") / "meadow"
    item = watched["meadow"].item
    small_bundle(at, item.cohort, item.table, "linear", declaration=item.declaration)
    return load_bundle(at)
