"""A fitted model taken apart: from the table to its matrix, from the matrix to its output, and whose each column is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from relapse.candidates.base import EPSILON, SurvivalModel
from relapse.candidates.risk_model import RiskModel
from relapse.candidates.sums import OfSums
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.harmonising import SiteEncoder
from relapse.preprocessing.iterative import Completing, by_columns
from relapse.preprocessing.reduction import Reducer

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is between a table and a model's output.

    ``pipeline`` encodes and expands; ``estimator`` takes the matrix (n, c) that :meth:`matrix` makes; ``owner`` (c,) is
    the position, in ``used``, of the feature that each column comes from, or of the block that may be reduced, whose
    columns come from all its features. A column that says that a value was missing is its feature's as well.
    ``survival`` says whether the output is a log-hazard or log-odds, ``apart`` whether each column hangs on its own
    feature or block alone: not where a missing value is told from other features, or what sites differ by is taken out.
    """

    pipeline: Any
    estimator: Any
    used: list[str]
    owner: NDArray[np.int_]
    survival: bool
    apart: bool

    def matrix(self, table: pd.DataFrame) -> Array:
        """Imputed, scaled and expanded features (n, c)."""
        return np.asarray(self.pipeline.transform(table), dtype=np.float64)

    def output(self, matrix: Array) -> Array:
        """Log-hazard or log-odds (n,), before any recalibration."""
        if self.survival:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        risk = np.clip(self.estimator.predict_proba(matrix)[:, 1], EPSILON, 1 - EPSILON)
        return np.asarray(logit(risk), dtype=np.float64)

    def of_sums(self) -> OfSums | None:
        """What :meth:`output` gives, by sums over the columns; None where the family is not taken apart so."""
        apart: OfSums | None = self.estimator.taken_apart() if hasattr(self.estimator, "taken_apart") else None
        if apart is None or self.survival:
            return apart
        most = -float(logit(EPSILON))
        return OfSums(apart.terms, lambda sums: np.clip(apart.output(sums), -most, most))


def parts_of(model: RiskModel, cohort: Cohort) -> Parts:
    """Take a trained candidate apart."""
    inner = model.model
    survival = isinstance(inner, SurvivalModel)
    pipeline: Pipeline = inner.transform_ if isinstance(inner, SurvivalModel) else inner.pipeline_[:-1]
    estimator = inner.regressor_ if isinstance(inner, SurvivalModel) else inner.pipeline_[-1]
    encode, expand = pipeline.named_steps["encode"], pipeline.named_steps["expand"]
    together = {name: part for part in cohort.explained for name in cohort.members(part)}
    columns: list[str] = []
    for step, fitted, names in by_columns(encode).transformers_:
        encoded = [together[name] for name in names if name in together] if step != "remainder" else []
        if getattr(fitted, "share", False):
            encoded = encoded[:1]
        made = pipeline.named_steps["reduce"].named_transformers_[step] if _reduced(pipeline, step) else None
        columns += [encoded[0]] * made.size if isinstance(made, Reducer) else encoded
    used = list(dict.fromkeys(columns))
    apart = not isinstance(encode, Completing | SiteEncoder)
    place = np.array([used.index(name) for name in columns], dtype=np.int64)
    return Parts(pipeline, estimator, used, place[_owners(expand)], survival, apart)


def _reduced(pipeline: Pipeline, step: str) -> bool:
    return "reduce" in pipeline.named_steps and step in pipeline.named_steps["reduce"].named_transformers_


def _owners(expand: ColumnTransformer) -> NDArray[np.int_]:
    """The encoded column that each expanded one comes from."""
    owners: list[int] = []
    for _, step, columns in expand.transformers_:
        for place, column in enumerate(columns):
            width = len(step.categories_[place]) - 1 if isinstance(step, OneHotEncoder) else 1
            owners += [int(column)] * width
    return np.array(owners, dtype=np.int64)
