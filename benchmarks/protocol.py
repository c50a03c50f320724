"""The nested protocol against the same protocol written plainly with scikit-learn, and where the time goes.

Run with ``python benchmarks/protocol.py [--trials 25]``. Both sides search the same number of hyperparameter sets in
the same outer folds, with patients kept together, in one process; the plain side draws them at random, prunes nothing
and neither recalibrates nor keeps anything.
"""

import argparse
import time
import warnings
from pathlib import Path

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
from relapse.settings import Machinery, TrainParams
from relapse.training.nested import train
from relapse.training.splits import derived_seed, fold_numbers, outer_folds
from relapse.training.tuning import discrimination

ROOT = Path(__file__).resolve().parents[1]
SEED = 20260713
INNER = 3
#: Compared with the plain way; the others are timed only.
COMPARED = ("linear", "xgboost", "forest")


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
        self.model_ = head.build(self.cohort, self.sets[self.number], 0).fit(X, y)
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
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    sets = [head.draw(study.ask(), cohort) for _ in range(trials)]
    search = RandomizedSearchCV(
        Drawn(candidate, cohort, sets), {"number": list(range(trials))}, n_iter=trials, cv=Folds(), random_state=SEED
    )
    return cross_val_predict(search, table, outcome(table, cohort), cv=PredefinedSplit(outer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--cohorts", nargs="+", default=["gbsg", "wpbc"])
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    machine = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="loky")
    params = TrainParams(inner_folds=INNER, trials=options.trials)
    for name in options.cohorts:
        cohort = read_cohort(ROOT / "data" / "cohorts" / f"{name}.yaml")
        table = typed(ingest(cohort, root=ROOT)[0], cohort)
        target, folds = outcome(table, cohort), outer_folds(table, folds=5, repeats=1, seed=SEED)
        metric = "C" if cohort.survival else "AUC"
        print(f"\n{name}: {options.trials} trials, 5 outer and {INNER} inner folds, one process")
        print(
            f"  {'candidate':10} {'nested s':>10} {metric:>6} {'trials s':>9} {'pruned':>7} {'plain s':>8} {metric:>6}"
        )
        for candidate in MODULES:
            start = time.perf_counter()
            trained = train(table, cohort, candidate, folds, params=params, seed=SEED, machinery=machine)
            seconds = time.perf_counter() - start
            score = trained.predictions.set_index("row")["score"].loc[table["row"]].to_numpy()
            pruned = (trained.trials["state"] == "pruned").mean()
            line = f"  {candidate:10} {seconds:10.1f} {discrimination(target, score, cohort):6.3f}"
            line += f" {trained.trials['seconds'].sum():9.1f} {pruned:7.0%}"
            if candidate in COMPARED:
                start = time.perf_counter()
                outer = folds.set_index("row")["fold"].loc[table["row"]].to_numpy()
                plain = plainly(table, cohort, candidate, outer, options.trials)
                line += f" {time.perf_counter() - start:8.1f} {discrimination(target, plain, cohort):6.3f}"
            print(line, flush=True)
    print("\nThe protocol also tunes and fits the final model on all rows: six searches, where the plain way has five.")


if __name__ == "__main__":
    main()
