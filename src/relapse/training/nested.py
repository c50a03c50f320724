"""The protocol: tuned inside, measured outside, every outer fold a job of its own."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from relapse.candidates.base import Family, Params
from relapse.candidates.catalogue import family as family_called
from relapse.candidates.limits import within
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import NoTrialError
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.predictions import SUBGROUP
from relapse.training.joint import tune_and_fit_together
from relapse.training.splits import derived_seed
from relapse.training.studies import Studies, prepare
from relapse.training.tuning import Tuned, tune_and_fit
from relapse.workers import shared_out

#: The job that fits the final model on all rows stands beside the outer folds under this fold number.
FINAL = -1


@dataclass(frozen=True, slots=True)
class Trained:
    """A candidate after training.

    ``predictions`` keeps the contract of :mod:`relapse.predictions`; ``trials`` has one row a trial of each fold;
    ``model`` is fitted on all rows, tuned in the same way, with ``params`` chosen; ``folds`` says what each outer
    fold chose; ``fold_models`` are the models of the first repeat, by the fold that they have not seen; ``seconds`` is
    the time all jobs took together. ``held_out`` has the columns ``repeat``, ``fold``, ``row`` and ``score``: for each
    outer fold the rows of its training part, scored by models of the inner folds that have not seen them (fold
    :data:`FINAL`: all rows); empty where nobody asked for it.
    """

    model: RiskModel
    params: Params
    predictions: pd.DataFrame
    trials: pd.DataFrame
    folds: list[dict[str, Any]]
    fold_models: dict[int, RiskModel]
    seconds: float
    held_out: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class _Job:
    repeat: int
    fold: int
    seed: int


#: What a job comes back with: the tuned model, its predictions for rows it has not seen, seconds of work.
_Result = tuple[Tuned, pd.DataFrame, float]


def train(
    table: pd.DataFrame,
    cohort: Cohort,
    candidate: str,
    folds: pd.DataFrame,
    *,
    params: TrainParams,
    seed: int,
    machinery: Machinery,
    held_out: bool = False,
) -> Trained:
    """Run the protocol for one candidate.

    Parameters
    ----------
    table
        Typed canonical table.
    folds
        Outer folds as :func:`relapse.training.splits.outer_folds` gives them.
    machinery
        Workers and backend; neither changes a prediction.
    held_out
        Whether the scores of the inner folds are kept.

    Raises
    ------
    NoTrialError
        A fold in which no trial succeeded; or, before anything is fitted, a table that is too wide for the family.
    """
    cohort = within_limit(cohort, candidate, rows=len(table))
    head = family_called(candidate).head(cohort)
    if head and head.prepare:
        head.prepare(table, cohort, machinery)
    pairs = folds[["repeat", "fold"]].drop_duplicates().itertuples(index=False)
    jobs = [_Job(int(repeat), int(fold), derived_seed(seed, candidate, repeat, fold)) for repeat, fold in pairs]
    jobs.insert(0, _Job(FINAL, FINAL, derived_seed(seed, candidate, "final")))
    run = _run_each if head is None or head.fit_together is None else _run_together
    results = run(jobs, table, cohort, candidate, folds, params, machinery, held_out)
    final, *outer = results
    trials = pd.concat(
        [_trials(job, tuned) for job, (tuned, _, _) in zip(jobs, results, strict=True)], ignore_index=True
    )
    return Trained(
        model=final[0].model,
        params=final[0].params,
        predictions=pd.concat([found for _, found, _ in outer], ignore_index=True).sort_values(
            ["repeat", "row"], ignore_index=True
        ),
        trials=trials,
        folds=[
            {"repeat": job.repeat, "fold": job.fold, "params": tuned.params, **_learnt(tuned.model)}
            for job, (tuned, _, _) in zip(jobs[1:], outer, strict=True)
        ],
        fold_models={
            job.fold: tuned.model for job, (tuned, _, _) in zip(jobs[1:], outer, strict=True) if job.repeat == 0
        },
        seconds=sum(seconds for _, _, seconds in results),
        held_out=pd.concat(
            [_held_out(job, tuned, table, folds) for job, (tuned, _, _) in zip(jobs, results, strict=True)],
            ignore_index=True,
        )
        if held_out
        else pd.DataFrame(),
    )


def within_limit(cohort: Cohort, candidate: str, *, rows: int) -> Cohort:
    """The cohort with the methods of reduction that keep the candidate within its limit.

    Raises
    ------
    NoTrialError
        No method does.
    """
    family = family_called(candidate)
    head = family.head(cohort)
    found = within(cohort, head.limit if head else None, rows=rows)
    if isinstance(found, str):
        raise NoTrialError(f"{family.called(cohort)} is not begun. {found}")
    return found


def _run_each(
    jobs: list[_Job],
    table: pd.DataFrame,
    cohort: Cohort,
    candidate: str,
    folds: pd.DataFrame,
    params: TrainParams,
    machinery: Machinery,
    held_out: bool,
) -> list[_Result]:
    from joblib import delayed

    studies = Studies(machinery.storage, f"{cohort.name}-{candidate}") if machinery.storage else None
    if studies:
        prepare(studies.storage)
    share = params.seconds / len(jobs) if params.seconds else None
    tasks = (delayed(_run)(job, table, cohort, candidate, folds, params, share, studies, held_out) for job in jobs)
    head = family_called(candidate).head(cohort)
    loads = head.loaded if head else ()
    shared = shared_out(
        tasks,
        machinery,
        total=len(jobs),
        label=f"{cohort.name} {candidate}",
        loads=loads,
        common=(table, folds, cohort),
        folders=machinery.kept_in,
    )
    return list(shared)


def _run_together(
    jobs: list[_Job],
    table: pd.DataFrame,
    cohort: Cohort,
    candidate: str,
    folds: pd.DataFrame,
    params: TrainParams,
    machinery: Machinery,
    held_out: bool,
) -> list[_Result]:
    from threadpoolctl import threadpool_limits

    parts = [_parts(job, table, folds) for job in jobs]
    tuned, seconds = tune_and_fit_together(
        [seen for seen, _ in parts],
        cohort,
        family_called(candidate),
        inner_folds=params.inner_folds,
        trials=params.trials,
        seeds=[job.seed for job in jobs],
        machinery=machinery,
        seconds=params.seconds,
        held_out=held_out,
    )
    # With one thread, as everything else: see _run.
    with threadpool_limits(limits=1):
        return [
            (one, _measured(job, one, unseen, cohort), seconds / len(jobs))
            for job, one, (_, unseen) in zip(jobs, tuned, parts, strict=True)
        ]


def _parts(job: _Job, table: pd.DataFrame, folds: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that a job may see, and those it is measured on: none for the final model."""
    if job.fold == FINAL:
        return table, table[:0]
    mine = folds[folds["repeat"] == job.repeat].set_index("row")["fold"].loc[table["row"]].to_numpy()
    return table[mine != job.fold].reset_index(drop=True), table[mine == job.fold]


