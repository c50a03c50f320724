"""Tuning and fitting on many sets of rows at once, for families that train many models as one program.

The hyperparameter sets are drawn before any data is seen, the same for every outer fold, so that one program can train
a set on all of them. An adaptive search over outer folds in common would leak: what it proposes next would hang on
inner results from rows that are test rows elsewhere. Drawn blindly, a set carries nothing from one fold to another, and
each still chooses by its own inner predictions alone.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.base import Family, Head, Params, outcome
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.console import progress
from relapse.errors import TrainingError
from relapse.settings import Machinery
from relapse.training.kept_sets import Tried, folder_of, read_set, write_set
from relapse.training.splits import derived_seed, fold_numbers
from relapse.training.tuning import FIT_FAILURES, TrialRecord, Tuned, discrimination, with_learnt_risks

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What one model of the protocol may see: an outer fold's training rows, or all rows for the final model."""

    table: pd.DataFrame
    target: NDArray[Any]
    inner: NDArray[np.int_]
    seed: int


def tune_and_fit_together(
    tables: Sequence[pd.DataFrame],
    cohort: Cohort,
    family: Family,
    *,
    inner_folds: int,
    trials: int,
    seeds: Sequence[int],
    machinery: Machinery,
) -> tuple[list[Tuned], float]:
    """Do for each table what :func:`relapse.training.tuning.tune_and_fit` does for one; also the seconds of work.

    Parameters
    ----------
    tables
        The rows that each model may see.
    trials
        Sets of hyperparameters, drawn at random from the family's space.
    seeds
        One a table; the first also seeds the drawing of the sets.
    machinery
        Workers share out the sets, then the tables; neither changes a prediction.

    Raises
    ------
    TrainingError
        A table on which no set succeeded.
    """
    from joblib import Parallel, delayed, parallel_config

    head = family.head(cohort)
    if head is None or head.fit_together is None:
        raise TypeError(f"{family.name} does not train models together.")
    rows = [
        _Rows(
            table,
            outcome(table, cohort),
            fold_numbers(table, folds=inner_folds, seed=derived_seed(seed, "inner")),
            seed,
        )
        for table, seed in zip(tables, seeds, strict=True)
    ]
    sets = _drawn(head, cohort, trials, seed=seeds[0])
    label = f"{cohort.name} {family.name}"
    name = f"{cohort.name}-{family.name}-{trials}"
    kept = folder_of(machinery.storage, name, tables, cohort, seeds=seeds, folds=inner_folds)
    with parallel_config(backend=machinery.backend, n_jobs=machinery.workers):
        compared = Parallel(return_as="generator")(
            delayed(_compare)(params, rows, cohort, head, kept / f"{number}.npz" if kept else None)
            for number, params in enumerate(sets)
        )
        results = list(progress(compared, total=len(sets), label=label))
        chosen = [_best(index, results, sets, family) for index in range(len(rows))]
        # Each with its own members only: what stands beside it in a batch must not hang on the other folds' choices.
        fits = Parallel(return_as="generator")(
            delayed(_fit)(one, params, tried, cohort, head) for one, (params, tried) in zip(rows, chosen, strict=True)
        )
        fitted = list(progress(fits, total=len(rows), label=f"{label}, chosen sets"))
    tuned = [
        Tuned(model, params, tuple(_record(number, index, sets, results) for number in range(len(sets))))
        for index, ((model, _), (params, _)) in enumerate(zip(fitted, chosen, strict=True))
    ]
    return tuned, sum(seconds for _, seconds in [*results, *fitted])


def _drawn(head: Head, cohort: Cohort, trials: int, *, seed: int) -> list[Params]:
    if head.space is None:
        return [{}]
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [head.draw(study.ask(), cohort) for _ in range(trials)]


def _compare(
    params: Params, rows: list[_Rows], cohort: Cohort, head: Head, path: Path | None
) -> tuple[list[Tried], float]:
    """One set on all tables and their inner folds, as one program, and the seconds it took; read where it is kept."""
    from threadpoolctl import threadpool_limits

    if path is not None and path.is_file():
        return read_set(path)
    start = time.perf_counter()
    with threadpool_limits(limits=1):
        try:
            tried = _inner_predictions(params, rows, cohort, head)
        except FIT_FAILURES:
            # One table may have failed for all of them.
            tried = [_alone(params, one, cohort, head) for one in rows]
    seconds = time.perf_counter() - start
    if path is not None:
        write_set(path, tried, seconds)
    return tried, seconds


def _inner_predictions(params: Params, rows: list[_Rows], cohort: Cohort, head: Head) -> list[Tried]:
    parts = [(one, one.inner == fold) for one in rows for fold in range(one.inner.max() + 1)]
    models = [head.build(cohort, params | head.draft, one.seed) for one, _ in parts]
    assert head.fit_together is not None
    head.fit_together(models, [one.table[~test] for one, test in parts], [one.target[~test] for one, test in parts])
    held_out = {id(one): np.empty(len(one.table)) for one in rows}
    values: dict[int, list[float]] = {id(one): [] for one in rows}
    for model, (one, test) in zip(models, parts, strict=True):
        score = model.predict_score(one.table[test])
        held_out[id(one)][test] = score
        finite = bool(np.isfinite(score).all())
        values[id(one)].append(discrimination(one.target[test], score, cohort) if finite else np.nan)
    return [_tried(held_out[id(one)], float(np.mean(values[id(one)]))) for one in rows]


def _tried(held_out: Array, value: float) -> Tried:
    if np.isfinite(value):
        return Tried(held_out, value, "")
    return Tried(None, value, "ValueError: the model gave predictions that are not finite")


def _alone(params: Params, one: _Rows, cohort: Cohort, head: Head) -> Tried:
    try:
        return _inner_predictions(params, [one], cohort, head)[0]
    except FIT_FAILURES as error:
        return Tried(None, float("nan"), f"{type(error).__name__}: {error}")


def _best(
    index: int, results: list[tuple[list[Tried], float]], sets: list[Params], family: Family
) -> tuple[Params, Array]:
    """The set with which a table's inner predictions were best, the first of equals, and those predictions."""
    best: tuple[float, Params, Array] | None = None
    for params, (tried, _) in zip(sets, results, strict=True):
        found = tried[index]
        if found.held_out is not None and (best is None or found.value > best[0]):
            best = (found.value, params, found.held_out)
    if best is None:
        errors = sorted({tried[index].error for tried, _ in results})
        raise TrainingError(f"{family.title}: none of {len(sets)} trials succeeded ({'; '.join(errors)}).")
    return best[1:]


def _fit(rows: _Rows, params: Params, held_out: Array, cohort: Cohort, head: Head) -> tuple[RiskModel, float]:
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    with threadpool_limits(limits=1):
        fitted = head.build(cohort, params, rows.seed).fit(rows.table, rows.target)
        model = with_learnt_risks(fitted, held_out, rows.target, rows.inner, cohort)
    return model, time.perf_counter() - start


def _record(number: int, index: int, sets: list[Params], results: list[tuple[list[Tried], float]]) -> TrialRecord:
    tried, seconds = results[number]
    found = tried[index]
    return TrialRecord(
        number=number,
        state="fail" if found.error else "complete",
        value=found.value,
        params=json.dumps(sets[number], sort_keys=True),
        seconds=seconds / len(tried),
        error=found.error,
    )
