"""The outcome of each row, event and time, from the forms in which a source may state it."""

import numpy as np
import pandas as pd

from relapse.cohorts.numbers import as_text, read_numbers
from relapse.cohorts.schema import Cohort


def outcome_of(raw: pd.DataFrame, cohort: Cohort) -> dict[str, pd.Series]:
    """The columns ``event`` and, where the endpoint has one, ``time`` of the rows of a source.

    What cannot be read comes through as it stands, for the gate to name it.
    """
    endpoint, source = cohort.endpoint, cohort.source_of("event")
    codes = spelled({code: str(value) for code, value in endpoint.values.items()})
    event = _number(as_text(raw[endpoint.event]).replace(codes))
    if not cohort.survival:
        return {"event": event}
    time = read_numbers(raw[cohort.survival.time], source)
    for other_event, other_time in cohort.survival.pairs[1:]:
        other = _number(as_text(raw[other_event]).replace(codes)), read_numbers(raw[other_time], source)
        event, time = _first_of(event, time, *other)
    return {"event": event, "time": time}


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
    numeric = pd.api.types.is_numeric_dtype
    if not (numeric(event) and numeric(other_event)):
        return (other_event if numeric(event) else event), time
    if not (numeric(time) and numeric(other_time)):
        return event, (other_time if numeric(time) else time)
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
