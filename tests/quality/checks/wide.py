"""Wide tables of noise, where every finding is a false one, and the declaration they keep."""

from typing import Any

import numpy as np
import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed

_KINDS = ("normal", "lognormal", "count", "binary", "rounded", "nominal", "ordinal")
_LEVELS = {"nominal": ["a", "b", "c"], "ordinal": ["low", "middle", "high"]}


def noise(
    seed: int, *, rows: int = 300, features: int = 500, views: int = 1, survival: bool = True
) -> tuple[pd.DataFrame, Cohort]:
    """A typed table of ``features`` kinds of noise, a third of them with missing values, at three sites."""
    rng = np.random.default_rng(seed)
    patients = rows // views
    columns: dict[str, Any] = {}
    declared: dict[str, dict[str, object]] = {}
    for number in range(features):
        name, kind = f"f{number}", _KINDS[number % len(_KINDS)]
        values = pd.Series(_draw(kind, patients * views, rng))
        if number % 3 == 0:
            values = values.mask(pd.Series(rng.random(len(values)) < rng.uniform(0.01, 0.3)))
        columns[name] = values
        declared[name] = {"max_missing": 0.5} | (
            {"type": kind, "levels": _LEVELS[kind]} if kind in _LEVELS else {"type": "continuous", "range": (-1e9, 1e9)}
        )
    table = pd.DataFrame(
        {
            "row": np.arange(1, patients * views + 1),
            "patient": np.arange(patients).astype(str).repeat(views),
            "site": rng.choice(["north", "south", "west"], patients).repeat(views),
            **columns,
            "event": rng.binomial(1, rng.uniform(0.15, 0.5), patients).repeat(views),
        }
    )
    endpoint: dict[str, object] = {"kind": "binary", "event": "relapse"}
    if survival:
        table["time"] = (1 + rng.exponential(1000, patients).round()).repeat(views)
        endpoint = {"kind": "survival", "event": "relapse", "time": "t", "unit": "day", "horizons": ["3 y"]}
    cohort = Cohort.model_validate(
        {
            "name": "wide", "title": "Noise", "source": {"csv": "wide.csv"}, "licence": "none", "citation": "none",
            "patient": "id", "site": "hospital", "endpoint": endpoint, "features": declared, "reference": ["f0"],
        }
    )  # fmt: skip
    return typed(table, cohort), cohort


def _draw(kind: str, size: int, rng: np.random.Generator) -> Any:
    match kind:
        case "normal":
            return rng.normal(size=size)
        case "lognormal":
            return np.exp(rng.uniform(0.1, 2) * rng.normal(size=size))
        case "count":
            return rng.poisson(3, size).astype(float)
        case "binary":
            return rng.binomial(1, rng.uniform(0.1, 0.5), size).astype(float)
        case "rounded":
            return rng.exponential(size=size).round(2)
        case _:
            return rng.choice(_LEVELS[kind], size, p=[0.5, 0.3, 0.2])
