"""From the canonical table to the matrix a model takes, in two unfitted steps with the sampler between them.

*Encoding* fills missing values, puts numbers on one scale and levels into codes, which is where synthetic rows can
be made; *expansion* turns the codes of nominal features into indicator columns.
"""

from typing import Literal

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PowerTransformer, StandardScaler

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort

Scaling = Literal["standard", "yeo-johnson"]


def ordered_columns(cohort: Cohort, columns: list[str]) -> list[str]:
    """``columns`` as the encoded matrix holds them: numbers first, then levels."""
    return [*cohort.numeric(columns), *cohort.categorical(columns)]


def encoder(cohort: Cohort, columns: list[str], *, scaling: Scaling = "standard") -> ColumnTransformer:
    """Impute, scale and code ``columns`` of a canonical table; the matrix is as :func:`ordered_columns` says.

    Numbers: median, then zero mean and unit variance (after a Yeo-Johnson transform where asked for). Levels: the most
    frequent one, then the code 0, 1, … in declared order.
    """
    numeric, categorical = cohort.numeric(columns), cohort.categorical(columns)
    scale = StandardScaler() if scaling == "standard" else PowerTransformer(method="yeo-johnson", standardize=True)
    steps = []
    if numeric:
        filled = SimpleImputer(strategy="median", keep_empty_features=True)
        steps.append(("numeric", Pipeline([("impute", filled), ("scale", scale)]), numeric))
    if categorical:
        levels = [np.array(_categorical(cohort, name).names, dtype=object) for name in categorical]
        filled = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
        codes = OrdinalEncoder(categories=levels, dtype=np.float64)
        steps.append(("levels", Pipeline([("impute", filled), ("code", codes)]), categorical))
    return ColumnTransformer(steps, sparse_threshold=0.0, verbose_feature_names_out=False)


def expander(cohort: Cohort, columns: list[str]) -> ColumnTransformer:
    """Turn the codes of nominal features into indicators (one less than levels); all else passes as it is."""
    order = ordered_columns(cohort, columns)
    nominal = [name for name in order if getattr(cohort.features[name], "type", None) == "nominal"]
    positions = [order.index(name) for name in nominal]
    codes = [np.arange(len(_categorical(cohort, name).names), dtype=np.float64) for name in nominal]
    indicators = OneHotEncoder(categories=codes, drop="first", sparse_output=False, dtype=np.float64)
    return ColumnTransformer(
        [("indicators", indicators, positions)] if positions else [],
        remainder="passthrough",
        sparse_threshold=0.0,
    )


def _categorical(cohort: Cohort, name: str) -> Categorical:
    feature = cohort.features[name]
    if not isinstance(feature, Categorical):
        raise TypeError(f"{name} is a number and has no levels.")
    return feature
