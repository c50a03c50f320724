"""The nested protocol against the same protocol written plainly with scikit-learn, and where the time goes.

Run with ``python -P benchmarks/protocol.py [--trials 25]``. Both sides search the same number of hyperparameter sets in
the same outer folds, with patients kept together, in one process with one thread; the plain side draws them at random,
prunes nothing, trains its networks one after the other, and neither recalibrates nor keeps anything. Both compare
networks as ensembles of two. Seconds are those of the processor, which other work on the machine does not lengthen;
the totals also give wall-clock time.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator, PredefinedSplit, RandomizedSearchCV, cross_val_predict

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import MODULES, family
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest, typed
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.training.nested import train
from relapse.training.splits import derived_seed, fold_numbers, outer_folds
from relapse.training.tuning import discrimination

ROOT = Path(__file__).resolve().parents[1]
SEED = 20260713
INNER = 3


class Drawn(BaseEstimator):
    """One candidate with a set of hyperparameters by number, as scikit-learn's searches want it."""

    def __init__(self, candidate: str, cohort: Cohort, sets: list[dict[str, object]], number: int = 0) -> None:
        self.candidate = candidate
        self.cohort = cohort
        self.sets = sets
        self.number = number

    def fit(self, X: pd.DataFrame, y: NDArray[np.void]) -> "Drawn":
        """Fit the chosen set."""
        head = family(self.candidate).head(self.cohort)
        self.model_ = head.build(self.cohort, self.sets[self.number] | head.draft, 0).fit(X, y)
        return self

    def predict(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Scores (n,)."""
        return self.model_.predict_score(X)

    def score(self, X: pd.DataFrame, y: NDArray[np.void]) -> float:
        """AUC or C."""
        return discrimination(y, self.predict(X), self.cohort)


class Folds(BaseCrossValidator):
    """The project's own inner folds, drawn from the rows that the search is given."""

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Inner folds."""
        return INNER

    def split(self, X, y=None, groups=None):
        """Pairs of training and test positions."""
        numbers = fold_numbers(X, folds=INNER, seed=derived_seed(SEED, "inner"))
        return PredefinedSplit(numbers).split()


def plainly(
    table: pd.DataFrame, cohort: Cohort, candidate: str, outer: NDArray[np.int_], trials: int
) -> NDArray[np.float64]:
    head = family(candidate).head(cohort)
    trials = trials if head.space else 1
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    sets = [head.draw(study.ask(), cohort) for _ in range(trials)]
    search = RandomizedSearchCV(
        Drawn(candidate, cohort, sets), {"number": list(range(trials))}, n_iter=trials, cv=Folds(), random_state=SEED
    )
    return cross_val_predict(search, table, outcome(table, cohort), cv=PredefinedSplit(outer))


@dataclass(frozen=True)
class Taken:
    """Seconds of the processor and of the clock."""

    processor: float
    clock: float

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(self.processor + other.processor, self.clock + other.clock)


def timed(work: Callable[[], Any]) -> tuple[Any, Taken]:
    processor, clock = time.process_time(), time.perf_counter()
    found = work()
    return found, Taken(time.process_time() - processor, time.perf_counter() - clock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--cohorts", nargs="+", default=["gbsg", "wpbc"])
    parser.add_argument("--candidates", nargs="+", default=list(MODULES))
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    machine = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="loky")
    params = TrainParams(inner_folds=INNER, trials=options.trials)
    for name in options.cohorts:
        cohort = read_cohort(ROOT / "data" / "cohorts" / f"{name}.yaml")
        table = typed(ingest(cohort, root=ROOT)[0], cohort)
        target, folds = outcome(table, cohort), outer_folds(table, folds=5, repeats=1, seed=SEED)
        outer = folds.set_index("row")["fold"].loc[table["row"]].to_numpy()
        metric = "C" if cohort.survival else "AUC"
        print(f"\n{name}: {options.trials} trials, 5 outer and {INNER} inner folds, one process")
        print(f"  {'candidate':10} {'nested s':>9} {metric:>6} {'pruned':>7} {'plain s':>9} {metric:>6} {'ratio':>6}")
        ours, theirs = Taken(0, 0), Taken(0, 0)
        for candidate in options.candidates:
            arguments = table, cohort, candidate, folds
            trained, nested = timed(lambda some=arguments: train(*some, params=params, seed=SEED, machinery=machine))
            score = trained.predictions.set_index("row")["score"].loc[table["row"]].to_numpy()
            arguments = table, cohort, candidate, outer, options.trials
            scored, plain = timed(lambda some=arguments: plainly(*some))
            ours, theirs = ours + nested, theirs + plain
            print(
                f"  {candidate:10} {nested.processor:9.1f} {discrimination(target, score, cohort):6.3f} "
                f"{(trained.trials['state'] == 'pruned').mean():7.0%} {plain.processor:9.1f} "
                f"{discrimination(target, scored, cohort):6.3f} {plain.processor / nested.processor:5.1f}x",
                flush=True,
            )
        print(f"  {'all':10} {ours.processor:9.1f} {'':14} {theirs.processor:9.1f} {'':6} ", end="")
        print(f"{theirs.processor / ours.processor:5.1f}x  (clock {ours.clock:.0f} s and {theirs.clock:.0f} s)")
    print("\nThe protocol also tunes and fits the final model on all rows: six searches, where the plain way has five.")


if __name__ == "__main__":
    main()
