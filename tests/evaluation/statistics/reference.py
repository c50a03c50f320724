"""Reads the reference values of R: those beside the tests, and those that may only be found, not copied."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

OWN = Path(__file__).parents[2] / "reference"
_BESIDE = Path(__file__).parents[3].parent / "shared" / "reference"

# cases whose rows are not ours to copy
ELSEWHERE = {
    "delong_paired": ["auc_wpbc_tumor_size_vs_lymph_nodes"],
    "cindex_paired": ["cindex_mamamia", "cindex_wpbc"],
    "time_dependent": ["td_mamamia"],
    "cox": ["cox_mamamia_hr_her2", "cox_mamamia_hr_her2_age"],
    "decision_curve_binary": ["dca_dcurves_binary"],
    "decision_curve_survival": ["dca_dcurves_surv"],
}


@cache
def _cases(folder: Path) -> dict[str, dict[str, Any]]:
    return {case["id"]: case for case in json.loads((folder / "expected.json").read_text())["cases"]}


def _elsewhere() -> Path | None:
    base = Path(os.environ.get("RELAPSE_SHARED", _BESIDE))
    return next((folder for folder in (base, base / "reference") if (folder / "expected.json").is_file()), None)


def case_ids(kind: str) -> list[str]:
    """Ids of all cases of a kind, found or not."""
    own = [name for name, case in _cases(OWN).items() if case["kind"] == kind]
    return own + ELSEWHERE.get(kind, [])


def load(name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return a case and its table (of the first file, where it has several); skip where its rows are not here."""
    folder: Path | None = OWN
    if name not in _cases(OWN):
        folder = _elsewhere()
        if folder is None:
            pytest.skip("rows that are not ours to copy; name their folder in RELAPSE_SHARED")
    case = _cases(folder)[name]
    file = case["file"] if isinstance(case["file"], str) else case["file"][0]
    return case, table(folder, file)


def table(folder: Path, file: str) -> pd.DataFrame:
    """Read one CSV file."""
    return pd.read_csv(folder / file)


def number(value: Any) -> float:
    """Turn R's NA into NaN."""
    return float("nan") if value in ("NaN", "NA") else float(value)


def same(found: Any, expected: Any, rel: float = 1e-10) -> None:
    """Hold a value or a list against R's. Zero is met to 1e-14; NaN is met by NaN alone."""
    wanted = np.vectorize(number, otypes=[float])(np.asarray(expected, dtype=object))
    np.testing.assert_allclose(np.asarray(found, dtype=float), wanted, rtol=rel, atol=1e-14)
