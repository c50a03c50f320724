"""What is trained to answer a question: the base, the block, and both in two ways, on the same outer folds.

Both, in two ways: *joint* is one model of all features; *score* is the base's regression with one more covariate, the
score of the block's model. The score of a training patient always comes from a model of the inner folds that has not
seen her: fitted to and added on the same patients, a score would be worth what it cost to fit it. What the inner folds
share are the hyperparameters, chosen by how well they rank the training part as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from relapse.added_value.questions import Question, Role
from relapse.candidates.catalogue import REFERENCE, family
from relapse.cohorts.declared.features import Numeric
from relapse.cohorts.schema import Cohort
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.training.nested import predict, train
from relapse.training.splits import derived_seed
from relapse.training.tuning import tune_and_fit

#: The covariate that holds the block's score; no feature can be called so.
SCORE = "risk_by_block"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Out-of-fold predictions of a model, and the scores of its inner folds."""

    predictions: pd.DataFrame
    held_out: pd.DataFrame


@dataclass(slots=True)
class Workbench:
    """Trains models of parts of a cohort's features on one set of outer folds, each once.

    ``known`` are predictions by candidate that were made on all predictors, on the same folds and with the same
    settings: they are not made again.
    """

    table: pd.DataFrame
    cohort: Cohort
    folds: pd.DataFrame
    params: TrainParams
    seed: int
    machinery: Machinery
    purpose: str = ""
    known: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _done: dict[tuple[str, tuple[str, ...]], _Outcome] = field(default_factory=dict)

    def base(self, question: Question) -> pd.DataFrame:
        """Predictions of the base: the reference's unpenalised regression on the base's features."""
        if set(question.base_features) == set(self.cohort.reference) and REFERENCE in self.known:
            return self.known[REFERENCE]
        return self._trained(REFERENCE, question.base_features, f"{question.base}_base", held_out=False).predictions

    def block(self, question: Question, candidate: str) -> pd.DataFrame:
        """Predictions of the block alone."""
        return self._block(question, candidate).predictions

    def joint(self, question: Question, candidate: str) -> pd.DataFrame:
        """Predictions of one model of the features of base and block."""
        # A family that sees no images learnt the same with them as without.
        everything = self.cohort.inputs if family(candidate).sees else self.cohort.predictors
        if set(question.features) == set(everything) and candidate in self.known:
            return self.known[candidate]
        return self._trained(candidate, question.features, question.name, held_out=False).predictions

    def score(self, question: Question, candidate: str) -> pd.DataFrame:
        """Predictions of the base's regression with the block's score beside its features."""
        block = self._block(question, candidate)
        cohort = _with_score(self.cohort, question)
        found = []
        for repeat, fold in block.predictions[["repeat", "fold"]].drop_duplicates().to_numpy(dtype=int).tolist():
            seen, unseen = (_part(scores, repeat, fold) for scores in (block.held_out, block.predictions))
            tuned = tune_and_fit(
                self._scored(seen),
                cohort,
                family(REFERENCE),
                inner_folds=self.params.inner_folds,
                trials=1,
                seed=derived_seed(self.seed, "score", candidate, repeat, fold),
            )
            found.append(predict(tuned.model, self._scored(unseen), cohort).assign(repeat=repeat, fold=fold))
        return pd.concat(found, ignore_index=True).sort_values(["repeat", "row"], ignore_index=True)

    def models(self, question: Question, candidate: str) -> dict[Role, pd.DataFrame]:
        """Predictions of all models that a question needs, of one candidate family."""
        return {
            Role.BASE: self.base(question),
            Role.BLOCK: self.block(question, candidate),
            Role.SCORE: self.score(question, candidate),
            Role.JOINT: self.joint(question, candidate),
        }

    def _block(self, question: Question, candidate: str) -> _Outcome:
        return self._trained(candidate, question.block_features, question.block, held_out=True)

    def _trained(self, candidate: str, features: tuple[str, ...], name: str, *, held_out: bool) -> _Outcome:
        key = candidate, features
        if key not in self._done:
            # Trials are kept under a name of their own, which says what was trained on.
            called = "-".join(part for part in (self.cohort.name, self.purpose, name) if part)
            trained = train(
                self.table,
                self.cohort.restricted(features, name=called),
                candidate,
                self.folds,
                params=self.params,
                seed=self.seed,
                machinery=self.machinery,
                held_out=held_out,
            )
            self.seconds[f"{called} {candidate}"] = round(trained.seconds, 1)
            self._done[key] = _Outcome(trained.predictions, trained.held_out)
        return self._done[key]

    def _scored(self, scores: pd.DataFrame) -> pd.DataFrame:
        """The rows of the table that ``scores`` speaks of, with their score as a column."""
        column = scores.set_index("row")["score"].rename(SCORE)
        return self.table[self.table["row"].isin(column.index)].join(column, on="row").reset_index(drop=True)


def _part(scores: pd.DataFrame, repeat: int, fold: int) -> pd.DataFrame:
    return scores[(scores["repeat"] == repeat) & (scores["fold"] == fold)]


def _with_score(cohort: Cohort, question: Question) -> Cohort:
    """The cohort with the base's features and the block's score for its reference."""
    score = Numeric(type="continuous", range=(-1e9, 1e9), label=f"score of {cohort.block_title(question.block)}")
    wider = cohort.model_copy(update={"features": {**cohort.features, SCORE: score}})
    return wider.restricted((*question.base_features, SCORE), name=cohort.name)
