"""Invented cohorts that declare blocks, with tables drawn for them: one with a time, one without."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from scipy.special import expit

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed

#: Features of the wide block.
WIDE = 40


@dataclass(frozen=True)
class Invented:
    """A cohort, its declaration in a file, and its typed table."""

    cohort: Cohort
    declaration: Path
    table: pd.DataFrame


def invented(folder: Path, *, survival: bool, wide: int = WIDE, rows: int = 160) -> Invented:
    """``meadow`` (time to relapse) or ``harbour`` (relapse or not): clinic, a wide block and one of two features."""
    name = "meadow" if survival else "harbour"
    rng = np.random.default_rng(20261127)
    texture = [f"tex{number:03d}" for number in range(wide)]
    pixels = rng.normal(size=(rows, wide)) * 10 + 50
    table = pd.DataFrame(
        {
            "row": np.arange(rows),
            "patient": [f"P{number}" for number in range(rows)],
            "site": "",
            "age": rng.integers(30, 85, rows),
            "grade": rng.choice(["low", "high"], rows),
            "nodes": rng.integers(0, 12, rows),
            **dict(zip(texture, pixels.T.round(2), strict=True)),
            "score": rng.normal(25, 5, rows).round(1),
            "assay": rng.choice(["A", "B", "C"], rows),
        }
    )
    table.loc[::9, "nodes"] = np.nan
    table.loc[::7, "tex001"] = np.nan
    risk = expit((table["grade"] == "high") * 1.0 + (table["age"] - 57) / 20 + (table["tex000"] - 50) / 10 - 0.8)
    table["event"] = (rng.uniform(size=rows) < risk).astype(int)
    if survival:
        table["time"] = (rng.exponential(3 * 365, rows) / (0.3 + risk)).round() + 1
    endpoint: dict[str, Any] = {"kind": "binary", "event": "relapsed", "label": "relapse by five years"}
    if survival:
        endpoint = {"kind": "survival", "event": "relapsed", "time": "days", "unit": "day", "label": "relapse"}
        endpoint["horizons"] = ["3 y", "5 y"]
    wide_feature = {"type": "continuous", "range": [-50, 150], "block": "texture"}
    declared: dict[str, Any] = {
        "name": name,
        "title": f"The {name} cohort (invented)",
        "source": {"csv": f"{name}.csv"},
        "licence": "none needed",
        "citation": "Made up for tests.",
        "endpoint": endpoint,
        "features": {
            "age": {"type": "count", "label": "Age", "unit": "years", "range": [18, 100]},
            "grade": {"type": "ordinal", "label": "Grade", "levels": ["low", "high"]},
            "nodes": {"type": "count", "label": "Positive nodes", "range": [0, 50], "max_missing": 0.5},
            **{key: wide_feature | ({"max_missing": 0.5} if key == "tex001" else {}) for key in texture},
            "score": {"type": "continuous", "label": "Recurrence score", "range": [0, 100], "block": "genomic"},
            "assay": {"type": "nominal", "label": "Assay", "levels": ["A", "B", "C"], "block": "genomic"},
        },
        "reference": ["age", "grade"],
        "blocks": {
            "texture": {"title": "MRI texture", "description": "Read by a machine from the MRI.", "costly": True},
            "genomic": {"title": "Genomic assay"},
        },
    }
    path = folder / f"{name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    YAML().dump(declared, path)
    cohort = Cohort.model_validate(declared)
    return Invented(cohort, path, typed(table, cohort))


def a_patient(cohort: Cohort, **changes: object) -> dict[str, object]:
    """A valid patient with every block; None takes a value out."""
    values: dict[str, object] = {name: 50.5 for name in cohort.block_features("texture")}
    values |= {"age": 61, "grade": "high", "nodes": 3, "score": 31.0, "assay": "B"} | changes
    return {name: value for name, value in values.items() if value is not None}


def without(patient: dict[str, object], cohort: Cohort, *blocks: str) -> dict[str, object]:
    """The patient without these blocks."""
    gone = {name for block in blocks for name in cohort.block_features(block)}
    return {name: value for name, value in patient.items() if name not in gone}
