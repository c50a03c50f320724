"""Shapley values of a candidate's predictions, by the fastest exact way that its family has.

======================  ===========================================================================================
linear in its matrix    closed form, coefficient × (x - mean); logistic and Cox regression, linear support vectors
XGBoost, CatBoost       the library's own TreeSHAP, exact; features are absent as along the trees' paths
forests                 exact over leaves: :mod:`relapse.explanation.trees`
all others              all coalitions, with many features random orders: :mod:`relapse.explanation.coalitions`
======================  ===========================================================================================

All but the boosted trees compare with a background; those compare with the rows they were trained on.

So the service answers, which has to start without the shap package. The pipeline asks shap, where that has an exact
method: :data:`relapse.explanation.by_shap.BY_SHAP`. Tests hold the one against the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from relapse.candidates.forest import SurvivalForest
from relapse.candidates.networks.estimators import NetworkClassifier, NetworkCox
from relapse.candidates.risk_model import RiskModel
from relapse.candidates.svm import MarginClassifier
from relapse.cohorts.schema import Cohort
from relapse.explanation.background import Background
from relapse.explanation.coalitions import EXACT, exact, sampled
from relapse.explanation.parts import Parts, parts_of
from relapse.explanation.trees import MOST_FEATURES, Forest, forest_shapley, leaves_of

Array = NDArray[np.float64]

#: Values (n, used features) of patients whose matrix (n, c) is given, and the base.
Method = Callable[[Array], tuple[Array, float]]


@dataclass(frozen=True, slots=True)
class Methods:
    """How the families are explained that have an exact way of their own, each made ready from a model taken apart.

    Attributes
    ----------
    linear
        From coefficients (c,) and intercept, and the background's mean (c,).
    boosted
        From the parts alone.
    forest
        From the background's matrix (m, c) and weights (m,); None where it has too many features.
    """

    linear: Callable[[Parts, tuple[Array, float], Array], Method]
    boosted: Callable[[Parts], Method]
    forest: Callable[[Parts, Forest, Array, Array], Method | None]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each part adds to a model's output for each patient.

    Attributes
    ----------
    scale
        What the numbers are of, for people.
    base
        The output averaged over the background (for boosted trees: over the rows they were trained on).
    values : array (n, p)
        One column a part that the cohort's explanations speak of (a predictor, or a block that may be reduced), in
        declared order; positive raises the risk; 0 for one that is not used.
    output : array (n,)
        ``base`` plus the row's values: the model's output, before any recalibration.
    """

    scale: str
    base: float
    values: Array
    output: Array


@dataclass(frozen=True, slots=True)
class Explainer:
    """A model made ready to be explained: worth keeping where one patient after another is asked about."""

    parts: Parts
    scale: str
    explained: list[str]
    method: Method

    def __call__(self, table: pd.DataFrame) -> Attribution:
        """Explain the rows of a typed table that has the predictors, and the site where it is known."""
        found, base = self.method(self.parts.matrix(table))
        values = np.zeros((len(table), len(self.explained)))
        values[:, [self.explained.index(name) for name in self.parts.used]] = found
        return Attribution(self.scale, base, values, base + values.sum(axis=1))


def attribute(model: RiskModel, table: pd.DataFrame, background: Background, cohort: Cohort) -> Attribution:
    """Shapley values of ``model`` for the rows of a typed ``table``, compared with ``background``."""
    return explainer(model, background, cohort)(table)


def explainer(model: RiskModel, background: Background, cohort: Cohort, methods: Methods | None = None) -> Explainer:
    """Make a trained candidate ready to be explained: see the head of this module for how.

    Parameters
    ----------
    methods
        Of the families that have one; those of the head of this module if not given.
    """
    methods = methods or OWN
    parts = parts_of(model, cohort)
    rows, weights = parts.matrix(background.table), background.weights
    scale = "log-hazard" if parts.survival else "log-odds of relapse"
    coefficients = _coefficients(parts.estimator)
    forest, method = _forest(parts, cohort), None
    if coefficients is not None:
        method = methods.linear(parts, coefficients, weights @ rows)
    elif hasattr(parts.estimator, "contributions"):
        method = methods.boosted(parts)
    elif forest is not None and (method := methods.forest(parts, forest, rows, weights)):
        scale = forest.scale
    return Explainer(parts, scale, cohort.explained, method or _coalitions(parts, rows, weights))


