"""Tuning and fitting on many sets of rows at once, for families that train many models as one program.

The hyperparameter sets are drawn before any data is seen, the same for every outer fold, so that one program can train
a set on all of them. An adaptive search over outer folds in common would leak: what it proposes next would hang on
inner results from rows that are test rows elsewhere. Drawn blindly, a set carries nothing from one fold to another, and
each still chooses by its own inner predictions alone.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.base import Family, Head, Params, outcome
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import caches
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import NoTrialError
from relapse.machinery import Machinery
from relapse.preprocessing.encodings import Encodings
from relapse.training.kept_sets import FinishedSet, KeptSets, Tried, kept_sets
from relapse.training.splits import derived_seed, fold_numbers
from relapse.training.studies import blind_trials
from relapse.training.tuning import (
    FIT_FAILURES,
    UNORDERED,
    TrialRecord,
    Tuned,
    discrimination,
    over_folds,
    with_learnt_risks,
)
from relapse.workers import shared_out

Array = NDArray[np.float64]

#: Up to so many sets are compared on all inner folds, and as many go on to the other folds at least.
FEW = 5


@dataclass(frozen=True, slots=True)
class _Rows:
    """What one model of the protocol may see: an outer fold's training rows, or all rows for the final model."""

    table: pd.DataFrame
    target: NDArray[Any]
    inner: NDArray[np.int_]
    seed: int
    encodings: Encodings | None

    @classmethod
    def of(cls, table: pd.DataFrame, cohort: Cohort, head: Head, *, folds: int, seed: int, like: Params) -> "_Rows":
        """The rows in their inner folds; where sets are compared, encoded ahead for one ``like`` the others."""
        inner = fold_numbers(table, folds=folds, seed=derived_seed(seed, "inner"))
        encodings = Encodings(table) if head.space else None
        if encodings:
            for fold in range(inner.max() + 1):
                encodings.learn(head.model(cohort, like, seed), table[inner != fold], table[inner == fold])
        return cls(table, outcome(table, cohort), inner, seed, encodings)


