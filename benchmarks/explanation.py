"""Speed of explanations, and our own Shapley values against those of the shap package.

``OMP_NUM_THREADS=1 python -P benchmarks/explanation.py`` from the repository root, after ``dvc repro explain`` (the
trained fold models are read).

*All of it*: the stage's work, every candidate, with as many workers as the machine gives. *Exact in shap*: families
that the pipeline explains through the package's own explainers, and by the methods that the service has in their place,
made ready anew, on all rows of one fold that the model has not seen. *Of any function*: candidates for which the
package has no exact method, with the same background, on some of those rows. Its Kernel and Permutation explainers run
with their default settings on the model's function of the matrix. *Taken apart*: models of 32 and 500 simulated columns
along random orders, by sums over the columns and by asking about whole rows; needs no trained models (``--apart``).
Seconds are those of the processor, which other work on the machine does not lengthen; differences are the largest one
of a feature's mean |Shapley value|, as a share of the largest mean.
"""

import argparse
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.bundle.model_file import load_model
from relapse.candidates.networks import estimators
from relapse.candidates.networks.estimators import NetworkCox
from relapse.candidates.risk_model import RiskModel
from relapse.candidates.sums import OfSums
from relapse.candidates.svm import SurvivalMargin
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import read_table
from relapse.explanation.background import Background, typical_patients
from relapse.explanation.by_shap import BY_SHAP
from relapse.explanation.coalitions import sampled
from relapse.explanation.out_of_fold import explain
from relapse.explanation.shapley import OWN, Methods, explainer
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params

Array = NDArray[np.float64]

PARAMS = read_params()


def everything(at: Workspace, cohort: Cohort, table: pd.DataFrame, folds: pd.DataFrame) -> None:
    names = at.succeeded(PARAMS.candidates)
    start = time.perf_counter()
    models = {
        name: {fold: load_model(at.fold_model(name, fold)) for fold in range(PARAMS.split.folds)} for name in names
    }
    explain(table, cohort, folds, models, params=PARAMS.explain, seed=PARAMS.seed, machinery=machinery())
    print(
        f"{cohort.name}: all of explain, {len(names)} candidates, {len(table)} rows, {machinery().workers} workers: "
        f"{time.perf_counter() - start:.0f} s wall clock",
        flush=True,
    )


def timed(call: Callable[[], Array]) -> tuple[Array, float]:
    """What a call returns, and the processor's seconds."""
    start = time.process_time()
    return call(), time.process_time() - start


def exact_in_shap(at: Workspace, cohort: Cohort, rows: pd.DataFrame, background: Background) -> None:
    print(f"{len(rows)} rows of {cohort.name}, {len(background.table)} background rows: by shap's explainers, ours")
    for name in ("reference", "linear", "forest", "xgboost", "catboost"):
        model = load_model(at.fold_model(name, 0))

        def values(methods: Methods, model: RiskModel = model) -> Array:
            return explainer(model, background, cohort, methods)(rows).values

        # The library that the model needs is loaded by the first call.
        values(OWN), values(BY_SHAP)
        theirs, its = timed(lambda values=values: values(BY_SHAP))
        ours, seconds = timed(lambda values=values: values(OWN))
        print(
            f"{name:<12}{its:>9.3f} s{seconds:>9.3f} s{seconds / its:>6.1f}x, {np.abs(ours - theirs).max():.0e}",
            flush=True,
        )