def _measured(job: _Job, tuned: Tuned, unseen: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    if job.fold == FINAL:
        return pd.DataFrame()
    return predict(tuned.model, unseen, cohort).assign(repeat=job.repeat, fold=job.fold)


def _run(
    job: _Job,
    table: pd.DataFrame,
    cohort: Cohort,
    candidate: str,
    folds: pd.DataFrame,
    params: TrainParams,
    seconds: float | None = None,
    studies: Studies | None = None,
    held_out: bool = False,
) -> _Result:
    """One job; in a process of its own, with one thread, so that the sums come out the same everywhere."""
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    with threadpool_limits(limits=1):
        family: Family = family_called(candidate)
        seen, unseen = _parts(job, table, folds)
        tuned = tune_and_fit(
            seen,
            cohort,
            family,
            inner_folds=params.inner_folds,
            trials=params.trials,
            seed=job.seed,
            seconds=seconds,
            studies=studies.of(job.repeat, job.fold) if studies else None,
            held_out=held_out,
        )
        found = _measured(job, tuned, unseen, cohort)
    return tuned, found, time.perf_counter() - start


def predict(model: RiskModel, table: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Predictions of ``model`` for ``table``, as :mod:`relapse.predictions` has them; ``repeat`` and ``fold`` are 0."""
    times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
    known = table[["row", "patient", "site"]].assign(repeat=0, fold=0, event=table["event"].astype("int8"))
    if cohort.survival:
        known["time"] = table["time"]
    known["score"] = model.predict_score(table)
    known[cohort.endpoint.risk_columns] = model.predict_risk(table, times)
    if model.threshold is not None:
        known["threshold"] = model.threshold
    for name in cohort.subgroups:
        known[SUBGROUP + name] = table[name].astype("str")
    return known.reset_index(drop=True)


def _held_out(job: _Job, tuned: Tuned, table: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    seen, _ = _parts(job, table, folds)
    return pd.DataFrame({"repeat": job.repeat, "fold": job.fold, "row": seen["row"], "score": tuned.held_out})


def _trials(job: _Job, tuned: Tuned) -> pd.DataFrame:
    records = pd.DataFrame([asdict(record) for record in tuned.trials])
    records.insert(0, "repeat", job.repeat)
    records.insert(1, "fold", job.fold)
    return records


def _learnt(model: RiskModel) -> dict[str, Any]:
    if model.recalibration is None:
        return {}
    return {"recalibration": asdict(model.recalibration), "threshold": model.threshold}
