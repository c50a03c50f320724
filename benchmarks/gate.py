"""Time and peak memory of the gate and all coded checks on a large table, in processes of their own.

``python -P benchmarks/gate.py`` from the repository root: tables of 20 drawn features at 20 sites, of 10,000, 100,000
and 1,000,000 patients, each held against its declaration as the stage *gate* does it, Data Docs included. Drawing the
table is not counted; its memory is, since the gate's process holds it.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]

SIZES = (10_000, 100_000, 1_000_000)


def draw(patients: int) -> pd.DataFrame:
    """A canonical table: 12 measured values with holes, three counts, three grades, two yes-or-no features."""
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {}
    for number in range(12):
        values = np.round(rng.normal(size=patients), 3)
        columns[f"measured_{number}"] = np.where(rng.random(patients) < 0.02, np.nan, values)
    for number in range(3):
        columns[f"count_{number}"] = rng.poisson(4, patients).astype(float)
        columns[f"grade_{number}"] = rng.choice(["I", "II", "III"], patients)
    for number in range(2):
        columns[f"answer_{number}"] = rng.choice(["no", "yes"], patients)
    event, lost = rng.exponential(2500, patients), rng.uniform(0, 4000, patients)
    return pd.DataFrame(
        {
            "row": np.arange(1, patients + 1),
            "patient": [f"P{number:07d}" for number in range(patients)],
            "site": rng.choice([f"hospital {number}" for number in range(20)], patients),
            "event": (event <= lost).astype(float),
            "time": np.minimum(event, lost).round() + 1,
            **columns,
        }
    )


def measure(patients: int) -> None:
    """Draw and gate one table in this process, and print a line."""
    from relapse.cohorts.schema import Cohort
    from relapse.quality.gate import check

    kinds: dict[str, dict[str, object]] = {
        "measured": {"type": "continuous", "range": [-10, 10], "max_missing": 0.1},
        "count": {"type": "count", "range": [0, 100]},
        "grade": {"type": "ordinal", "levels": ["I", "II", "III"]},
        "answer": {"type": "nominal", "levels": ["no", "yes"]},
    }
    table = draw(patients)
    features = {name: kinds[name.split("_")[0]] for name in table.columns[5:]}
    cohort = Cohort.model_validate(
        {
            "name": "large",
            "title": "Drawn",
            "source": {"csv": "large.csv"},
            "licence": "none",
            "citation": "none",
            "patient": "pid",
            "site": "hospital",
            "endpoint": {"kind": "survival", "time": "t", "event": "e", "unit": "day", "horizons": ["3 y", "5 y"]},
            "features": features,
            "reference": ["grade_0"],
        }
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = check(table, cohort, docs=Path(folder) / "docs")
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if not result.passed:
        raise SystemExit(f"The drawn table does not pass: {result.told}")
    print(
        f"{patients:>10,} rows x {len(features)}: {wall:7.1f} s, of the processor {work:7.1f} s, "
        f"peak {after.ru_maxrss / 2**20:5.2f} GiB, {len(result.verdicts)} rules",
        flush=True,
    )


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, help="this size only, in this process")
    given = parser.parse_args()
    if given.patients:
        sys.path.insert(0, str(ROOT / "src"))
        measure(given.patients)
        return
    for patients in SIZES:
        subprocess.run([sys.executable, "-P", __file__, "--patients", str(patients)], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
