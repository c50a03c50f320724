"""What the coefficients of a fitted linear model stand for, in the units of the declaration."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from relapse.candidates.base import BinaryModel, SurvivalModel
from relapse.candidates.cox import CoxRegression
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.declared.units import unit_of_time
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.harmonising import SITE
from relapse.preprocessing.iterative import by_columns
from relapse.preprocessing.transformers import SAID, SHARED, block_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Model = BinaryModel | SurvivalModel

#: What a number is counted in once a search has chosen to bend it to a normal distribution.
_BENT = "per standard deviation after a Yeo-Johnson transform"


@dataclass(frozen=True, slots=True)
class Term:
    """One column of the matrix that a linear model takes: the value of the term, less ``centre``, over ``scale``.

    ``step`` says what a difference of 1 is: a unit, a level, or one level against another. A term that is not
    ``plain`` is bent or brought back within bounds on the way, and its value cannot be put in by hand.
    """

    feature: str
    label: str
    step: str
    centre: float = 0.0
    scale: float = 1.0
    plain: bool = True


def terms(model: Model, cohort: Cohort) -> list[Term] | None:
    """The terms of a fitted model in the order of its columns; None where columns are no longer single features.

    Indicators of levels come first, as :func:`relapse.preprocessing.transformers.expander` puts them.
    """
    if model.reducer is not None:
        return None
    steps = by_columns(_fitted(model).named_steps["encode"]).transformers_
    found = [pair for step in steps for pair in _of(step, cohort)]
    return [term for first, term in found if first] + [term for first, term in found if not first]


def matrix(model: Model, table: "pd.DataFrame") -> Array:
    """The columns (n, p) that a fitted model without a reducer makes of a table, missing values filled its way."""
    steps = _fitted(model).named_steps
    return np.asarray(steps["expand"].transform(steps["encode"].transform(table)), dtype=np.float64)


def coefficients(model: Model) -> Array | None:
    """The coefficients (p,) of a fitted linear model, one a column; None of any other model."""
    last = model.regressor_ if isinstance(model, SurvivalModel) else _fitted(model).named_steps["classify"]
    return (
        np.asarray(last.coef_, dtype=np.float64).ravel()
        if isinstance(last, CoxRegression | LogisticRegression)
        else None
    )


def _fitted(model: Model) -> Pipeline:
    return model.transform_ if isinstance(model, SurvivalModel) else model.pipeline_


def _of(step: tuple[str, Any, list[str]], cohort: Cohort) -> Iterator[tuple[bool, Term]]:
    """The terms that one step of a fitted encoder makes, and whether each is an indicator of a level."""
    name, transformer, features = step
    if name.startswith(SHARED):
        yield False, Term("", name.removeprefix(SHARED), "all values missing against none")
    elif name == SAID:
        for feature in features:
            yield False, Term(feature, _label(cohort, feature), "missing against known")
    elif name == "levels":
        for feature in features:
            yield from _levels(feature, cohort)
    elif name != "remainder":
        names = [feature for feature in features if feature != SITE]
        scaler = transformer.named_steps["scale"]
        linear = isinstance(scaler, StandardScaler)
        for place, feature in enumerate(names):
            yield (
                False,
                Term(
                    feature,
                    _label(cohort, feature),
                    _unit(cohort, feature) if linear else _BENT,
                    centre=float(scaler.mean_[place]) if linear else 0.0,
                    scale=float(scaler.scale_[place]) if linear else 1.0,
                    plain=linear and block_of(name) is None,
                ),
            )


def _levels(feature: str, cohort: Cohort) -> Iterator[tuple[bool, Term]]:
    declared = cohort.features[feature]
    assert isinstance(declared, Categorical)
    first, *others = declared.names
    if declared.type == "ordinal":
        yield False, Term(feature, _label(cohort, feature), f"per level, from {first} on")
    else:
        for level in others:
            yield True, Term(feature, _label(cohort, feature), f"{level} against {first}")


def _label(cohort: Cohort, feature: str) -> str:
    return cohort.features[feature].label or feature


def _unit(cohort: Cohort, feature: str) -> str:
    unit = getattr(cohort.features[feature], "unit", None)
    return f"per {unit_of_time(unit) or unit}" if unit else "per 1"
