"""From the canonical table to the matrix a model takes, in two unfitted steps with the sampler between them.

*Encoding* fills missing values, puts numbers on one scale and levels into codes, which is where synthetic rows can
be made; *expansion* turns the codes of nominal features into indicator columns. Numbers of a block that may be reduced
or harmonised are encoded by a step of their own and stand last, so that whatever becomes of them moves no other column.
"""

from typing import Any, Literal

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, PowerTransformer, StandardScaler

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.bounding import Bounded
from relapse.preprocessing.harmonising import SITE, Harmoniser, SiteEncoder

Scaling = Literal["standard", "yeo-johnson"]

#: Steps of a block's pipeline: the one that fills missing values, and the one inside it that may filter before.
FILL, FILTER = "fill", "filter"

#: And the last one, which brings far values back.
BOUND = "bound"

_BLOCK = "block "


def ordered_columns(cohort: Cohort, columns: list[str]) -> list[str]:
    """``columns`` as the encoded matrix holds them: numbers first, then levels, then blocks that stand apart."""
    apart = _apart(cohort, columns)
    return [
        *_numbers(cohort, columns),
        *cohort.categorical(columns),
        *(name for names in apart.values() for name in names),
    ]


def encoder(cohort: Cohort, columns: list[str], *, scaling: Scaling = "standard") -> ColumnTransformer:
    """Impute, scale and code ``columns`` of a canonical table; the matrix is as :func:`ordered_columns` says.

    Numbers: median, then zero mean and unit variance (after a Yeo-Johnson transform where asked for). Levels: the most
    frequent one, then the code 0, 1, … in declared order. Numbers of a block that stands apart: median, where their
    block says so without what differs between sites, standardised, within bounds.
    """
    numeric, categorical = _numbers(cohort, columns), cohort.categorical(columns)
    steps: list[tuple[str, Any, list[str]]] = []
    if numeric:
        steps.append(("numeric", Pipeline([("impute", _filled()), ("scale", _scale(scaling))]), numeric))
    if categorical:
        levels = [np.array(_categorical(cohort, name).names, dtype=object) for name in categorical]
        filled = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
        codes = OrdinalEncoder(categories=levels, dtype=np.float64)
        steps.append(("levels", Pipeline([("impute", filled), ("code", codes)]), categorical))
    harmonised = False
    for block, names in _apart(cohort, columns).items():
        filled = Pipeline([(FILTER, "passthrough"), ("impute", _filled())])
        if cohort.blocks[block].harmonise == "combat":
            filled, names, harmonised = Harmoniser(filled), [SITE, *names], True
        # Not Yeo-Johnson: a search for the power of each of 500 columns takes 40 times as long as a fit to them.
        scaled = Pipeline([(FILL, filled), ("scale", StandardScaler()), (BOUND, Bounded())])
        steps.append((_step(block), scaled, names))
    kind = SiteEncoder if harmonised else ColumnTransformer
    return kind(steps, sparse_threshold=0.0, verbose_feature_names_out=False)


def block_of(step: str) -> str | None:
    """The block that a step of an encoder is for, None where it is for no block alone."""
    return step.removeprefix(_BLOCK).replace("-", "_") if step.startswith(_BLOCK) else None


def widths(encoder: ColumnTransformer) -> list[int]:
    """Columns that each step of an unfitted encoder makes."""
    return [sum(name != SITE for name in names) for _, _, names in encoder.transformers]


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


def _apart(cohort: Cohort, columns: list[str]) -> dict[str, list[str]]:
    """The numbers among ``columns`` of each block that may be reduced or harmonised."""
    blocks = [name for name, block in cohort.blocks.items() if name in cohort.reducible or block.harmonise != "none"]
    found = {
        block: [name for name in cohort.numeric(columns) if cohort.features[name].block == block] for block in blocks
    }
    return {block: names for block, names in found.items() if names}


def _numbers(cohort: Cohort, columns: list[str]) -> list[str]:
    """The numbers among ``columns`` of no such block."""
    apart = {name for names in _apart(cohort, columns).values() for name in names}
    return [name for name in cohort.numeric(columns) if name not in apart]


def _step(block: str) -> str:
    # scikit-learn allows no __ in the name of a step; no block's name has a hyphen.
    return _BLOCK + block.replace("_", "-")


def _filled() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _scale(scaling: Scaling) -> Any:
    return StandardScaler() if scaling == "standard" else PowerTransformer(method="yeo-johnson", standardize=True)


def _categorical(cohort: Cohort, name: str) -> Categorical:
    feature = cohort.features[name]
    if not isinstance(feature, Categorical):
        raise TypeError(f"{name} is a number and has no levels.")
    return feature
