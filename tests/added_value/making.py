"""A cohort with a marker block, whose truth is known: the block's effect is planted, or there is none."""

from typing import Any

import numpy as np
import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed

#: Enough for a test, and quick.
SMALL: dict[str, Any] = {"inner_folds": 2, "trials": 2}

WARDS = ("east", "north", "west")


def marked_cohort(*, binary: bool = False, markers: int = 6, **changes: Any) -> Cohort:
    """Three clinical features and a block of markers, in names of no shipped cohort."""
    endpoint: dict[str, Any] = (
        {"kind": "binary", "event": "event"}
        if binary
        else {"kind": "survival", "event": "event", "time": "time", "unit": "month", "horizons": ["24 m", "48 m"]}
    )
    declared: dict[str, Any] = {
        "name": "marked",
        "title": "Marked",
        "simulated": True,
        "source": {"simulation": "radiomics", "seed": 0},
        "licence": "none",
        "citation": "none",
        "patient": "patient",
        "site": "ward",
        "endpoint": endpoint,
        "features": {
            "grade": {"type": "ordinal", "levels": ["low", "mid", "high"]},
            "bulk": {"type": "continuous", "range": [-9, 9], "label": "Bulk"},
            "side": {"type": "nominal", "levels": ["l", "r"]},
            **{f"m{number}": {"type": "continuous", "range": [-9, 9], "block": "markers"} for number in range(markers)},
        },
        "reference": ["grade", "bulk"],
        "blocks": {"markers": {"title": "Serum markers", "costly": True}},
        "subgroups": ["side"],
    }
    return Cohort.model_validate(declared | changes)


def marked_table(cohort: Cohort, *, effect: float, patients: int = 240, views: int = 1, seed: int = 0) -> pd.DataFrame:
    """A typed canonical table; ``effect`` is the log hazard (odds) ratio of one unit of the first marker."""
    rng = np.random.default_rng(seed)
    n = patients
    bulk, grade = rng.standard_normal(n), rng.integers(0, 3, n)
    block = [name for name in cohort.features if name.startswith("m")]
    markers = rng.standard_normal((n, len(block)))
    linear = 0.5 * bulk + 0.4 * (grade - 1) + effect * markers[:, 0]
    time = rng.exponential(60 * np.exp(-linear))
    end = rng.uniform(12, 96, n)
    event = (time <= end).astype(int)
    if cohort.survival is None:
        event = (rng.random(n) < 1 / (1 + np.exp(0.8 - linear))).astype(int)
    columns = {
        "patient": [f"Q{number}" for number in range(n)],
        "site": np.array(WARDS)[rng.integers(0, 3, n)],
        "grade": np.array(["low", "mid", "high"])[grade],
        "bulk": bulk,
        "side": np.array(["l", "r"])[rng.integers(0, 2, n)],
        **{name: markers[:, place] for place, name in enumerate(block)},
        "event": event,
        **({"time": np.minimum(time, end)} if cohort.survival else {}),
    }
    table = pd.DataFrame(columns)
    table = pd.concat([table] * views, ignore_index=True) if views > 1 else table
    table.insert(0, "row", np.arange(1, len(table) + 1))
    return typed(table, cohort)
