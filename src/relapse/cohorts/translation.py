"""A cohort's table as a model of another cohort takes it, by the declared translation."""

import numpy as np
import pandas as pd

from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.declared.translation import Translation
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.ground.errors import DeclarationError


def as_features_of(table: pd.DataFrame, mine: Cohort, theirs: Cohort) -> pd.DataFrame:
    """The predictors of cohort ``theirs`` made from a typed table (n rows) of cohort ``mine``.

    Raises
    ------
    DeclarationError
        A predictor has no counterpart, or one of another kind, unit or levels, and no translation makes it fit.
    """
    translations = mine.validates.get(theirs.name, {})
    unknown = sorted(set(translations) - set(theirs.predictors))
    if unknown:
        raise _unfit(mine, theirs, unknown[0], f"{theirs.name} has no such predictor")
    columns = {
        name: _translated(table, mine, theirs, name, translations.get(name, Translation()))
        for name in theirs.predictors
    }
    return typed(pd.DataFrame(columns, index=table.index), theirs)


def _translated(table: pd.DataFrame, mine: Cohort, theirs: Cohort, name: str, how: Translation) -> pd.Series:
    source = how.feature or name
    if source not in mine.features:
        raise _unfit(mine, theirs, name, f"{mine.name} has no feature {source}; name one that it has")
    have, want = mine.features[source], theirs.features[name]
    values = table[source]
    if isinstance(want, Numeric):
        if not isinstance(have, Numeric) or have.unit != want.unit or how != Translation(feature=how.feature):
            raise _unfit(mine, theirs, name, "a number is taken as it is, and has to be of the same unit")
        return values
    if how.cut is not None:
        if not isinstance(have, Numeric) or len(how.cut) + 1 != len(want.names):
            raise _unfit(mine, theirs, name, f"cut makes {len(want.names)} levels of a number by one cut fewer")
        edges = [-np.inf, *how.cut, np.inf]
        return pd.cut(values, edges, labels=want.names).astype("object")
    if not isinstance(have, Categorical):
        raise _unfit(mine, theirs, name, "levels are made from a number by cut")
    levels = {level: (how.levels or {}).get(level, level) for level in have.names}
    foreign = sorted(set(levels.values()) - set(want.names))
    if foreign or not set(how.levels or {}) <= set(have.names):
        raise _unfit(
            mine, theirs, name, f"levels {', '.join(have.names)} have to become {', '.join(want.names)} by levels"
        )
    return values.astype("object").replace(levels)


def _unfit(mine: Cohort, theirs: Cohort, name: str, why: str) -> DeclarationError:
    return DeclarationError(f"{mine.name}.yaml: validates.{theirs.name}.{name}: {why}.")
