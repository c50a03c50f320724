"""Tuning and fitting on one set of rows: search in inner folds, then everything learnt from inner predictions."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.base import BinaryModel, Family, Head, Params, SurvivalModel, outcome
from relapse.candidates.risk_model import Isotonic, Platt, Recalibration, RiskModel
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.decisions.classification import log_loss
from relapse.evaluation.statistics.ranking.binary import roc_auc
from relapse.evaluation.statistics.ranking.concordance import concordance
from relapse.ground.errors import NoTrialError, TrainingError
from relapse.preprocessing.encodings import Encodings
from relapse.training.splits import derived_seed, fold_numbers
from relapse.training.studies import Studies, finished, open_study

if TYPE_CHECKING:
    import optuna

Array = NDArray[np.float64]

#: What a fit may fail with on some hyperparameters; anything else is a bug and ends the run.
FIT_FAILURES = (ValueError, ArithmeticError, np.linalg.LinAlgError)

#: What is said where no inner fold ranks anything.
UNORDERED = "in no inner fold is anybody followed beyond an event, so that nothing can be ranked"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial: ``value`` is the mean inner AUC or C (higher is better), NaN where pruned or failed."""

    number: int
    state: str
    value: float
    params: str
    seconds: float
    error: str


@dataclass(frozen=True, slots=True)
class Tuned:
    """A model fitted on all rows given, the hyperparameters chosen, and every trial.

    ``held_out`` are the scores (n,) of the rows by models of the inner folds that did not see them, with the chosen
    hyperparameters; None where nobody asked for them and they were not needed.
    """

    model: RiskModel
    params: Params
    trials: tuple[TrialRecord, ...]
    held_out: Array | None = None


def tune_and_fit(
    table: pd.DataFrame,
    cohort: Cohort,
    family: Family,
    *,
    inner_folds: int,
    trials: int,
    seed: int,
    seconds: float | None = None,
    studies: Studies | None = None,
    held_out: bool = False,
) -> Tuned:
    """Choose hyperparameters in inner folds of ``table``, then fit on all of it.

    For a binary endpoint the inner predictions of the chosen trial also give the recalibration (none, Platt or
    isotonic, by the log-loss on inner folds it was not fitted to) and the threshold (largest sensitivity +
    specificity).

    Parameters
    ----------
    seconds
        No trial starts after the finished ones have taken this long together; at least one is finished.
    studies
        Where trials are kept, and found again by a run that goes on; in memory alone where there are none.
    held_out
        Whether scores of the inner folds are asked for where no risk is learnt from them.

    Raises
    ------
    TrainingError
        No trial succeeded, or what the best one chose cannot be fitted to all rows.
    """
    head = family.head(cohort)
    if head is None:
        raise TrainingError(f"{family.title} has no model for a {cohort.endpoint.kind} endpoint.")
    target = outcome(table, cohort)
    inner = fold_numbers(table, folds=inner_folds, seed=derived_seed(seed, "inner"))
    search = _Search(table, target, cohort, head, inner, seed)
    params, done = search.run(trials, seconds, studies)
    records = tuple(_record(number, trial) for number, trial in enumerate(done))
    if params is None:
        errors = sorted({record.error for record in records if record.error})
        raise NoTrialError(f"{family.title}: none of {len(records)} trials succeeded ({'; '.join(errors)}).")
    try:
        scores = search.held_out(params) if held_out or not cohort.survival else None
        fitted = head.model(cohort, params, seed).fit(table, target)
    except FIT_FAILURES as error:
        raise NoTrialError(
            f"{family.title}: the chosen hyperparameters, {params}, failed with all rows "
            f"({type(error).__name__}: {error})."
        ) from None
    return Tuned(with_learnt_risks(fitted, scores, target, inner, cohort), params, records, scores)


def with_learnt_risks(
    fitted: BinaryModel | SurvivalModel,
    held_out: Array | None,
    target: NDArray[Any],
    inner: NDArray[np.int_],
    cohort: Cohort,
) -> RiskModel:
    """The fitted model with the recalibration and the threshold that its inner predictions (n,) ask for, if any."""
    if cohort.survival or held_out is None:
        return RiskModel(fitted)
    recalibration = _recalibration(held_out, target, inner)
    return RiskModel(fitted, recalibration, youden_threshold(target, recalibration.risk(held_out)))


