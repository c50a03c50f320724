"""The Great Expectations suite of a cohort, derived from its declaration.

Each expectation carries in ``meta`` the column and the rule in words, so that a violation can be told without
knowing Great Expectations.
"""

from typing import TYPE_CHECKING

import pandas as pd

from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.numbers import pattern_of
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

_WHOLE = r"^-?\d+(?:\.0+)?$"


def build_expectations(cohort: Cohort, table: pd.DataFrame) -> "list[Expectation]":
    """All rules that ``table`` has to keep.

    ``table`` decides nothing but which columns ingest had to leave as text: for those the rule is "a number", and the
    range is not asked.
    """
    import great_expectations.expectations.core as gx

    rules: list[Expectation] = [
        gx.ExpectColumnValuesToBeUnique(column="row", meta=_rule("row", "each row once")),
        gx.ExpectColumnValuesToNotBeNull(column="patient", meta=_rule("patient", "every row names its patient")),
    ]
    if cohort.site:
        rules.append(gx.ExpectColumnValuesToNotBeNull(column="site", meta=_rule("site", "every row names its site")))
    if cohort.view:
        rules.append(gx.ExpectColumnValuesToNotBeNull(column="view", meta=_rule("view", "every row names its view")))
    for name, feature in cohort.features.items():
        share = feature.max_missing
        complete = _rule(name, f"at most {share:.0%} missing" if share else "no missing values")
        rules.append(gx.ExpectColumnValuesToNotBeNull(column=name, mostly=1 - share, meta=complete))
        if isinstance(feature, Categorical):
            known = _rule(name, f"one of the levels {', '.join(feature.names)}")
            rules.append(gx.ExpectColumnValuesToBeInSet(column=name, value_set=feature.names, meta=known))
        else:
            rules.extend(_numeric(name, feature, table, number=pattern_of(cohort.source_of(name))))
    rules.extend(_outcome(cohort, table))
    return rules


def _numeric(name: str, feature: Numeric, table: pd.DataFrame, *, number: str) -> "list[Expectation]":
    import great_expectations.expectations.core as gx

    if _is_text(table, name):
        return [_matches(name, number, "a number")]
    rules: list[Expectation] = []
    if not feature.learnt:
        low, high = feature.range
        between = _rule(name, f"between {low:g} and {high:g}" + (f" {feature.unit}" if feature.unit else ""))
        rules.append(gx.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, meta=between))
    if feature.type == "count":
        rules.append(_matches(name, _WHOLE, "a whole number"))
    return rules


def _outcome(cohort: Cohort, table: pd.DataFrame) -> "list[Expectation]":
    import great_expectations.expectations.core as gx

    codes = "one of " + ", ".join(f"{code}={value}" for code, value in cohort.endpoint.values.items())
    both = _rule("event", "rows with and without the event")
    rules: list[Expectation] = [gx.ExpectColumnUniqueValueCountToBeBetween(column="event", min_value=2, meta=both)]
    if _is_text(table, "event"):
        rules.append(_matches("event", "^[01]$", codes))
    else:
        rules.append(gx.ExpectColumnValuesToBeInSet(column="event", value_set=[0, 1], meta=_rule("event", codes)))
    if cohort.survival and _is_text(table, "time"):
        rules.append(_matches("time", pattern_of(cohort.source_of("time")), "a number"))
    elif cohort.survival:
        positive = _rule("time", f"more than 0 {cohort.survival.unit}s")
        rules.append(gx.ExpectColumnValuesToBeBetween(column="time", min_value=0, strict_min=True, meta=positive))
    return rules


def _matches(column: str, pattern: str, rule: str) -> "Expectation":
    import great_expectations.expectations.core as gx

    return gx.ExpectColumnValuesToMatchRegex(column=column, regex=pattern, meta=_rule(column, rule))


def _is_text(table: pd.DataFrame, column: str) -> bool:
    return not pd.api.types.is_numeric_dtype(table[column])


def _rule(column: str, rule: str) -> dict[str, str]:
    return {"column": column, "rule": rule}
