"""The Great Expectations suite of a cohort, derived from its declaration.

Each expectation carries in ``meta`` the column and the rule in words, so that a violation can be told without
knowing Great Expectations.
"""

from typing import TYPE_CHECKING

import pandas as pd

from relapse.cohorts.schema import Categorical, Cohort, Numeric

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

#: A declared number with text in it was left as text by ingest; these are the cells that are not the reason.
_NUMBER = r"^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$"


def build_expectations(cohort: Cohort, table: pd.DataFrame) -> "list[Expectation]":
    """All rules that ``table`` has to keep.

    ``table`` decides nothing but which columns are still text: for those the rule is "a number", and the range is
    not asked.
    """
    import great_expectations.expectations as gxe

    rules: list[Expectation] = [
        gxe.ExpectColumnValuesToBeUnique(column="row", meta=_rule("row", "each row once")),
        gxe.ExpectColumnValuesToNotBeNull(column="patient", meta=_rule("patient", "every row names its patient")),
    ]
    if cohort.site:
        rules.append(gxe.ExpectColumnValuesToNotBeNull(column="site", meta=_rule("site", "every row names its site")))
    for name, feature in cohort.features.items():
        rules.append(_completeness(name, feature.max_missing))
        if isinstance(feature, Categorical):
            allowed = ", ".join(feature.names)
            meta = _rule(name, f"one of the levels {allowed}")
            rules.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=feature.names, meta=meta))
        else:
            rules.extend(_numeric(name, feature, table))
    rules.extend(_outcome(cohort, table))
    return rules


def _numeric(name: str, feature: Numeric, table: pd.DataFrame) -> "list[Expectation]":
    import great_expectations.expectations as gxe

    if not pd.api.types.is_numeric_dtype(table[name]):
        return [gxe.ExpectColumnValuesToMatchRegex(column=name, regex=_NUMBER, meta=_rule(name, "a number"))]
    low, high = feature.range
    unit = f" {feature.unit}" if feature.unit else ""
    between = _rule(name, f"between {low:g} and {high:g}{unit}")
    rules = [gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high, meta=between)]
    if feature.type == "count":
        rules.append(_whole(name))
    return rules


def _outcome(cohort: Cohort, table: pd.DataFrame) -> "list[Expectation]":
    import great_expectations.expectations as gxe

    codes = ", ".join(f"{code}={value}" for code, value in cohort.endpoint.values.items())
    if pd.api.types.is_numeric_dtype(table["event"]):
        event = gxe.ExpectColumnValuesToBeInSet(column="event", value_set=[0, 1], meta=_rule("event", f"one of {codes}"))
    else:
        event = gxe.ExpectColumnValuesToMatchRegex(column="event", regex=r"^[01]$", meta=_rule("event", f"one of {codes}"))
    both = _rule("event", "rows with and without the event: at least two different values")
    rules = [event, gxe.ExpectColumnUniqueValueCountToBeBetween(column="event", min_value=2, meta=both)]
    if cohort.survival:
        if not pd.api.types.is_numeric_dtype(table["time"]):
            rules.append(gxe.ExpectColumnValuesToMatchRegex(column="time", regex=_NUMBER, meta=_rule("time", "a number")))
        else:
            meta = _rule("time", f"more than 0 {cohort.survival.unit}s")
            rules.append(gxe.ExpectColumnValuesToBeBetween(column="time", min_value=0, strict_min=True, meta=meta))
    return rules


def _completeness(name: str, max_missing: float) -> "Expectation":
    import great_expectations.expectations as gxe

    meta = _rule(name, f"at most {max_missing:.0%} missing" if max_missing else "no missing values")
    return gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=1 - max_missing, meta=meta)


def _whole(name: str) -> "Expectation":
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToMatchRegex(column=name, regex=r"^-?\d+(?:\.0+)?$", meta=_rule(name, "a whole number"))


def _rule(column: str, rule: str) -> dict[str, str]:
    return {"column": column, "rule": rule}
