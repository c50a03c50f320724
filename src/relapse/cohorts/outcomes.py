"""The outcome of each row, event and time, from the forms in which a source may state it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from relapse.cohorts.dates import between
from relapse.cohorts.numbers import as_text, read_numbers
from relapse.cohorts.schema import Cohort


def outcome_of(raw: pd.DataFrame, cohort: Cohort) -> dict[str, pd.Series]:
    """The columns ``event`` and, where the endpoint has one, ``time`` of the rows of a source.

    What cannot be read comes through as it stands, for the gate to name it.
    """
    endpoint = cohort.survival
    event = _event(raw, cohort)
    if endpoint is None:
        return {"event": event}
    time = _least(raw, endpoint.time, cohort)
    if endpoint.event_form != "code" or endpoint.event_time:
        own = _least(raw, endpoint.event_time or (endpoint.event,), cohort)
        if _numeric(own) and _numeric(time):
            time = time.where(event != 1, own)
        elif _numeric(time):
            time = own
    for other in endpoint.also:
        time_of_other = _time(raw, other.time, cohort)
        event, time = _first_of(event, time, _coded(raw[other.event], cohort), time_of_other)
    return {"event": event, "time": time}


def without_outcome(raw: pd.DataFrame, cohort: Cohort) -> dict[str, pd.Series]:
    """By reason, the rows that have to leave since their outcome is not known, or told in two ways."""
    endpoint = cohort.survival
    begun = [endpoint.from_] if endpoint and endpoint.from_ else []
    leaving = {f"no date that time begins with ({column})": raw[column].isna() for column in begun}
    if endpoint is None or not (endpoint.event_form != "code" or endpoint.event_time or len(endpoint.time) > 1):
        return leaving | {f"no outcome recorded ({column})": raw[column].isna() for column in cohort.outcome_columns}
    event = _event(raw, cohort)
    relapsed, followed = event == 1, raw[list(endpoint.time)].notna().any(axis=1)
    if endpoint.event_form != "date":
        leaving[f"no outcome recorded ({endpoint.event})"] = raw[endpoint.event].isna()
    own_time = endpoint.event_form != "code" or bool(endpoint.event_time)
    if endpoint.event_time:
        dated, named = raw[list(endpoint.event_time)].notna().any(axis=1), ", ".join(endpoint.event_time)
        leaving[f"an event without its time ({named})"] = relapsed & ~dated
        leaving[f"no event by {endpoint.event}, and yet a time of it ({named})"] = (event == 0) & dated
    leaving[f"no outcome recorded ({', '.join(endpoint.time)})"] = ~followed & ~(relapsed & own_time)
    others = [column for other in endpoint.also for column in (other.event, other.time)]
    return leaving | {f"no outcome recorded ({column})": raw[column].isna() for column in others}


def _event(raw: pd.DataFrame, cohort: Cohort) -> pd.Series:
    values = raw[cohort.endpoint.event]
    if cohort.survival is None or cohort.survival.event_form == "code":
        return _coded(values, cohort)
    if cohort.survival.event_form == "date":
        return values.notna().astype(np.float64)
    days = read_numbers(values, cohort.source_of("event"))
    return days.where(~(days > 0), 1.0) if _numeric(days) else days


def _coded(values: pd.Series, cohort: Cohort) -> pd.Series:
    return _number(as_text(values).replace(spelled({code: str(to) for code, to in cohort.endpoint.values.items()})))


def _time(raw: pd.DataFrame, column: str, cohort: Cohort) -> pd.Series:
    """The times in a column, or until the dates in it."""
    endpoint, source = cohort.survival, cohort.source_of("event")
    if endpoint is None or endpoint.from_ is None:
        return read_numbers(raw[column], source)
    return between(raw[endpoint.from_], raw[column], unit=endpoint.unit, source=source)


def _least(raw: pd.DataFrame, columns: Sequence[str], cohort: Cohort) -> pd.Series:
    """The least of several columns in each row, or the first of them that holds what is no number."""
    read = [_time(raw, column, cohort) for column in columns]
    broken = next((values for values in read if not _numeric(values)), None)
    return pd.concat(read, axis=1).min(axis=1) if broken is None else broken


def _numeric(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values)


def spelled(codes: dict[str, str]) -> dict[str, str]:
    """Codes with every spelling of true and false: YAML reads ``TRUE`` as the truth value, not as the word."""
    others = {
        other: name
        for code, name in codes.items()
        if code in ("True", "False")
        for other in (code.upper(), code.lower())
        if other not in codes
    }
    return codes | others


def _first_of(
    event: pd.Series, time: pd.Series, other_event: pd.Series, other_time: pd.Series
) -> tuple[pd.Series, pd.Series]:
    """The earlier of two events and its time; what cannot be read comes through, for the gate to name it."""
    if not (_numeric(event) and _numeric(other_event)):
        return (other_event if _numeric(event) else event), time
    if not (_numeric(time) and _numeric(other_time)):
        return event, (other_time if _numeric(time) else time)
    # An event that did not come bounds the time only where the other did not come either.
    mine, theirs = time.where(event == 1, np.inf), other_time.where(other_event == 1, np.inf)
    none = ~np.isfinite(mine) & ~np.isfinite(theirs)
    first = mine.clip(upper=theirs).where(~none, time.clip(upper=other_time))
    return event.clip(lower=other_event).where(other_event.isin([0, 1]) & event.isin([0, 1]), np.nan), first


def _number(values: pd.Series) -> pd.Series:
    """Codes of the outcome as float; where one is no number the whole column stays text, for the gate to name it."""
    try:
        return pd.to_numeric(values).astype(np.float64)
    except (ValueError, TypeError):
        return values.astype("str")
