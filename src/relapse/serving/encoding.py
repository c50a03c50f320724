"""Encoding one patient quickly: what scikit-learn's transformers do, as a few array operations without a table.

For a single row nine tenths of a prediction is the checking that transformers do at each step. The arrays here come
from the fitted transformers, and a test holds the two against each other for every candidate.
"""

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import boxcox1p
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from relapse.candidates.base import SurvivalModel
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.harmonising import SITE
from relapse.preprocessing.iterative import Completing, Iterative, by_columns
from relapse.preprocessing.lacking import Lacking
from relapse.preprocessing.transformers import BOUND, FILL, FILTER

if TYPE_CHECKING:
    from relapse.explanation.shapley import Explainer

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Imputed, made more normal where ``power`` (one a column) is given, scaled, kept within ``bound``.

    Columns not ``usable`` are zeros; those whose ``fill`` is NaN are left missing.
    """

    columns: list[int]
    usable: Array | None
    fill: Array
    power: Array | None
    mean: Array
    scale: Array
    bound: float

    def __call__(self, values: Array) -> Array:
        mine = values[:, self.columns]
        if self.usable is not None:
            mine = np.where(self.usable, mine, 0.0)
        mine = np.where(np.isnan(mine), self.fill, mine)
        if self.power is not None:
            # Yeo I-K, Johnson RA (2000), Biometrika 87:954-959.
            above, below = np.maximum(mine, 0.0), np.maximum(-mine, 0.0)
            mine = np.where(mine >= 0, boxcox1p(above, self.power), -boxcox1p(below, 2 - self.power))
        return np.clip((mine - self.mean) / self.scale, -self.bound, self.bound)


@dataclass(frozen=True, slots=True)
class _Levels:
    """Codes, imputed with ``fill``, NaN where they are left missing."""

    columns: list[int]
    fill: Array

    def __call__(self, values: Array) -> Array:
        mine = values[:, self.columns]
        return np.where(np.isnan(mine), self.fill, mine)


@dataclass(frozen=True, slots=True)
class _Said:
    """Where values are missing."""

    columns: list[int]
    fitted: Lacking

    def __call__(self, values: Array) -> Array:
        return self.fitted.of(np.isnan(values[:, self.columns]))


@dataclass(frozen=True, slots=True)
class _Completed:
    """Positions with what the other predictors impute."""

    columns: list[int]
    fitted: Iterative

    def __call__(self, values: Array) -> Array:
        done = values.copy()
        done[:, self.columns] = self.fitted.complete(values[:, self.columns])
        return done


class _Quick(BaseEstimator):
    """A fitted encoder, reducer and expander in one."""

    def __init__(
        self, blocks: Any = (), reductions: Any = (), indicators: Any = (), rest: Any = (), completed: Any = None
    ) -> None:
        self.completed = completed
        self.blocks = blocks
        self.reductions = reductions
        self.indicators = indicators
        self.rest = rest

    def transform(self, values: Array) -> Array:
        """The matrix (n, c) of patients at ``values`` (n, p)."""
        if self.completed is not None:
            values = self.completed(values)
        encoded = np.hstack([block(values) for block in self.blocks])
        if self.reductions:
            parts = [(encoded[:, place], weights) for place, weights in self.reductions]
            encoded = np.hstack([part if weights is None else part @ weights for part, weights in parts])
        columns = [
            (encoded[:, position, None] == np.arange(1, levels)).astype(np.float64)
            for position, levels in self.indicators
        ]
        return np.hstack([*columns, encoded[:, self.rest]])

    def __sklearn_is_fitted__(self) -> bool:
        return True


def quick(model: RiskModel, cohort: Cohort) -> RiskModel:
    """The same model, which takes :func:`relapse.bundle.reference.positions` in place of a table."""
    inner = copy(model.model)
    if isinstance(inner, SurvivalModel):
        inner.transform_ = _compiled(inner.transform_, cohort)
    else:
        steps = inner.pipeline_
        inner.pipeline_ = Pipeline([("quick", _compiled(steps[:-1], cohort)), steps.steps[-1]])
    return replace(model, model=inner)


def quickly_explained(explainer: "Explainer", cohort: Cohort) -> "Explainer":
    """The same explainer, which takes :func:`relapse.bundle.reference.positions` in place of a table."""
    parts = replace(explainer.parts, pipeline=_compiled(explainer.parts.pipeline, cohort))
    return replace(explainer, parts=parts)


def _compiled(transform: Pipeline, cohort: Cohort) -> _Quick:
    encode, expand = transform.named_steps["encode"], transform.named_steps["expand"]
    blocks: list[Any] = []
    for step, fitted, names in by_columns(encode).transformers_:
        if step == "remainder":
            continue
        columns = [cohort.predictors.index(name) for name in names if name != SITE]
        if isinstance(fitted, Lacking):
            blocks.append(_Said(columns, fitted))
        elif "scale" in fitted.named_steps:
            blocks.append(_numbers(columns, fitted))
        else:
            order = [list(levels) for levels in fitted["code"].categories_]
            filled = fitted["impute"].statistics_ if "impute" in fitted.named_steps else None
            fill = [np.nan] * len(order) if filled is None else list(map(list.index, order, filled))
            blocks.append(_Levels(columns, np.array(fill, dtype=np.float64)))
    indicators: list[tuple[int, int]] = []
    rest: list[int] = []
    for _, step, columns in expand.transformers_:
        if isinstance(step, OneHotEncoder):
            indicators += [(int(at), len(levels)) for at, levels in zip(columns, step.categories_, strict=True)]
        else:
            rest += [int(at) for at in columns]
    completed = None
    if isinstance(encode, Completing):
        completed = _Completed([cohort.predictors.index(name) for name in encode.filled_.names], encode.filled_)
    places = np.array(rest, dtype=np.int64)
    return _Quick(tuple(blocks), _reductions(transform), tuple(indicators), places, completed)


def _numbers(columns: list[int], fitted: Pipeline) -> _Numbers:
    scale, filled = fitted["scale"], fitted.named_steps.get(FILL, fitted)
    # A request names no site, and harmonising leaves a patient of no known site as she is.
    filled = getattr(filled, "filled_", filled)
    usable = getattr(filled.named_steps.get(FILTER), "usable_", None)
    power = getattr(scale, "lambdas_", None)
    last = scale if power is None else scale._scaler
    bound = getattr(fitted.named_steps.get(BOUND), "limit", np.inf)
    left = np.full(len(columns), np.nan)
    fill = filled["impute"].statistics_ if "impute" in filled.named_steps else left
    return _Numbers(columns, usable, fill, power, last.mean_, last.scale_, bound)


def _reductions(transform: Pipeline) -> tuple[tuple[slice, Array | None], ...]:
    """Where each step's columns are in the encoded matrix, and the weights that make fewer of them."""
    if "reduce" not in transform.named_steps:
        return ()
    steps = transform.named_steps["reduce"].transformers_
    return tuple((place, getattr(step, "weights_", None)) for name, step, place in steps if name != "remainder")
