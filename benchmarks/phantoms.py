"""Whether the imaging arm finds what phantoms hide, and nothing where nothing is hidden; whether N4 undoes their bias.

``python -P benchmarks/phantoms.py`` from the repository root: 200 phantoms are drawn, prepared as the cohort
``phantoms`` declares, and cross-validated with the candidate's own code, once with the planted signal and once with
outcomes that do not hang on it. *The picture* is the picture's score alone, against the *oracle*, the hidden score;
*the model* is the whole candidate, receptors included, against the hidden log-hazard. Scores are compared as ranks
within test folds; intervals come from resampled patients. With ``--folder`` a second run makes no picture again.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from relapse.candidates.base import outcome  # noqa: E402
from relapse.candidates.catalogue import family  # noqa: E402
from relapse.candidates.picture_score import picture_step  # noqa: E402
from relapse.cohorts.blocked import IMAGE  # noqa: E402
from relapse.cohorts.catalogue import read_cohort  # noqa: E402
from relapse.cohorts.schema import Cohort  # noqa: E402
from relapse.cohorts.table import ingest, read_table  # noqa: E402
from relapse.evaluation.statistics.ranking.concordance import concordance  # noqa: E402
from relapse.ground.files import write_csv, write_parquet  # noqa: E402
from relapse.ground.workspace import Workspace  # noqa: E402
from relapse.imaging.correction import estimate, foreground  # noqa: E402
from relapse.imaging.joined import Kept, join_images  # noqa: E402
from relapse.imaging.phantoms import (  # noqa: E402
    CLINICAL,
    FAT,
    TRUTH,
    Phantoms,
    draw_patients,
    draw_phantom,
    write_phantoms,
)
from relapse.machinery import Machinery  # noqa: E402
from relapse.training.splits import derived_seed, fold_numbers  # noqa: E402

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """C of the arm and of the oracle, and the arm's and their difference's 95% intervals."""

    arm: float
    oracle: float
    interval: tuple[float, float]
    lacking: tuple[float, float]

    def __str__(self) -> str:
        return (
            f"C {self.arm:.3f} ({self.interval[0]:.3f} to {self.interval[1]:.3f}), oracle {self.oracle:.3f}, "
            f"which is better by {self.lacking[0]:.3f} to {self.lacking[1]:.3f}"
        )


def within(score: Array, fold: NDArray[np.int_]) -> Array:
    """Ranks within folds, as shares: folds have models of their own."""
    return pd.Series(score).groupby(fold).rank(pct=True).to_numpy()


def compared(target: NDArray[np.void], arm: Array, oracle: Array, *, resamples: int) -> Found:
    rng = np.random.default_rng(0)

    def both(rows: NDArray[np.int_]) -> tuple[float, float]:
        one, other = (concordance(target["time"][rows], target["event"][rows], score[rows]) for score in (arm, oracle))
        return one, other

    drawn = np.array([both(rng.integers(0, len(arm), len(arm))) for _ in range(resamples)])
    mine, theirs = both(np.arange(len(arm)))
    interval, lacking = (np.percentile(one, [2.5, 97.5]) for one in (drawn[:, 0], drawn[:, 1] - drawn[:, 0]))
    return Found(mine, theirs, (interval[0], interval[1]), (lacking[0], lacking[1]))


def prepared(cohort: Cohort, root: Path, machinery: Machinery) -> pd.DataFrame:
    at = Workspace(cohort.name, root)
    found = ingest(cohort, root=root)
    found = join_images(
        found, cohort.images, Kept(at.kept_pictures, at.pictures, at.contact_sheets), root=root, machinery=machinery
    )
    write_parquet(at.table, found.table)
    return read_table(at.table, cohort)


def crossed(
    table: pd.DataFrame, cohort: Cohort, network: str, *, folds: int, seed: int
) -> tuple[NDArray[np.int_], Array, Array]:
    """Folds (n,), and out of them the picture's scores and the model's (n,)."""
    target = outcome(table, cohort)
    fold = fold_numbers(table, folds=folds, seed=seed)
    head = family(network).head(cohort)
    models = [head.build(cohort, {}, derived_seed(seed, "fold", number)) for number in range(folds)]
    train = [np.flatnonzero(fold != number) for number in range(folds)]
    head.fit_together(models, [table.iloc[rows] for rows in train], [target[rows] for rows in train])
    seen, score = np.empty(len(table)), np.empty(len(table))
    for number, model in enumerate(models):
        test = table[fold == number]
        seen[fold == number] = picture_step(model.transform_).transform(test[[IMAGE]])[:, 0]
        score[fold == number] = model.predict_score(test)
    return fold, seen, score


def bias_undone(cohort: Cohort, phantoms: Phantoms, most: int) -> tuple[float, float, float, float]:
    """Correlation of the planted and the found log-field, the deviation left of it, and fat's CV before and after."""
    figures = []
    clinical, truth = draw_patients(phantoms)
    for number in range(min(most, phantoms.patients)):
        made = draw_phantom(
            phantoms,
            number,
            texture=truth["texture"][number],
            washout=truth["washout"][number],
            site=clinical["site"][number],
        )
        middle = int(np.flatnonzero(made.mask.any(axis=(0, 1))).mean())
        seen, planted = made.phases[0][:, :, middle], np.log(made.bias[:, :, middle])
        spacing = (float(made.affine[0, 0]), float(made.affine[1, 1]))
        field = estimate(seen, spacing, cohort.images.preprocessing.correction)
        found = field.factor(slice(None), slice(None), shape=seen.shape)
        tissue, fat = foreground(seen), made.tissue[:, :, middle] == FAT
        variation = [float(one[fat].std() / one[fat].mean()) for one in (seen, seen / found)]
        together = np.corrcoef(planted[tissue], np.log(found[tissue]))[0, 1]
        left = (planted - np.log(found))[tissue].std() / planted[tissue].std()
        figures.append((together, left, *variation))
    return tuple(np.median(figures, axis=0))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", type=float, default=Phantoms().signal)
    parser.add_argument("--shape", type=int, nargs=3, default=Phantoms().shape)
    parser.add_argument("--network", default="efficientnet_lite0")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where volumes, pictures and maps are kept from run to run")
    asked = parser.parse_args(arguments)
    machine = Machinery(workers=asked.workers, tracking_uri="", artifact_root=None, backend="loky")
    cohort = read_cohort(ROOT / "data" / "cohorts" / "phantoms.yaml")
    phantoms = Phantoms(asked.patients, shape=tuple(asked.shape), signal=asked.signal, seed=asked.seed)
    correlation, left, before, after = bias_undone(cohort, phantoms, 20)
    print(f"N4, median of {min(20, phantoms.patients)} slices: planted and found log-field correlate {correlation:.2f}")
    print(f"  and {left:.0%} of its deviation is left; variation of fat {before:.3f} before, {after:.3f} after")
    with tempfile.TemporaryDirectory() as temporary:
        root = (asked.folder or Path(temporary)).resolve()
        volumes, began = root / cohort.images.folder, time.perf_counter()
        if not (volumes / TRUTH).is_file():
            write_phantoms(phantoms, volumes, machine)
        print(f"{phantoms.patients} phantoms drawn, {time.perf_counter() - began:.0f} s", flush=True)
        for signal in (asked.signal, 0.0):
            clinical, truth = draw_patients(replace(phantoms, signal=signal))
            # The volumes are the same: only what becomes of the patients hangs on the signal.
            write_csv(volumes / CLINICAL, clinical)
            began = time.perf_counter()
            table = prepared(cohort, root, machine)
            family(asked.network).head(cohort).prepare(table, cohort, machine)
            ready = time.perf_counter()
            fold, seen, score = crossed(table, cohort, asked.network, folds=asked.folds, seed=asked.seed)
            target, known = outcome(table, cohort), truth.set_index("patient_id").loc[table["patient"]]
            print(
                f"signal {signal:g}: {int(target['event'].sum())} relapses; pictures and maps "
                f"{ready - began:.0f} s, training {time.perf_counter() - ready:.0f} s"
            )
            for name, mine, oracle in (("picture", seen, "score"), ("model", score, "log_hazard")):
                ranks = [within(one, fold) for one in (mine, known[oracle].to_numpy())]
                print(f"  the {name}: {compared(target, *ranks, resamples=asked.resamples)}", flush=True)
            ranks = within(seen, fold)
            told = [f"{name} {np.corrcoef(ranks, known[name])[0, 1]:.2f}" for name in ("score", "texture", "washout")]
            print(f"  the picture's ranks correlate with {', '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
