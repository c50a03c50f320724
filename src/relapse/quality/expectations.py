"""The Great Expectations suite of a cohort, derived from its declaration.

Each expectation carries in ``meta`` its code, the column and the rule in words, so that a violation can be told without
knowing Great Expectations.
"""

from typing import TYPE_CHECKING

import pandas as pd

from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.numbers import pattern_of
from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Code
from relapse.quality.codes import D001, D002, D003, D004, D005, D006, D007, D008, D009, D010, D011, D012

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
        gx.ExpectColumnValuesToBeUnique(column="row", meta=_rule(D001, "row", "each row once")),
        gx.ExpectColumnValuesToNotBeNull(column="patient", meta=_rule(D002, "patient", "every row names its patient")),
    ]
    if cohort.site:
        rules.append(
            gx.ExpectColumnValuesToNotBeNull(column="site", meta=_rule(D003, "site", "every row names its site"))
        )
    if cohort.view:
        rules.append(
            gx.ExpectColumnValuesToNotBeNull(column="view", meta=_rule(D004, "view", "every row names its view"))
        )
    for name, feature in cohort.features.items():
        share = feature.max_missing
        complete = _rule(D005, name, f"at most {share:.0%} missing" if share else "no missing values")
        rules.append(gx.ExpectColumnValuesToNotBeNull(column=name, mostly=1 - share, meta=complete))
        if isinstance(feature, Categorical):
            known = _rule(D006, name, f"one of the levels {', '.join(feature.names)}")
            rules.append(gx.ExpectColumnValuesToBeInSet(column=name, value_set=feature.names, meta=known))
        else:
            rules.extend(_numeric(name, feature, table, number=pattern_of(cohort.source_of(name))))
    rules.extend(_outcome(cohort, table))
    return rules


def _numeric(name: str, feature: Numeric, table: pd.DataFrame, *, number: str) -> "list[Expectation]":
    import great_expectations.expectations.core as gx

    if _is_text(table, name):
        return [_matches(D007, name, number, "a number")]
    rules: list[Expectation] = []
    if not feature.learnt:
        low, high = feature.range
        between = _rule(D008, name, f"between {low:g} and {high:g}" + (f" {feature.unit}" if feature.unit else ""))
        rules.append(gx.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, meta=between))
    if feature.type == "count":
        rules.append(_matches(D009, name, _WHOLE, "a whole number"))
    return rules


def _outcome(cohort: Cohort, table: pd.DataFrame) -> "list[Expectation]":
    import great_expectations.expectations.core as gx

    codes = "one of " + ", ".join(f"{code}={value}" for code, value in cohort.endpoint.values.items())
    days = cohort.survival is not None and cohort.survival.event_form == "day"
    if days:
        codes = "0 for none, or the day of the event, more than 0"
    both = _rule(D010, "event", "rows with and without the event")
    rules: list[Expectation] = [gx.ExpectColumnUniqueValueCountToBeBetween(column="event", min_value=2, meta=both)]
    if _is_text(table, "event"):
        number = pattern_of(cohort.source_of("event"))
        rules.append(_matches(D011, "event", number if days else "^[01]$", codes))
    else:
        rules.append(gx.ExpectColumnValuesToBeInSet(column="event", value_set=[0, 1], meta=_rule(D011, "event", codes)))
    if cohort.survival and _is_text(table, "time"):
        rules.append(_matches(D012, "time", pattern_of(cohort.source_of("time")), "a number"))
    elif cohort.survival:
        positive = _rule(D012, "time", f"more than 0 {cohort.survival.unit}s")
        rules.append(gx.ExpectColumnValuesToBeBetween(column="time", min_value=0, strict_min=True, meta=positive))
    return rules


def _matches(code: Code, column: str, pattern: str, rule: str) -> "Expectation":
    import great_expectations.expectations.core as gx

    return gx.ExpectColumnValuesToMatchRegex(column=column, regex=pattern, meta=_rule(code, column, rule))


def _is_text(table: pd.DataFrame, column: str) -> bool:
    return not pd.api.types.is_numeric_dtype(table[column])


def _rule(code: Code, column: str, rule: str) -> dict[str, str]:
    return {"code": code.code, "column": column, "rule": rule}