def tune_and_fit_together(
    tables: Sequence[pd.DataFrame],
    cohort: Cohort,
    family: Family,
    *,
    inner_folds: int,
    trials: int,
    seeds: Sequence[int],
    machinery: Machinery,
    seconds: float | None = None,
    held_out: bool = False,
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
    seconds
        No set is begun after the finished ones have taken this much work together; at least one is finished.
    held_out
        Whether scores of the inner folds are asked for where no risk is learnt from them.

    Raises
    ------
    NoTrialError
        A table on which no set succeeded.
    """
    from joblib import delayed
    from threadpoolctl import threadpool_limits

    head = family.head(cohort)
    if head is None or head.fit_together is None:
        raise TypeError(f"{family.name} does not train models together.")
    sets = _drawn(head, cohort, trials, seed=seeds[0])
    with threadpool_limits(limits=1):
        rows = [
            _Rows.of(table, cohort, head, folds=inner_folds, seed=seed, like=sets[0])
            for table, seed in zip(tables, seeds, strict=True)
        ]
    label = f"{cohort.name} {family.name}"
    if head.space is None:
        # Nothing to compare it with.
        results = [FinishedSet(tuple(Tried(float("nan")) for _ in rows), 0.0)]
    else:

        def kept(which: str) -> KeptSets | None:
            if not machinery.storage:
                return None
            name = f"{cohort.name}-{family.name}-{trials}{which}"
            return kept_sets(machinery.storage, name, tables, cohort, seeds=seeds, folds=inner_folds)

        results = _searched(sets, rows, cohort, head, kept, machinery, label=label, seconds=seconds)
    chosen = [_best(index, results, sets, family) for index in range(len(rows))]
    # Each with its own members only: what stands beside it in a batch must not hang on the other folds' choices.
    fits = (delayed(_fit)(one, params, cohort, head, held_out) for one, params in zip(rows, chosen, strict=True))
    shared = shared_out(
        fits,
        machinery,
        total=len(rows),
        label=f"{label}, chosen sets",
        loads=head.loaded,
        common=(*rows, cohort),
        folders=_read(rows, cohort, head),
    )
    fitted = list(shared)
    tuned = [
        Tuned(model, params, tuple(_record(number, index, sets, results) for number in range(len(results))), scores)
        for index, ((model, scores, _), params) in enumerate(zip(fitted, chosen, strict=True))
    ]
    return tuned, sum(one.seconds for one in results) + sum(taken for *_, taken in fitted)


def _drawn(head: Head, cohort: Cohort, trials: int, *, seed: int) -> list[Params]:
    if head.space is None:
        return [{}]
    return [head.draw(trial, cohort) for trial in islice(blind_trials(seed=seed), trials)]


def _searched(
    sets: list[Params],
    rows: list[_Rows],
    cohort: Cohort,
    head: Head,
    kept: "Callable[[str], KeptSets | None]",
    machinery: Machinery,
    *,
    label: str,
    seconds: float | None,
) -> list[FinishedSet]:
    """Every set on all tables, as far as the time goes; with many sets, the worse half for a table on one fold only."""
    folds = int(rows[0].inner.max()) + 1
    everything = [list(range(len(rows)))] * len(sets)
    if len(sets) <= FEW or folds < 2:
        asked = _Round(range(folds), everything, seconds)
        return _compared(sets, rows, cohort, head, kept(""), machinery, asked, label=label)
    # The second round takes half of the sets through all other folds.
    asked = _Round(range(1), everything, 2 * seconds / (folds + 1) if seconds else None)
    first = _compared(sets, rows, cohort, head, kept("-first"), machinery, asked, label=f"{label}, first fold")
    promising = [_promising([one.tried[table] for one in first]) for table in range(len(rows))]
    wanted = [[table for table, numbers in enumerate(promising) if number in numbers] for number in range(len(first))]
    asked = _Round(range(1, folds), wanted, None)
    second = _compared(sets, rows, cohort, head, kept("-rest"), machinery, asked, label=label)
    results = []
    for one, two, tables in zip(first, second, wanted, strict=True):
        later = dict(zip(tables, two.tried, strict=True))
        tried = tuple(_both(before, later.get(table), folds) for table, before in enumerate(one.tried))
        results.append(FinishedSet(tried, one.seconds + two.seconds))
    return results


@dataclass(frozen=True, slots=True)
class _Round:
    """On which inner folds sets are compared, for which tables each, and for how long."""

    folds: range
    tables: list[list[int]]
    seconds: float | None


def _compared(
    sets: list[Params],
    rows: list[_Rows],
    cohort: Cohort,
    head: Head,
    kept: KeptSets | None,
    machinery: Machinery,
    asked: _Round,
    *,
    label: str,
) -> list[FinishedSet]:
    from joblib import delayed

    done = kept.read() if kept else {}
    results: list[FinishedSet] = []

    def offered() -> Iterator[Any]:
        for number, tables in enumerate(asked.tables):
            if asked.seconds is not None and results and sum(one.seconds for one in results) >= asked.seconds:
                return
            mine = [rows[table] for table in tables]
            yield delayed(_compare)(number, sets[number], mine, asked.folds, cohort, head, kept, done.get(number))

    shared = shared_out(
        offered(),
        machinery,
        total=len(asked.tables),
        label=label,
        # One ahead of each worker at most, so that the time budget is looked at before a set is begun.
        ahead="2*n_jobs" if asked.seconds is None else "n_jobs",
        loads=head.loaded,
        common=(*rows, cohort),
        folders=(*machinery.kept_in, *_read(rows, cohort, head)),
    )
    for found in shared:
        results.append(found)
    return results


def _read(rows: list[_Rows], cohort: Cohort, head: Head) -> tuple[Path, ...]:
    """The folder of what fits read: maps of pictures, where the family looks at them."""
    return caches(rows[0].table) if cohort.volumes and head.prepare else ()


def _promising(tried: list[Tried]) -> set[int]:
    """The better half of the sets for a table, at least :data:`FEW`; all of them where the first fold orders nobody."""
    if any(one.error.endswith(UNORDERED) for one in tried):
        return set(range(len(tried)))
    found = sorted(((one.value, -number) for number, one in enumerate(tried) if one.value is not None), reverse=True)
    return {-number for _, number in found[: max(FEW, ceil(len(found) / 2))]}


def _both(first: Tried, rest: Tried | None, folds: int) -> Tried:
    """What the first fold and the others say together."""
    if rest is None:
        return first if first.error else Tried(None, pruned=True)
    if rest.error and not rest.error.endswith(UNORDERED):
        return rest
    values = [first.value, *[rest.value] * (folds - 1)]
    return _tried(over_folds([float("nan") if value is None else value for value in values]))


def _compare(
    number: int,
    params: Params,
    rows: list[_Rows],
    folds: range,
    cohort: Cohort,
    head: Head,
    kept: KeptSets | None,
    done: FinishedSet | None,
) -> FinishedSet:
    """One set on all tables and their inner folds, as one program; ``done`` if it is."""
    from threadpoolctl import threadpool_limits

    if done is not None:
        return done
    start = time.perf_counter()
    with threadpool_limits(limits=1):
        try:
            tried = [one for _, one in _inner_predictions(params | head.draft, rows, cohort, head, folds)]
        except FIT_FAILURES:
            # One table may have failed for all of them.
            tried = [_alone(params | head.draft, one, cohort, head, folds) for one in rows]
    finished = FinishedSet(tuple(tried), time.perf_counter() - start)
    if kept is not None:
        kept.write(number, finished)
    return finished


def _inner_predictions(
    params: Params, rows: list[_Rows], cohort: Cohort, head: Head, folds: range | None = None
) -> list[tuple[Array, Tried]]:
    """For each table the scores (n,) of its inner folds by models that did not see them, and how good they are.

    Only of ``folds``, where they are given; the scores of the others are NaN.
    """
    parts = [(one, one.inner == fold) for one in rows for fold in folds or range(one.inner.max() + 1)]
    models = [head.model(cohort, params, one.seed) for one, _ in parts]
    for model, (one, _) in zip(models, parts, strict=True):
        if one.encodings:
            one.encodings.keep(model)
    assert head.fit_together is not None
    if parts:
        head.fit_together(models, [one.table[~test] for one, test in parts], [one.target[~test] for one, test in parts])
    held_out = {id(one): np.full(len(one.table), np.nan) for one in rows}
    values: dict[int, list[float]] = {id(one): [] for one in rows}
    for model, (one, test) in zip(models, parts, strict=True):
        score = model.predict_score(one.table[test])
        held_out[id(one)][test] = score
        finite = bool(np.isfinite(score).all())
        values[id(one)].append(discrimination(one.target[test], score, cohort) if finite else -np.inf)
    return [(held_out[id(one)], _tried(over_folds(values[id(one)]))) for one in rows]


def _tried(value: float) -> Tried:
    if np.isnan(value):
        return Tried(None, f"ValueError: {UNORDERED}")
    return Tried(value) if np.isfinite(value) else Tried(None, "ValueError: the model gave predictions not finite")


def _alone(params: Params, one: _Rows, cohort: Cohort, head: Head, folds: range) -> Tried:
    try:
        return _inner_predictions(params, [one], cohort, head, folds)[0][1]
    except FIT_FAILURES as error:
        return Tried(None, f"{type(error).__name__}: {error}")


def _best(index: int, results: list[FinishedSet], sets: list[Params], family: Family) -> Params:
    """The set with which a table's inner predictions were best, the first of equals."""
    mine = [one.tried[index] for one in results]
    found = [(one.value, -number) for number, one in enumerate(mine) if one.value is not None]
    if not found:
        errors = sorted({one.error for one in mine if one.error})
        raise NoTrialError(f"{family.title}: none of {len(mine)} trials succeeded ({'; '.join(errors)}).")
    return sets[-max(found)[1]]


def _fit(rows: _Rows, params: Params, cohort: Cohort, head: Head, asked: bool) -> tuple[RiskModel, Array | None, float]:
    """Fit the chosen set; where risks are learnt from inner predictions, from those of models just as large.

    Also the inner predictions, where they are ``asked`` for or needed, and the seconds.
    """
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    with threadpool_limits(limits=1):
        fitted = head.model(cohort, params, rows.seed).fit(rows.table, rows.target)
        if cohort.survival and not asked:
            return RiskModel(fitted), None, time.perf_counter() - start
        ((held_out, tried),) = _inner_predictions(params, [rows], cohort, head)
        if tried.error:
            raise NoTrialError(f"The chosen hyperparameters failed with the whole ensemble: {tried.error}.")
        model = with_learnt_risks(fitted, held_out, rows.target, rows.inner, cohort)
    return model, held_out, time.perf_counter() - start


def _record(number: int, index: int, sets: list[Params], results: list[FinishedSet]) -> TrialRecord:
    tried, seconds = results[number].tried, results[number].seconds
    found = tried[index]
    return TrialRecord(
        number=number,
        state="fail" if found.error else "pruned" if found.pruned else "complete",
        value=float("nan") if found.value is None else found.value,
        params=json.dumps(sets[number], sort_keys=True),
        seconds=seconds / len(tried),
        error=found.error,
    )