def of_any_function(at: Workspace, cohort: Cohort, shown: pd.DataFrame, typical: Background) -> None:
    import shap

    # Its first call compiles.
    masker = shap.maskers.Independent(np.zeros((2, 3)))
    shap.PermutationExplainer(lambda rows: rows.sum(axis=1), masker)(np.ones((2, 3)), silent=True)
    # The Permutation explainer knows no weights.
    background = Background(typical.table, np.full(len(typical.table), 1 / len(typical.table)))
    print(f"{len(shown)} rows of {cohort.name}, {len(background.table)} background rows: ours, Kernel, Permutation")
    for name in ("svm", "mlp", "cnn1d"):
        model = load_model(at.fold_model(name, 0))
        ready = explainer(model, background, cohort)
        parts = ready.parts
        output = parts.output
        matrix, around = parts.matrix(shown), parts.matrix(background.table)
        columns = np.eye(len(parts.used))[parts.owner]
        ours, seconds = timed(lambda ready=ready: ready(shown).values)
        ours = ours[:, [cohort.predictors.index(feature) for feature in parts.used]]
        np.random.seed(0)  # noqa: NPY002 - the Kernel explainer draws from numpy's global state
        kernel, its = timed(
            lambda output=output, around=around, matrix=matrix: shap.KernelExplainer(output, around).shap_values(
                matrix, silent=True
            )
        )
        walk = shap.PermutationExplainer(output, shap.maskers.Independent(around, max_samples=len(around)), seed=0)
        permutation, theirs = timed(lambda walk=walk, matrix=matrix: walk(matrix, silent=True).values)
        kernel, permutation = kernel @ columns, permutation @ columns
        print(
            f"{name:<12}{seconds:>22.2f} s"
            f"{its:>12.1f} s{its / seconds:>6.0f}x, {_difference(ours, kernel)}"
            f"{theirs:>12.1f} s{theirs / seconds:>6.0f}x, {_difference(ours, permutation)}",
            flush=True,
        )


def taken_apart() -> None:
    print("10 rows, 10 background rows, random orders: by sums, by rows")
    rng = np.random.default_rng(1)
    for columns in (32, 500):
        X = rng.normal(size=(300, columns))
        until, event = rng.exponential(np.exp(-X[:, 0])), rng.random(300) < 0.6
        y = np.array(list(zip(event, until, strict=True)), dtype=[("event", bool), ("time", float)])
        models = {
            "radial kernel": SurvivalMargin(kernel="rbf", gamma=0.5 / columns),
            "MLP": NetworkCox(width=16),
            "1D-CNN": NetworkCox(body="cnn1d", width=8),
        }
        for name, model in models.items():
            model.fit(X, y)
            kind = np.float32 if isinstance(model, NetworkCox) else np.float64
            rows, background = X[:10].astype(kind), X[10:20].astype(kind)

            def values(of_sums: OfSums | None, model=model, rows=rows, background=background) -> Array:
                every = np.arange(rows.shape[1])
                weights = np.full(len(background), 1 / len(background))
                return sampled(
                    model.predict, rows, background, weights=weights, owner=every, features=len(every), of_sums=of_sums
                )

            ours, seconds = timed(lambda values=values, model=model: values(model.taken_apart()))
            asked, theirs = timed(lambda values=values: values(None))
            print(
                f"{name + f', {columns} columns':<28}{seconds:>8.2f} s{theirs:>8.2f} s{theirs / seconds:>6.1f}x, "
                f"{np.abs(ours - asked).max() / np.abs(asked).max():.0e}",
                flush=True,
            )


def _difference(ours: Array, theirs: Array) -> str:
    mine, other = np.abs(ours).mean(axis=0), np.abs(theirs).mean(axis=0)
    return f"{np.abs(mine - other).max() / mine.max():.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=40, help="rows explained where shap has no exact method")
    parser.add_argument("--apart", action="store_true", help="only models taken apart")
    asked = parser.parse_args()
    # Networks are asked about sums here whatever the number of columns, and nowhere else.
    with mock.patch.object(estimators, "FEW", 0):
        taken_apart()
    if asked.apart:
        return
    rows = asked.rows
    for name in PARAMS.cohorts:
        at = Workspace(name)
        cohort = read_cohort(at.resolved)
        table, folds = read_table(at.table, cohort), pd.read_parquet(at.folds)
        everything(at, cohort, table, folds)
        first = folds[folds["repeat"] == 0].set_index("row")["fold"]
        held_out = (first.loc[table["row"]] == 0).to_numpy()
        typical = typical_patients(table[~held_out], cohort, size=PARAMS.explain.background)
        exact_in_shap(at, cohort, table[held_out], typical)
        of_any_function(at, cohort, table[held_out][:rows], typical)


if __name__ == "__main__":
    main()
