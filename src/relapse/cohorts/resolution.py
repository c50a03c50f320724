"""Wide groups become features: one a column, named after it, with a range learnt from its values."""

import difflib
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from relapse.cohorts.declared.features import Feature, Numeric
from relapse.cohorts.declared.groups import Group, LearntRange, fitting
from relapse.cohorts.numbers import read_numbers
from relapse.cohorts.schema import RESERVED_COLUMNS, Cohort
from relapse.ground.errors import DeclarationError


def resolve(cohort: Cohort, raw: pd.DataFrame, *, origin: Mapping[str, str]) -> Cohort:
    """The same cohort with every wide group expanded into plain features, and with the source of each feature named.

    Parameters
    ----------
    cohort
        As declared; one that is resolved already comes back as it is.
    raw
        The rows that are kept, with the columns of all sources as they were read.
    origin
        By column, the name of the source that it comes from.

    Raises
    ------
    DeclarationError
        A group that fits no column, or a column that is in two groups or also declared by itself.
    """
    for name, feature in cohort.features.items():
        found = origin[cohort.source_column(name)]
        if feature.source not in (None, found):
            raise _wrong(cohort, name, f"source: its column stands in {found}, not in {feature.source}.")
    features: dict[str, Feature] = {
        name: feature.model_copy(update={"source": origin[cohort.source_column(name)]}) if cohort.sources else feature
        for name, feature in cohort.features.items()
    }
    taken: dict[str, str] = {}
    for key, group in cohort.groups.items():
        for column in columns_of(cohort, key, group, origin):
            if column in taken:
                raise _wrong(cohort, key, f"column {column} is in the group {taken[column]} already. Declare it once.")
            taken[column] = key
            name = plain_name(column, {*features, *RESERVED_COLUMNS, *(["view"] if cohort.view else [])})
            features[name] = _feature(raw[column], group, cohort, column=column, name=name, source=origin[column])
    return cohort.model_copy(update={"features": features, "groups": {}})


def columns_of(cohort: Cohort, key: str, group: Group, origin: Mapping[str, str]) -> list[str]:
    """The columns of a group, in the order of the source."""
    alone = {cohort.source_column(name): name for name in cohort.features}
    roles = {*cohort.outcome_columns, *cohort.view, cohort.patient, cohort.site}
    if group.columns is not None:
        lacking = [column for column in group.columns if column not in origin]
        if lacking:
            near = difflib.get_close_matches(lacking[0], list(origin), n=1)
            also = f" Did you mean {near[0]}?" if near else ""
            raise _wrong(cohort, key, f"columns: no source has a column {lacking[0]}.{also}")
        for column in group.columns:
            if column in alone or column in roles:
                by = f"is also declared by itself, as feature {alone[column]}" if column in alone else "is no feature"
                raise _wrong(cohort, key, f"columns: {column} {by}. Take it out of the list.")
        return list(group.columns)
    among = [column for column, source in origin.items() if group.source in (None, source)]
    found = fitting(key, among)
    chosen = [column for column in found if column not in alone and column not in roles]
    if not chosen:
        where = f" of source {group.source}" if group.source else ""
        why = "every column that fits it is declared by itself" if found else f"no column{where} fits this pattern"
        raise _wrong(cohort, key, f"{why}. There are: {', '.join(among[:10])}{', …' if len(among) > 10 else ''}.")
    return chosen


def _feature(values: pd.Series, group: Group, cohort: Cohort, *, column: str, name: str, source: str) -> Numeric:
    learnt = isinstance(group.range, LearntRange)
    read = read_numbers(values, cohort.read_from[source])
    between = _learnt(read, group.range) if isinstance(group.range, LearntRange) else group.range
    shared = ("unit", "description", "known", "block", "max_missing", "missing")
    given = {key: getattr(group, key) for key in shared}
    more = {"column": column, "label": column} if name != column else {}
    return Numeric.model_validate(
        {key: value for key, value in given.items() if value not in (None, 0.0)}
        | {"type": group.type, "range": between}
        | more
        | ({"source": source} if source else {})
        | ({"learnt": True} if learnt else {})
    )


def _learnt(values: pd.Series, how: LearntRange) -> tuple[float, float]:
    """The range that values teach; any, where there are none or they are no numbers, which the gate then says."""
    numbers = values[np.isfinite(values)] if pd.api.types.is_numeric_dtype(values) else values.iloc[:0]
    if numbers.empty:
        return 0.0, 1.0
    low, high = (float(item) for item in numbers.quantile(list(how.quantiles)))
    if low == high:
        low, high = float(numbers.min()), float(numbers.max())
    # One value alone has no width to widen by.
    wider = how.margin * (high - low) if low < high else max(abs(low), 1.0)
    return _rounded(low - wider), _rounded(high + wider)


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")


def plain_name(column: str, taken: set[str]) -> str:
    """A feature's name made of a column's: letters, digits and ``_``, none that is taken."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")
    if not re.match("[A-Za-z]", plain) or plain.startswith("risk"):
        plain = f"f_{plain}".rstrip("_")
    name, number = plain, 1
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    return name


def _wrong(cohort: Cohort, key: str, message: str) -> DeclarationError:
    return DeclarationError(f"{cohort.name}.yaml: features.{key}: {message}")
