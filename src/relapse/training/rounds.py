"""Sets of hyperparameters compared on many sets of rows at once, in one round or two.

With many sets, the first round sees one inner fold, and the better half for a table goes on to the others.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.base import Head, Params, outcome
from relapse.cohorts.blocked import caches
from relapse.cohorts.schema import Cohort
from relapse.machinery import Machinery
from relapse.preprocessing.encodings import Encodings
from relapse.training.kept_sets import FinishedSet, KeptSets, Tried
from relapse.training.splits import derived_seed, fold_numbers
from relapse.training.tuning import FIT_FAILURES, UNORDERED, discrimination, over_folds
from relapse.workers import shared_out

Array = NDArray[np.float64]

#: Up to so many sets are compared on all inner folds, and as many go on to the other folds at least.
FEW = 5


@dataclass(frozen=True, slots=True)
class Rows:
    """What one model of the protocol may see: an outer fold's training rows, or all rows for the final model."""

    table: pd.DataFrame
    target: NDArray[Any]
    inner: NDArray[np.int_]
    seed: int
    encodings: Encodings | None

    @classmethod
    def of(cls, table: pd.DataFrame, cohort: Cohort, head: Head, *, folds: int, seed: int, like: Params) -> "Rows":
        """The rows in their inner folds; where sets are compared, encoded ahead for one ``like`` the others."""
        inner = fold_numbers(table, folds=folds, seed=derived_seed(seed, "inner"))
        encodings = Encodings(table) if head.space else None
        if encodings:
            for fold in range(inner.max() + 1):
                encodings.learn(head.model(cohort, like, seed), table[inner != fold], table[inner == fold])
        return cls(table, outcome(table, cohort), inner, seed, encodings)


def searched(
    sets: list[Params],
    rows: list[Rows],
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
    rows: list[Rows],
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
        folders=(*machinery.kept_in, *folders_of(rows, cohort, head)),
    )
    for found in shared:
        results.append(found)
    return results


def folders_of(rows: list[Rows], cohort: Cohort, head: Head) -> tuple[Path, ...]:
    """The folders of what fits read: maps of pictures, where the family looks at them."""
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
    rows: list[Rows],
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
            tried = [one for _, one in inner_predictions(params | head.draft, rows, cohort, head, folds)]
        except FIT_FAILURES:
            # One table may have failed for all of them.
            tried = [_alone(params | head.draft, one, cohort, head, folds) for one in rows]
    finished = FinishedSet(tuple(tried), time.perf_counter() - start)
    if kept is not None:
        kept.write(number, finished)
    return finished


def inner_predictions(
    params: Params, rows: list[Rows], cohort: Cohort, head: Head, folds: range | None = None
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


def _alone(params: Params, one: Rows, cohort: Cohort, head: Head, folds: range) -> Tried:
    try:
        return inner_predictions(params, [one], cohort, head, folds)[0][1]
    except FIT_FAILURES as error:
        return Tried(None, f"{type(error).__name__}: {error}")
