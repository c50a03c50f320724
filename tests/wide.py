"""A simulated cohort with a wide block beside clinical features, for both endpoints; no real patient."""

from typing import Any

import numpy as np
import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed


def wide_cohort(*, survival: bool, columns: int = 40, **block: Any) -> Cohort:
    """Age and receptor as the reference, ``columns`` textures as one block, declared as said."""
    features: dict[str, Any] = {
        "receptor": {"type": "nominal", "levels": ["negative", "positive"]},
        **{f"texture_{number}": _number() | {"block": "mri_scan", "max_missing": 0.9} for number in range(columns)},
        "age": _number(),
    }
    endpoint = (
        {"kind": "survival", "time": "time", "unit": "day", "horizons": ["1 y"]} if survival else {"kind": "binary"}
    )
    return Cohort.model_validate(
        {
            "name": "wide",
            "title": "Wide",
            "source": {"csv": "wide.csv"},
            "licence": "none",
            "citation": "none",
            "site": "site",
            "endpoint": {**endpoint, "event": "event"},
            "features": features,
            "reference": ["age", "receptor"],
            "blocks": {"mri_scan": {"title": "MRI", **block}},
            "imbalance": "none" if survival else "smotenc",
        }
    )


def wide_table(cohort: Cohort, *, rows: int = 120, seed: int = 0, effect: float = 1.5) -> pd.DataFrame:
    """A typed canonical table; ``effect`` is the log-odds or log-hazard a unit of what the first textures share."""
    rng = np.random.default_rng(seed)
    names = cohort.block_features("mri_scan")
    latent = rng.normal(size=(rows, 5))
    textures = latent[:, np.arange(len(names)) % 5] + 0.5 * rng.normal(size=(rows, len(names)))
    textures[:, 1] = np.where(rng.random(rows) < 0.6, np.nan, textures[:, 1])
    textures[:, 2] = 3.0
    risk = effect * latent[:, 0]
    table = pd.DataFrame(
        {
            "row": np.arange(1, rows + 1),
            "patient": [f"P{number}" for number in range(rows)],
            "site": np.where(np.arange(rows) % 3 == 0, "north", "south"),
            "receptor": rng.choice(["negative", "positive"], rows),
            **dict(zip(names, textures.T, strict=True)),
            "age": rng.normal(60, 10, rows),
        }
    )
    if cohort.survival:
        relapse, censored = rng.exponential(500 * np.exp(-risk)), rng.uniform(100, 2000, rows)
        table = table.assign(event=(relapse <= censored).astype(float), time=np.minimum(relapse, censored) + 1)
    else:
        table = table.assign(event=(rng.random(rows) < 1 / (1 + np.exp(1 - risk))).astype(float))
    return typed(table, cohort)


def _number() -> dict[str, Any]:
    return {"type": "continuous", "range": [-1000, 1000]}
