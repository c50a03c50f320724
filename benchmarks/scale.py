"""Time and peak memory of every stage as tables grow, and what more workers, or a cluster's cores, make of it.

``python -P benchmarks/scale.py`` from the repository root: a simulated survival and a simulated yes-or-no cohort of
1,000, 10,000 and 100,000 patients with 20 columns, and of 1,000 with 500, go through the scripts of ``pipelines/`` with
one worker and a small budget (2 outer and 2 inner folds, 1 trial; 2,000 resamples), each as a process of its own, whose
time and peak resident memory the system tells. Larger tables are checked and described, and a table of predictions for
as many patients is evaluated (``relapse evaluate``). The last column is the exponent of processor seconds in rows, from
one size to the next larger one, the seconds of loading libraries left in: it says too little at the small end.
``--part survival --part binary --part wide`` and ``--rows 1000 10000 --limit 600`` narrow it down.

*workers*: training with 1, 2 and 4 workers. *publication*: the jobs of a run of the publication budget, whose records
say how long each candidate took, laid out on 1, 8 and 64 cores by simulation: each job taken by the first free core,
all candidates in one list, as ``relapse cluster train`` has them. ``--project`` says where such a run is.
"""

import argparse
import heapq
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]

#: What the table of a stage may take before it is given up; a stage that needs what was not made is left out.
LIMIT = 900.0

_SMALL = {
    "split": {"folds": 2, "repeats": 1},
    "train": {"inner_folds": 2, "trials": 1, "seconds": None},
    "evaluate": {"resamples": 2000},
    "audit": {"candidates": ["linear"], "folds": 2, "repeats": 1, "inner_folds": 2, "draws": 1},
    "explain": {"background": 4, "shuffles": 2, "resamples": 200, "correlated": 0.8, "patients": 2000},
    "added_value": {"candidates": ["linear"]},
}
_CANDIDATES = ("reference", "linear", "svm", "forest", "xgboost", "catboost", "mlp", "cnn1d")
_BEFORE, _AFTER = (
    ("ingest", "gate", "describe", "split"),
    ("added_value", "evaluate", "explain", "audit", "register", "report"),
)


def table(rows: int, columns: int, *, timed: bool, seed: int = 1) -> pd.DataFrame:
    """A table of as many patients: a quarter of its features is nominal with three levels, the rest are numbers."""
    rng = np.random.default_rng(seed)
    nominal = columns // 4
    numbers = rng.normal(size=(rows, columns - nominal))
    levels = rng.integers(0, 3, size=(rows, nominal))
    score = numbers[:, :3] @ [0.6, 0.4, 0.3] + 0.4 * (levels[:, 0] == 2)
    found = pd.DataFrame(np.round(numbers, 4), columns=[f"number_{i:03d}" for i in range(numbers.shape[1])])
    for place in range(nominal):
        found[f"level_{place:03d}"] = np.array(["low", "middle", "high"])[levels[:, place]]
    if timed:
        relapse, followed = rng.exponential(6 * np.exp(-score)), rng.uniform(1, 10, rows)
        return found.assign(
            time=np.round(np.minimum(relapse, followed), 4) + 0.01, event=(relapse <= followed).astype(int)
        )
    return found.assign(event=(rng.random(rows) < 1 / (1 + np.exp(1.4 - score))).astype(int))


def declaration(columns: list[str], *, timed: bool) -> dict[str, Any]:
    """The declaration of :func:`table`."""
    features = {
        name: {"type": "nominal", "levels": ["low", "middle", "high"]}
        if name.startswith("level")
        else {"type": "continuous", "range": [-8, 8]}
        for name in columns
        if name not in ("time", "event")
    }
    endpoint: dict[str, Any] = {"kind": "binary", "event": "event"}
    if timed:
        endpoint = {"kind": "survival", "time": "time", "unit": "year", "event": "event", "horizons": ["3 y", "5 y"]}
    return {
        "name": "grown",
        "title": "Simulated patients",
        "source": {"csv": "data/raw/grown.csv"},
        "licence": "none",
        "citation": "none",
        "endpoint": endpoint,
        "features": features,
        "reference": ["number_000", "number_001"],
        "imbalance": "none",
    }


