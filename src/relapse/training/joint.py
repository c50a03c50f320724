"""Tuning and fitting on many sets of rows at once, for families that train many models as one program.

The hyperparameter sets are drawn before any data is seen, the same for every outer fold, so that one program can train
a set on all of them. An adaptive search over outer folds in common would leak: what it proposes next would hang on
inner results from rows that are test rows elsewhere. Drawn blindly, a set carries nothing from one fold to another, and
each still chooses by its own inner predictions alone.
"""

import json
import time
from collections.abc import Sequence
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.base import Family, Head, Params
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import NoTrialError
from relapse.machinery import Machinery
from relapse.training.kept_sets import FinishedSet, KeptSets, Tried, kept_sets
from relapse.training.rounds import Rows, folders_of, inner_predictions, searched
from relapse.training.studies import blind_trials
from relapse.training.tuning import (
    TrialRecord,
    Tuned,
    with_learnt_risks,
)
from relapse.workers import shared_out

Array = NDArray[np.float64]


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
            Rows.of(table, cohort, head, folds=inner_folds, seed=seed, like=sets[0])
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

        results = searched(sets, rows, cohort, head, kept, machinery, label=label, seconds=seconds)
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
        folders=folders_of(rows, cohort, head),
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


def _best(index: int, results: list[FinishedSet], sets: list[Params], family: Family) -> Params:
    """The set with which a table's inner predictions were best, the first of equals."""
    mine = [one.tried[index] for one in results]
    found = [(one.value, -number) for number, one in enumerate(mine) if one.value is not None]
    if not found:
        errors = sorted({one.error for one in mine if one.error})
        raise NoTrialError(f"{family.title}: none of {len(mine)} trials succeeded ({'; '.join(errors)}).")
    return sets[-max(found)[1]]


def _fit(rows: Rows, params: Params, cohort: Cohort, head: Head, asked: bool) -> tuple[RiskModel, Array | None, float]:
    """Fit the chosen set; where risks are learnt from inner predictions, from those of models just as large.

    Also the inner predictions, where they are ``asked`` for or needed, and the seconds.
    """
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    with threadpool_limits(limits=1):
        fitted = head.model(cohort, params, rows.seed).fit(rows.table, rows.target)
        if cohort.survival and not asked:
            return RiskModel(fitted), None, time.perf_counter() - start
        ((held_out, tried),) = inner_predictions(params, [rows], cohort, head)
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
