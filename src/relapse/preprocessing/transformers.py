"""From the canonical table to the matrix a model takes, in two unfitted steps with the sampler between them.

*Encoding* fills missing values, puts numbers on one scale and levels into codes, which is where synthetic rows can
be made; *expansion* turns the codes of nominal features into indicator columns. Numbers of a block that may be reduced
or harmonised are encoded by a step of their own and stand last, so that whatever becomes of them moves no other column.
What becomes of missing values each feature's rule says (:mod:`relapse.cohorts.missing`).
"""

from typing import Any, Literal

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from relapse.cohorts.declared.features import Categorical, Missing
from relapse.cohorts.missing import indicated, rule
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.bounding import Bounded
from relapse.preprocessing.harmonising import SITE, Harmoniser, SiteEncoder
from relapse.preprocessing.iterative import Completing, Iterative
from relapse.preprocessing.lacking import Lacking
from relapse.preprocessing.powers import YeoJohnson

Scaling = Literal["standard", "yeo-johnson"]

#: Steps of a block's pipeline: the one that fills missing values, and the one inside it that may filter before.
FILL, FILTER = "fill", "filter"

#: And the last one, which brings far values back.
BOUND = "bound"

#: Steps of features that trees take with their missing values: numbers, ordered levels, levels without an order.
OPEN = (NUMBERS, RANKS, CODES) = ("numeric, left missing", "ranks, left missing", "levels, left missing")

#: The step of columns that say where a value was missing, and the start of those that blocks share.
SAID = "missing"
SHARED = "missing in "

#: The level that missing ones are to trees, where levels have no order. No declaration can hold such a name.
NO_VALUE = "\0no value"

_BLOCK = "block "


def ordered_columns(cohort: Cohort, columns: list[str], *, native: bool = False) -> list[str]:
    """Names of the encoded matrix's columns, made of features ``columns``.

    Numbers first, then levels, then what says that a value was missing, ``missing(name)``, then blocks that stand
    apart. ``native``: see :func:`encoder`.
    """
    found: list[str] = []
    for step, names in _layout(cohort, columns, native=native).items():
        if step.startswith(SHARED):
            found.append(f"share({step})")
        else:
            found += [f"missing({name})" for name in names] if step == SAID else names
    return found


def coded(cohort: Cohort, columns: list[str]) -> tuple[int, int]:
    """How many numbers an encoded matrix begins with, and how many codes of levels, or of missing or not, follow."""
    layout = _layout(cohort, columns, native=False)
    return len(layout.get("numeric", ())), len(layout.get("levels", ())) + len(layout.get(SAID, ()))


def encoder(
    cohort: Cohort, columns: list[str], *, scaling: Scaling = "standard", native: bool = False
) -> ColumnTransformer | Completing:
    """Impute, scale and code ``columns`` of a canonical table; the matrix is as :func:`ordered_columns` says.

    Numbers: median, then zero mean and unit variance (after a Yeo-Johnson transform where asked for). Levels: the most
    frequent one, then the code 0, 1, … in declared order. Numbers of a block that stands apart: median, where their
    block says so without what differs between sites, standardised, within bounds. Features whose rule is ``iterative``
    are imputed before all that.

    With ``native``, for trees, features of that rule keep their missing values, as NaN, or as a level of its own where
    levels have no order; numbers of a block that stands apart do not, since what reduces it needs whole rows.
    """
    steps: list[tuple[str, Any, list[str]]] = []
    harmonised = False
    for step, names in _layout(cohort, columns, native=native).items():
        block = block_of(step)
        if block is None:
            steps.append((step, _transformer(cohort, step, names, scaling), names))
            continue
        filled: Any = Pipeline([(FILTER, "passthrough"), ("impute", _filled())])
        if cohort.blocks[block].harmonise == "combat":
            filled, names, harmonised = Harmoniser(filled), [SITE, *names], True
        # Not Yeo-Johnson: a search for the power of each of 500 columns takes 40 times as long as a fit to them.
        scaled = Pipeline([(FILL, filled), ("scale", StandardScaler()), (BOUND, Bounded())])
        steps.append((step, scaled, names))
    kind = SiteEncoder if harmonised else ColumnTransformer
    made = kind(steps, sparse_threshold=0.0, verbose_feature_names_out=False)
    targets = [name for name in columns if rule(cohort, name) is Missing.ITERATIVE]
    return Completing(_iterative(cohort, columns, targets), made) if targets else made


def block_of(step: str) -> str | None:
    """The block that a step of an encoder is for, None where it is for no block alone."""
    return step.removeprefix(_BLOCK).replace("-", "_") if step.startswith(_BLOCK) else None