def project(folder: Path, rows: int, columns: int, *, timed: bool) -> Path:
    """A folder in which the stages can run on such a table."""
    (folder / "data" / "raw").mkdir(parents=True)
    (folder / "data" / "cohorts").mkdir()
    frame = table(rows, columns, timed=timed)
    frame.to_csv(folder / "data" / "raw" / "grown.csv", index=False)
    declared = declaration(list(frame.columns), timed=timed)
    (folder / "data" / "cohorts" / "grown.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    params(folder, cohorts=["grown"], candidates=list(_CANDIDATES), **_SMALL)
    return folder


def params(folder: Path, *, cohorts: list[str], candidates: list[str], **sections: Any) -> None:
    """Write ``params.yaml`` of this repository with other sections in its default budget."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content |= {"cohorts": cohorts, "candidates": candidates, "budget": "default"}
    content["budgets"]["default"] |= sections
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def predicted(folder: Path, rows: int, *, timed: bool, seed: int = 1) -> Path:
    """A table of predictions for as many patients, by a model that ranks them as well as one can."""
    frame = table(rows, 20, timed=timed, seed=seed)
    score = frame[["number_000", "number_001", "number_002"]].to_numpy() @ [0.6, 0.4, 0.3]
    found = pd.DataFrame({"event": frame["event"], "score": score})
    if timed:
        hazard = np.exp(score + 0.1) / 6
        found = found.assign(time=frame["time"], risk_3y=-np.expm1(-3 * hazard), risk_5y=-np.expm1(-5 * hazard))
    else:
        found["risk"] = 1 / (1 + np.exp(1.3 - score))
    found.to_parquet(folder / "predictions.parquet")
    return folder / "predictions.parquet"


def measured(folder: Path, stage: str, *asked: str, limit: float, workers: int = 1) -> tuple[float, float, float, str]:
    """Wall and processor seconds, peak MiB, and what went wrong in a few words, of one stage."""
    return ended(
        [sys.executable, str(ROOT / "pipelines" / f"{stage}.py"), *asked], folder, limit=limit, workers=workers
    )


def ended(command: list[str], folder: Path, *, limit: float, workers: int) -> tuple[float, float, float, str]:
    """The same of any command."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "RELAPSE_WORKERS": str(workers), "OMP_NUM_THREADS": "1"}
    start, said = time.perf_counter(), folder / "said.txt"
    with said.open("w") as stream:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit))),
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall, worked, peak = time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    if child.returncode < 0:
        wrong = f"ended after {limit:.0f} s" if worked >= 0.95 * limit else f"killed by signal {-child.returncode}"
    else:
        wrong = (said.read_text().strip().splitlines() or ["?"])[-1][:90] if child.returncode else ""
    return wall, worked, peak, wrong


def grown(rows: list[int], columns: int, *, timed: bool, limit: float, most: int) -> None:
    """Print a line a stage and size."""
    before: dict[str, tuple[int, float]] = {}
    kind = "survival" if timed else "yes or no"
    for number in rows:
        print(
            f"\n{kind}, {number:,} patients x {columns} columns   {'wall s':>9}{'cpu s':>9}{'MiB':>8}{'exponent':>10}"
        )
        with tempfile.TemporaryDirectory() as temporary:
            folder = project(Path(temporary), number, columns, timed=timed)
            for stage, *asked in stages(number > most):
                name = asked[-1] if asked else stage
                if stage == "predictions":
                    at = predicted(folder, number, timed=timed)
                    evaluate = ["relapse", "evaluate", str(at), "--unit", "year"]
                    wall, worked, peak, wrong = ended(evaluate, folder, limit=limit, workers=1)
                else:
                    wall, worked, peak, wrong = measured(folder, stage, "--cohort", "grown", *asked, limit=limit)
                wrong = wrong or not_trained(folder, name)
                exponent = ""
                if name in before and not wrong:
                    size, seconds = before[name]
                    exponent = f"{math.log(worked / seconds) / math.log(number / size):10.2f}"
                if not wrong:
                    before[name] = number, worked
                print(
                    f"  {name:<36}{wall:9.1f}{worked:9.1f}{peak:8.0f}{exponent or (wrong and '  ' + wrong)}", flush=True
                )