class _Search:
    """One Optuna study; keeps the inner predictions of the best trial, so that nothing is fitted twice."""

    def __init__(
        self, table: pd.DataFrame, target: NDArray[Any], cohort: Cohort, head: Head, inner: NDArray[np.int_], seed: int
    ) -> None:
        self.table, self.target, self.cohort = table, target, cohort
        self.head, self.inner, self.seed = head, inner, seed
        self._encodings = Encodings(table)
        self._kept: tuple[Params, Array] | None = None
        self._best_value = -np.inf

    def run(
        self, trials: int, seconds: float | None, studies: Studies | None
    ) -> "tuple[Params | None, list[optuna.trial.FrozenTrial]]":
        """The best hyperparameters (None where no trial succeeded), and every trial.

        Each trial has a sampler of its own, seeded by the trial's number: what it proposes hangs on the trials before
        it alone, and not on whether they ran in this process.
        """
        import optuna

        wanted = trials if self.head.space else 1
        startup = min(10, max(1, trials // 2))
        study = open_study(
            studies, self.table, self.cohort, seed=self.seed, folds=int(self.inner.max()) + 1, startup=startup
        )
        while len(done := finished(study)[:wanted]) < wanted and not _spent(done, seconds):
            study.sampler = optuna.samplers.TPESampler(
                seed=derived_seed(self.seed, "trial", len(done)), n_startup_trials=startup
            )
            study.optimize(self._objective, n_trials=1, catch=FIT_FAILURES)
        complete = [trial for trial in done if trial.state.name == "COMPLETE" and trial.value is not None]
        if not complete:
            return None, done
        best = max(complete, key=lambda trial: (trial.value, -trial.number))
        params: Params = best.user_attrs["params"]
        return params, done

    def held_out(self, params: Params) -> Array:
        """The inner predictions (n,) with the chosen hyperparameters, by models just as large as the one on all rows.

        They are made again where trials are of drafts, or the best one ran before this process was started.
        """
        if self.head.draft or self._kept is None or self._kept[0] != params:
            return self._inner_predictions(params)[0]
        return self._kept[1]

    def _objective(self, trial: "optuna.Trial") -> float:
        import optuna

        params = self.head.draw(trial, self.cohort)
        trial.set_user_attr("params", params)
        try:
            held_out, value = self._inner_predictions(params | self.head.draft, trial)
        except optuna.TrialPruned:
            raise
        except FIT_FAILURES as error:
            trial.set_user_attr("error", f"{type(error).__name__}: {error}")
            raise
        if value > self._best_value:
            self._best_value, self._kept = value, (params, held_out)
        return value

    def _inner_predictions(self, params: Params, trial: "optuna.Trial | None" = None) -> tuple[Array, float]:
        """Scores (n,) of the inner folds by models that did not see them, and their mean AUC or C."""
        import optuna

        held_out = np.empty(len(self.table))
        values = []
        for fold in range(self.inner.max() + 1):
            test = self.inner == fold
            model = self.head.model(self.cohort, params, self.seed)
            self._encodings.keep(model)
            model.fit(self.table[~test], self.target[~test])
            held_out[test] = model.predict_score(self.table[test])
            if not np.isfinite(held_out[test]).all():
                raise ValueError("the model gave predictions that are not finite")
            values.append(discrimination(self.target[test], held_out[test], self.cohort))
            if trial is not None:
                trial.report(over_folds(values), fold)
                if trial.should_prune():
                    raise optuna.TrialPruned
        if not np.isfinite(value := over_folds(values)):
            raise ValueError(UNORDERED)
        return held_out, value


def _spent(done: "list[optuna.trial.FrozenTrial]", seconds: float | None) -> bool:
    """Whether the trials that are done, also those of a run before, took the time given; never before the first."""
    taken = sum(trial.duration.total_seconds() for trial in done if trial.duration)
    return seconds is not None and bool(done) and taken >= seconds


def discrimination(target: NDArray[Any], score: Array, cohort: Cohort) -> float:
    """AUC or Harrell's C of a score, by the cohort's endpoint."""
    if cohort.survival:
        return concordance(target["time"], target["event"], score)
    return roc_auc(target, score)


def over_folds(values: list[float]) -> float:
    """Mean over the folds in which patients can be ordered, NaN where there is none.

    One event at the end of a fold's follow-up, say, orders nobody: there is no C, and it tells nothing of a model.
    """
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def youden_threshold(event: NDArray[np.int_], risk: Array) -> float:
    """The risk from which calling a row positive gives the largest sensitivity + specificity (Youden 1950).

    Halfway to the next lower risk, so that the threshold does not hang on one row's value.
    """
    order = np.argsort(-risk, kind="stable")
    ordered, outcomes = risk[order], event[order]
    gain = np.cumsum(outcomes) / max(outcomes.sum(), 1) - np.cumsum(1 - outcomes) / max((1 - outcomes).sum(), 1)
    last_of_ties = np.append(ordered[1:] < ordered[:-1], True)
    best = int(np.argmax(np.where(last_of_ties, gain, -np.inf)))
    lower = ordered[best + 1] if best + 1 < len(ordered) else 0.0
    return float((ordered[best] + lower) / 2)


def _recalibration(score: Array, event: NDArray[np.int_], inner: NDArray[np.int_]) -> Recalibration:
    """None, Platt or isotonic: the one with the lowest log-loss on inner folds that it was not fitted to.

    Of equals the simplest, in that order; none is :class:`Platt` with slope 1 and intercept 0.
    """
    loss, best = log_loss(event, Platt().risk(score)), None
    for kind in (Platt, Isotonic):
        crossed = np.empty_like(score)
        for fold in range(inner.max() + 1):
            test = inner == fold
            crossed[test] = kind.fit(score[~test], event[~test]).risk(score[test])
        if (found := log_loss(event, crossed)) < loss:
            loss, best = found, kind
    return best.fit(score, event) if best else Platt()


def _record(number: int, trial: "optuna.trial.FrozenTrial") -> TrialRecord:
    finished = trial.state.name == "COMPLETE" and trial.value is not None
    return TrialRecord(
        number=number,
        state=trial.state.name.lower(),
        value=float(trial.value) if finished and trial.value is not None else float("nan"),
        params=json.dumps(trial.user_attrs.get("params", trial.params), sort_keys=True),
        seconds=trial.duration.total_seconds() if trial.duration else float("nan"),
        error=str(trial.user_attrs.get("error", "")),
    )
