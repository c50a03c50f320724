"""What a broken rule points to in the source, and what mends it: the gate's questions to the diagnosis of columns."""

import pandas as pd

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.diagnosis import columns
from relapse.cohorts.schema import Cohort


def hint(rule: str, column: str, table: pd.DataFrame, cohort: Cohort) -> str:
    """What to say beside a broken rule; nothing where there is nothing to be said.

    Parameters
    ----------
    rule
        Kind of the expectation, as Great Expectations names it.
    column
        Column of the canonical table.
    """
    values, endpoint, source = table[column], cohort.endpoint, cohort.source_of(column)
    if rule == "expect_column_values_to_not_be_null":
        return ""
    if column == "event":
        if rule == "expect_column_unique_value_count_to_be_between":
            return columns.one_sided(values, endpoint.values)
        return columns.outcome(values, endpoint.values, column=endpoint.event, source=source)
    feature = cohort.features.get(column)
    if isinstance(feature, Categorical):
        return columns.level(values, feature, column=cohort.source_column(column), source=source)
    if feature is not None:
        name, (low, high) = cohort.source_column(column), feature.range
    elif column == "time" and cohort.survival:
        name, (low, high) = cohort.survival.time, (0.0, float("inf"))
    else:
        return ""
    if not pd.api.types.is_numeric_dtype(values):
        return columns.number(values, column=name, source=source)
    return columns.code(values[(values < low) | (values > high)], column=name, source=source)