def stages(only_gate: bool) -> Iterator[tuple[str, ...]]:
    """The stages in their order, ``train`` once a candidate; of the largest tables those before training."""
    yield from ((stage,) for stage in _BEFORE)
    yield ("predictions",)
    if only_gate:
        return
    yield from (("train", "--candidate", name) for name in _CANDIDATES)
    yield from ((stage,) for stage in _AFTER)


def not_trained(folder: Path, candidate: str) -> str:
    """Why a candidate was not trained, if it has a record that says so."""
    record = folder / "results" / "train" / "grown" / candidate / "record.json"
    return str(json.loads(record.read_text()).get("failed", ""))[:160] if record.is_file() else ""


def workers(limit: float) -> None:
    """Print wall seconds of training with 1, 2 and 4 workers."""
    print(f"\n{os.cpu_count()} cores; wall seconds of training, 1,000 patients x 20 columns, 5 outer folds, 8 trials")
    print(f"{'':<14}" + "".join(f"{count:>4} workers" for count in (1, 2, 4)) + "   speed-up")
    with tempfile.TemporaryDirectory() as temporary:
        folder = project(Path(temporary), 1000, 20, timed=True)
        train = {"inner_folds": 3, "trials": 8, "seconds": None}
        params(
            folder,
            cohorts=["grown"],
            candidates=list(_CANDIDATES),
            **_SMALL | {"split": {"folds": 5, "repeats": 1}, "train": train},
        )
        for stage in _BEFORE:
            measured(folder, stage, "--cohort", "grown", limit=limit)
        for name in ("linear", "xgboost", "mlp"):
            taken = []
            for count in (1, 2, 4):
                # Finished trials are kept; they would be found.
                for kept in (folder / ".cache").glob("optuna"):
                    kept.rename(folder / f"kept-{name}-{count}")
                asked = ("--cohort", "grown", "--candidate", name)
                taken.append(measured(folder, "train", *asked, limit=limit, workers=count)[0])
            print(
                f"{name:<14}"
                + "".join(f"{wall:12.1f}" for wall in taken)
                + "   "
                + ", ".join(f"{taken[0] / wall:.2f}" for wall in taken),
                flush=True,
            )


def publication(folder: Path, cohort: str) -> None:
    """Print what training took in a run of the publication budget, and what it would take on other numbers of cores."""
    jobs: list[float] = []
    print(f"\n{cohort}, publication budget: seconds of work of a job (one outer fold, or the final model)")
    for path in sorted((folder / "results" / "train" / cohort).glob("*/record.json")):
        record = json.loads(path.read_text())
        if "seconds" not in record:
            continue
        number = len(record["folds"]) + 1
        jobs += [record["seconds"] / number] * number
        print(f"  {record['candidate']:<14}{record['seconds'] / number:8.1f} x {number}")
    print(
        "wall hours, each job taken by the first free core: "
        + ", ".join(f"{laid_out(jobs, cores) / 3600:.2f} on {cores}" for cores in (1, 8, 64))
    )


def laid_out(jobs: list[float], cores: int) -> float:
    """When the last of ``jobs`` ends, each taken in turn by the core that is free first, the longest ones first."""
    free = [0.0] * cores
    for seconds in sorted(jobs, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["survival", "binary", "wide", "workers", "publication"], action="append")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--most", type=int, default=100_000, help="larger tables are not trained on")
    parser.add_argument("--limit", type=float, default=LIMIT, help="processor seconds of a stage")
    parser.add_argument("--project", type=Path, default=ROOT, help="where the publication budget was run")
    parser.add_argument("--cohort", default="wpbc")
    asked = parser.parse_args()
    parts = asked.part or ["survival", "binary", "wide", "workers"]
    for kind in ("survival", "binary"):
        if kind in parts:
            grown(asked.rows, 20, timed=kind == "survival", limit=asked.limit, most=asked.most)
    if "wide" in parts:
        grown([1_000], 500, timed=True, limit=asked.limit, most=asked.most)
    if "workers" in parts:
        workers(asked.limit)
    if "publication" in parts:
        publication(asked.project, asked.cohort)


if __name__ == "__main__":
    main()
