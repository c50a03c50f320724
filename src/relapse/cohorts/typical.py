"""A patient made up from the declaration alone: nobody's values, and such as the declaration allows."""

import math

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort


def typical_values(cohort: Cohort) -> dict[str, float | str]:
    """The middle of every declared range and the first of every feature's levels, by the predictors' names."""
    values: dict[str, float | str] = {}
    for name in cohort.predictors:
        feature = cohort.features[name]
        if isinstance(feature, Categorical):
            values[name] = feature.names[0]
        else:
            middle = sum(feature.range) / 2
            values[name] = math.floor(middle) if feature.type == "count" else middle
    return values