def widths(encoder: ColumnTransformer) -> list[int]:
    """Columns that each step of an unfitted encoder makes."""
    return [
        1 if step.startswith(SHARED) else sum(name != SITE for name in names) for step, _, names in encoder.transformers
    ]


def expander(cohort: Cohort, columns: list[str], *, native: bool = False) -> ColumnTransformer:
    """Turn the codes of nominal features into indicators (one less than levels); all else passes as it is."""
    layout = _layout(cohort, columns, native=native)
    order = ordered_columns(cohort, columns, native=native)
    nominal = [name for name in order if name in columns and cohort.features[name].type == "nominal"]
    positions = [order.index(name) for name in nominal]
    counts = [len(_categorical(cohort, name).names) + (name in layout.get(CODES, ())) for name in nominal]
    codes = [np.arange(count, dtype=np.float64) for count in counts]
    indicators = OneHotEncoder(categories=codes, drop="first", sparse_output=False, dtype=np.float64)
    return ColumnTransformer(
        [("indicators", indicators, positions)] if positions else [],
        remainder="passthrough",
        sparse_threshold=0.0,
    )


def _layout(cohort: Cohort, columns: list[str], *, native: bool) -> dict[str, list[str]]:
    """The features that each step of an encoder takes, in the order of the matrix; steps without any are not there."""
    apart, levels = _apart(cohort, columns), cohort.categorical(columns)
    together = {name for names in apart.values() for name in names}
    numbers = [name for name in cohort.numeric(columns) if name not in together]
    left = [name for name in [*numbers, *levels] if native and rule(cohort, name) is Missing.NATIVE]
    said, shared = indicated(cohort, [name for name in columns if name not in left])
    found = {
        "numeric": [name for name in numbers if name not in left],
        NUMBERS: [name for name in numbers if name in left],
        "levels": [name for name in levels if name not in left],
        RANKS: [name for name in levels if name in left and cohort.features[name].type == "ordinal"],
        CODES: [name for name in levels if name in left and cohort.features[name].type == "nominal"],
        SAID: said,
        **{SHARED + _plain(block): names for block, names in shared.items()},
        **{_BLOCK + _plain(block): names for block, names in apart.items()},
    }
    return {step: names for step, names in found.items() if names}


def _transformer(cohort: Cohort, step: str, names: list[str], scaling: Scaling) -> Any:
    """The unfitted transformer of a step that is for no block alone."""
    if step == SAID or step.startswith(SHARED):
        return Lacking(share=step != SAID)
    if step == "numeric":
        return Pipeline([("impute", _filled()), ("scale", _scale(scaling))])
    if step == NUMBERS:
        return Pipeline([("scale", _scale(scaling))])
    levels = [np.array(_categorical(cohort, name).names, dtype=object) for name in names]
    if step == RANKS:
        # Nothing but a missing value is unknown in a typed table.
        unknown: dict[str, Any] = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan}
        return Pipeline([("code", OrdinalEncoder(categories=levels, dtype=np.float64, **unknown))])
    if step == CODES:
        filled = SimpleImputer(strategy="constant", fill_value=NO_VALUE, keep_empty_features=True)
        levels = [np.append(known, np.array([NO_VALUE], dtype=object)) for known in levels]
    else:
        filled = SimpleImputer(strategy="most_frequent", keep_empty_features=True)
    return Pipeline([("impute", filled), ("code", OrdinalEncoder(categories=levels, dtype=np.float64))])


def _iterative(cohort: Cohort, columns: list[str], targets: list[str]) -> Iterative:
    levels = {name: _categorical(cohort, name).names for name in cohort.categorical(columns)}
    unordered = [name for name in levels if cohort.features[name].type == "nominal"]
    return Iterative(list(columns), levels, unordered, targets)


def _apart(cohort: Cohort, columns: list[str]) -> dict[str, list[str]]:
    """The numbers among ``columns`` of each block that may be reduced or harmonised."""
    blocks = [name for name, block in cohort.blocks.items() if name in cohort.reducible or block.harmonise != "none"]
    found = {
        block: [name for name in cohort.numeric(columns) if cohort.features[name].block == block] for block in blocks
    }
    return {block: names for block, names in found.items() if names}


def _plain(block: str) -> str:
    # scikit-learn allows no __ in the name of a step; no block's name has a hyphen.
    return block.replace("_", "-")


def _filled() -> SimpleImputer:
    return SimpleImputer(strategy="median", keep_empty_features=True)


def _scale(scaling: Scaling) -> Any:
    return StandardScaler() if scaling == "standard" else YeoJohnson()


def _categorical(cohort: Cohort, name: str) -> Categorical:
    feature = cohort.features[name]
    if not isinstance(feature, Categorical):
        raise TypeError(f"{name} is a number and has no levels.")
    return feature
