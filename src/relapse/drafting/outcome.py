"""The endpoint of a table: which codes are the event, which time leads to it, in which unit, which rows have one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from relapse.cohorts.catalogue import TODO
from relapse.cohorts.dates import between
from relapse.cohorts.declared.endpoint import UNITS
from relapse.cohorts.declared.units import DAYS_PER
from relapse.drafting import roles
from relapse.drafting.answers import NONE, Said
from relapse.drafting.columns import Column, sides
from relapse.drafting.sniffing import Sniffed
from relapse.ground.errors import DeclarationError

#: What stands between the two dates of a time.
SPAN = ".."


def endpoint_of(
    columns: Mapping[str, Column],
    sniffed: Sniffed,
    said: Said,
    outcome: str | None,
    doubts: dict[str, list[str]],
    *,
    others: Sequence[str],
) -> dict[str, Any]:
    """The endpoint as it is declared, of a column ``outcome``; ``others`` might be it, too, each with its own time.

    What is not certain is added to ``doubts``.
    """
    if outcome is None:
        doubts["endpoint"] = [
            "no column looks like an outcome. Name it under `event`, its codes under `values: {…: 0, …: 1}`; and where "
            "there is a time to it, `kind: survival` with `time`, `unit` and `horizons: [3 y, 5 y]`."
        ]
        return {"kind": "binary", "event": TODO}
    column, mine = columns[outcome], doubts.setdefault("endpoint", [])
    mine += column.doubts
    if roles.is_death(outcome):
        mine.append("its name speaks of death, which is no relapse: is it the outcome that is meant?")
    label = _label(outcome)
    if label == "event":
        mine.append("label: its name does not say what the event is; say it in words, `label: relapse`.")
    if column.kind == "date":
        event: dict[str, Any] = {"event": outcome, "event_form": "date"}
    elif roles.is_day_of(column):
        event = {"event": outcome, "event_form": "day"}
        mine.append("event_form: more than 0 is taken for the day of the event, 0 for none, and empty for not known.")
    else:
        event = {"event": outcome, **_codes(column, mine)}
    times = roles.times_of(columns, outcome)
    span = roles.span_of(columns, outcome)
    guess = (
        f"{span[0]}{SPAN}{','.join(span[1])}" if span and (column.kind == "date" or not times) else (times or [NONE])[0]
    )
    time = said.answer(
        "time",
        f"Which column holds the time to it (or two dates, FROM{SPAN}TO; {NONE} if there is no time)?",
        guess,
        lambda words: _time(words, columns, said),
    )
    if not said.answered("outcome"):
        mine.append(
            "the outcome and its time are taken by their names: are they what is meant, and nothing before them?"
        )
    if time is None:
        if column.kind == "date":
            raise DeclarationError(
                f"outcome: {outcome} is a date, which needs a time: name where it begins and ends, --time FROM{SPAN}TO."
            )
        if "event_form" in event:
            raise DeclarationError(
                f"outcome: {outcome} is the day of the event, which needs the end of follow-up, --time."
            )
        if times:
            mine.append(f"taken without a time; there might be one: {', '.join(times)}.")
        return {"kind": "binary", "label": label, **event}
    theirs = {guess, *(found[0] for other in others if (found := roles.times_of(columns, other)))}
    further = [item for item in times if item not in theirs]
    if not said.answered("time") and further and SPAN not in guess:
        mine.append(f"the time is taken from its name; it might also be: {', '.join(further)}.")
    return {"kind": "survival", "label": label, **event, **_timed(columns, sniffed, said, time, event, mine)}


def _time(typed: str, columns: Mapping[str, Column], said: Said) -> tuple[str, ...] | None:
    """One column of numbers, or a first date and those of the end; None where there is no time."""
    if typed == NONE:
        return None
    first, parted, last = typed.partition(SPAN)
    if not parted:
        name = said.named(typed, "time")
        if columns[name].kind != "number":
            raise DeclarationError(
                f"time: {name} is no column of numbers. A time between two dates is written {name}{SPAN}OTHER."
            )
        return (name,)
    names = (said.named(first, "time"), *(said.named(item, "time") for item in last.split(",")))
    odd = [name for name in names if columns[name].kind != "date"]
    if odd:
        raise DeclarationError(f"time: {odd[0]} holds no dates, or none that can be read.")
    return names


def _timed(
    columns: Mapping[str, Column],
    sniffed: Sniffed,
    said: Said,
    time: tuple[str, ...],
    event: Mapping[str, Any],
    mine: list[str],
) -> dict[str, Any]:
    if len(time) > 1:
        named_unit, sure, found = "month", True, {"from": time[0], "to": list(time[1:]) if len(time) > 2 else time[1]}
        text = "In which unit is the time to be told (day, week, month, year)?"
    else:
        named_unit, sure = roles.unit_of_time_in(time[0], columns[time[0]])
        found, text = {"time": time[0]}, "In which unit is it (day, week, month, year)?"
        mine += [item for item in columns[time[0]].doubts]
    unit = said.answer("unit", text, named_unit, _unit)
    if not sure and not said.answered("unit"):
        mine.append(f"unit: {unit} is guessed from how long the times are: is it right?")
    values = _days(columns, sniffed, time, event) / DAYS_PER[unit] if len(time) > 1 else columns[time[0]].values
    happened = _happened(columns[str(event["event"])], event)
    if event.get("event_form") == "day":
        values = values.where(happened != 1, columns[str(event["event"])].values)
    known = values.notna() & happened.notna()
    horizons = roles.horizons_for(
        values[known].to_numpy(dtype=np.float64), happened[known].to_numpy(dtype=np.float64) == 1, unit
    )
    if horizons:
        mine.append("horizons: those usual ones that enough patients are followed to; declare those that you ask for.")
    else:
        mine.append(
            "horizons: no usual one has ten patients with the event before it and ten beyond it: name one, `[2 y]`."
        )
    return {**found, "unit": unit, "horizons": [item.label for item in horizons] or [TODO]}


def _days(
    columns: Mapping[str, Column], sniffed: Sniffed, time: tuple[str, ...], event: Mapping[str, Any]
) -> pd.Series:
    ends = [*time[1:], *([str(event["event"])] if event.get("event_form") == "date" else [])]
    first = columns[time[0]].values.rename(time[0])
    spans = [
        between(first, columns[name].values.rename(name), unit="day", source=sniffed.source)
        for name in dict.fromkeys(ends)
    ]
    return pd.concat(spans, axis=1).min(axis=1)


def _happened(column: Column, event: Mapping[str, Any]) -> pd.Series:
    if event.get("event_form") == "date":
        return column.values.notna().astype(np.float64)
    if event.get("event_form") == "day":
        return (column.values > 0).astype(np.float64).where(column.values.notna())
    codes = {code: value for code, value in event.get("values", {"0": 0, "1": 1}).items() if value != TODO}
    text = column.values.map("{:g}".format, na_action="ignore") if column.kind == "number" else column.values
    return pd.to_numeric(text.map(codes), errors="coerce")


def kept_rows(columns: Mapping[str, Column], endpoint: Mapping[str, Any]) -> pd.Series:
    """Which rows have an outcome: the others leave, and nothing is learnt from what stands in them."""
    event, begin = str(endpoint["event"]), endpoint.get("from")
    whole = next(iter(columns.values())).values
    kept = pd.Series(True, index=whole.index)
    if event != TODO and endpoint.get("event_form") != "date":
        kept &= columns[event].values.notna()
    if begin is not None:
        kept &= columns[begin].values.notna()
    if "time" in endpoint and "event_form" not in endpoint:
        kept &= columns[endpoint["time"]].values.notna()
    return kept if kept.any() else pd.Series(True, index=whole.index)


def _unit(typed: str) -> str:
    unit = typed.strip().lower().removesuffix("s")
    if unit not in UNITS:
        raise DeclarationError(f"unit: {typed!r} is none of {', '.join(UNITS)}.")
    return unit


def _codes(column: Column, mine: list[str]) -> dict[str, Any]:
    """The codes of an outcome, where they are not 0 and 1."""
    codes, found = column.codes, sides(column)
    if codes == ["0", "1"]:
        if "cens" in roles.words(column.name):
            mine.append("1 is taken for the event, though the name speaks of censoring: is it not the other way round?")
        return {}
    if found is not None:
        if codes == ["1", "2"]:
            mine.append("2 is taken for the event and 1 for none: is it not the other way round?")
        else:
            mine.append("values: which word is the event is taken from the words.")
        return {"values": found}
    if column.kind not in ("levels", "number", "constant") or not 1 < len(codes) <= 8:
        raise DeclarationError(
            f"outcome: {column.name} holds no code of two sides: {column.kind}, {column.distinct} different values. An "
            "outcome is a column of codes, or the date of the event, empty for none."
        )
    mine.append(
        "values: say of each code whether it is the event, 1, or none, 0; rows of others leave by an exclusion."
    )
    return {"values": {code: TODO for code in codes}}


def _label(outcome: str) -> str:
    return "death" if roles.is_death(outcome) else "relapse" if roles.is_relapse(outcome) else "event"
