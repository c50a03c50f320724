"""Encoding one patient quickly: what scikit-learn's transformers do to a table, as a few array operations.

For a single row nine tenths of a prediction is the checking that transformers do at each step. The arrays here come
from the fitted transformers, and a test holds the two against each other for every candidate.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from relapse.candidates.base import SurvivalModel
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Numbers:
    names: list[str]
    fill: Array
    scale: Any

    def __call__(self, table: "pd.DataFrame") -> Array:
        values = np.column_stack([table[name].to_numpy(np.float64) for name in self.names])
        filled = np.where(np.isnan(values), self.fill, values)
        if isinstance(self.scale, StandardScaler):
            return np.asarray((filled - self.scale.mean_) / self.scale.scale_)
        return np.asarray(self.scale.transform(filled))


@dataclass(frozen=True, slots=True)
class _Levels:
    names: list[str]
    fill: Array

    def __call__(self, table: "pd.DataFrame") -> Array:
        codes = np.column_stack([table[name].cat.codes.to_numpy(np.float64) for name in self.names])
        return np.where(codes < 0, self.fill, codes)


class _Quick(BaseEstimator):
    """A fitted encoder and expander in one."""

    def __init__(self, blocks: Any = (), indicators: Any = (), rest: Any = ()) -> None:
        self.blocks = blocks
        self.indicators = indicators
        self.rest = rest

    def transform(self, table: "pd.DataFrame") -> Array:
        """The matrix (n, c) of a typed table."""
        encoded = np.hstack([block(table) for block in self.blocks])
        columns = [
            (encoded[:, position, None] == np.arange(1, levels)).astype(np.float64)
            for position, levels in self.indicators
        ]
        return np.hstack([*columns, encoded[:, self.rest]])

    def __sklearn_is_fitted__(self) -> bool:
        return True


def quick(model: RiskModel, cohort: Cohort) -> RiskModel:
    """The same model with its table encoded quickly."""
    from copy import copy

    inner = copy(model.model)
    if isinstance(inner, SurvivalModel):
        inner.transform_ = _compiled(inner.transform_, cohort)
    else:
        steps = inner.pipeline_
        inner.pipeline_ = Pipeline([("quick", _compiled(steps[:-1], cohort)), steps.steps[-1]])
    return replace(model, model=inner)


def _compiled(transform: Pipeline, cohort: Cohort) -> _Quick:
    encode, expand = transform.named_steps["encode"], transform.named_steps["expand"]
    blocks: list[Any] = []
    for step, fitted, names in encode.transformers_:
        if step == "numeric":
            blocks.append(_Numbers(list(names), fitted["impute"].statistics_, fitted["scale"]))
        elif step == "levels":
            order = [list(levels) for levels in fitted["code"].categories_]
            fill = [levels.index(value) for levels, value in zip(order, fitted["impute"].statistics_, strict=True)]
            blocks.append(_Levels(list(names), np.array(fill, dtype=np.float64)))
    indicators: list[tuple[int, int]] = []
    rest: list[int] = []
    for _, step, columns in expand.transformers_:
        if isinstance(step, OneHotEncoder):
            indicators += [(int(at), len(levels)) for at, levels in zip(columns, step.categories_, strict=True)]
        else:
            rest += [int(at) for at in columns]
    return _Quick(tuple(blocks), tuple(indicators), np.array(rest, dtype=np.int64))