def by_feature(parts: Parts, columns: Array) -> Array:
    """Columns of the matrix (n, c) summed into the features (n, used) that they come from."""
    return np.asarray(columns @ np.eye(len(parts.used))[parts.owner])


def _coefficients(estimator: Any) -> tuple[Array, float] | None:
    """Coefficients (c,) and intercept of a model that is linear in its matrix, else None."""
    machine = estimator.machine_ if isinstance(estimator, MarginClassifier) else estimator
    if getattr(machine, "kernel", "linear") != "linear" or not hasattr(machine, "coef_"):
        return None
    intercept = getattr(machine, "intercept_", 0.0)
    return np.ravel(machine.coef_), float(np.ravel(intercept)[0])


def _linear(parts: Parts, fitted: tuple[Array, float], mean: Array) -> Method:
    coefficients, intercept = fitted
    base = float(intercept + mean @ coefficients)
    return lambda matrix: (by_feature(parts, (matrix - mean) * coefficients), base)


def _boosted(parts: Parts) -> Method:
    def method(matrix: Array) -> tuple[Array, float]:
        found = parts.estimator.contributions(matrix)
        return by_feature(parts, found[:, :-1]), float(found[0, -1])

    return method


def _forest(parts: Parts, cohort: Cohort) -> Forest | None:
    """The trees of a forest, None for any other model."""
    estimator = parts.estimator
    if isinstance(estimator, RandomForestClassifier):
        trees = [tree.tree_ for tree in estimator.estimators_]
        values = [tree.value[:, 0, 1] / tree.value[:, 0].sum(axis=1) for tree in trees]
        return Forest(trees, values, "probability of relapse, before recalibration")
    if isinstance(estimator, SurvivalForest) and cohort.survival:
        trees = [tree.tree_ for tree in estimator.forest_.estimators_]
        horizon = cohort.survival.horizons[-1]
        step = int(np.searchsorted(estimator.forest_.unique_times_, horizon.time, side="right")) - 1
        values = [tree.value[:, step, 0] if step >= 0 else np.zeros(tree.node_count) for tree in trees]
        return Forest(trees, values, f"cumulative hazard by {horizon.label}")
    return None


def leafwise(parts: Parts, forest: Forest, rows: Array, weights: Array) -> Method | None:
    """A forest leaf by leaf, whatever number of columns a feature has; None with too many features."""
    features = len(parts.used)
    if features > MOST_FEATURES:
        return None
    leaves = leaves_of(forest.trees, forest.values, columns=len(parts.owner))
    background = leaves.inside(rows, owner=parts.owner, features=features)
    whole = background == np.uint64((1 << features) - 1)
    base = float(weights @ (whole @ leaves.value))

    def method(matrix: Array) -> tuple[Array, float]:
        values, step = np.empty((len(matrix), features)), leaves.rows_at_once
        for start in range(0, len(matrix), step):
            patients = leaves.inside(matrix[start : start + step], owner=parts.owner, features=features)
            values[start : start + step] = forest_shapley(
                patients, background, leaves.value, weights=weights, features=features
            )
        return values, base

    return method


def _coalitions(parts: Parts, rows: Array, weights: Array) -> Method:
    features = len(parts.used)
    # Networks take half as long in single precision. What it rounds, a millionth of a log-odds, is in no figure.
    kind = np.float32 if isinstance(parts.estimator, NetworkClassifier | NetworkCox) else np.float64
    rows = rows.astype(kind, copy=False)
    base = float(weights @ parts.output(rows))
    shapley: Callable[..., Array] = exact if features <= EXACT else partial(sampled, of_sums=parts.of_sums())

    def method(matrix: Array) -> tuple[Array, float]:
        asked: Array = matrix.astype(kind)
        return shapley(parts.output, asked, rows, weights=weights, owner=parts.owner, features=features), base

    return method


#: Without the shap package.
OWN = Methods(linear=_linear, boosted=_boosted, forest=leafwise)
