"""Other events of a table beside the outcome, each with its time: what they are to it is a person's to say.

None of them is ever a feature: what came of a patient is not known at baseline.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relapse.cohorts.catalogue import TODO
from relapse.drafting import roles
from relapse.drafting.columns import Column, sides

#: Words of a name that say that it is the event, or the time, of what the others name: *e.rfs* and *t.rfs*.
_EVENT = frozenset(
    ("e", "ev", "event", "events", "status", "stat", "cens", "censor", "censored", "ind", "indicator", "outcome")
)
_TIME = frozenset(
    ("t", "time", "times", "day", "days", "week", "weeks", "month", "months", "mo", "year", "years", "yr", "yrs", "to")
)

#: Words that only an event's name has.
_EVENT_ALONE = _EVENT - {"e", "ev", "status", "stat", "ind", "indicator"}

#: Times that end with a patient's last contact, whatever came of her.
_TO_THE_END = re.compile(r"follow|\bfu\b|last|contact|surv")


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event beside the outcome, and the time to it, which may be the outcome's own.

    ``ready`` is what a person may add to the endpoint; nothing where the codes contradict each other. ``why`` says what
    it is to the outcome.
    """

    event: str
    time: str
    why: str
    ready: Mapping[str, Any]


def other_events(
    columns: Mapping[str, Column], endpoint: Mapping[str, Any], candidates: Sequence[str]
) -> list[OtherEvent]:
    """The other events that an endpoint could count as well, in the order of the table.

    Parameters
    ----------
    endpoint
        As it is drafted.
    candidates
        Columns that might be the outcome, by their names.
    """
    outcome, main = endpoint["event"], endpoint.get("time")
    if not isinstance(main, str) or endpoint.get("event_form") == "date":
        return []
    taken, found = {main}, []
    for name, column in columns.items():
        if name == outcome or not column.two_valued:
            continue
        time = _sibling(columns, name, taken) or (_kin(columns, name, taken) if name in candidates else None)
        if time is None and name in candidates and _speaks(name):
            time = main
        if time is not None:
            taken.add(time)
            found.append(_proposed(columns, endpoint, name, time))
    return found


def never_features(columns: Mapping[str, Column], found: Sequence[OtherEvent], main: set[str]) -> dict[str, str]:
    """By column, why it is no feature: the other events and their times, and what is an event by its name alone."""
    other = "another event, or its time: see `also` under endpoint"
    why = {name: other for item in found for name in (item.event, item.time)}
    for name, column in columns.items():
        said = set(roles.words(name).split())
        named = said & _EVENT_ALONE or (said & (_EVENT - {"e"}) and not _stem(name, _EVENT))
        if column.two_valued and named and name not in why:
            why[name] = "an event, by its name: what comes of a patient is no feature"
    return {name: reason for name, reason in why.items() if name not in main}


def _proposed(columns: Mapping[str, Column], endpoint: Mapping[str, Any], name: str, time: str) -> OtherEvent:
    outcome = endpoint["event"]
    own = time != endpoint.get("time")
    what = f"{name} (time: {time})" if own else f"{name} (without a time of its own)"
    if roles.is_death(name) and not roles.is_death(outcome):
        why = (
            f"{what} is a competing event: as it stands, death ends follow-up as if relapse could still come. "
            "Relapse-free survival, as trials report it, counts death: then take # away below."
        )
    else:
        why = f"{what} is another event: if whichever comes first is to count, take # away below."
    if not own:
        why += f" That is right only if {time} runs to whichever came first."
    mine, theirs = endpoint.get("values", {"0": 0, "1": 1}), sides(columns[name])
    line = {"also": [{"event": name, "time": time}]}
    if theirs is None:
        unclear = dict.fromkeys(columns[name].codes, TODO)
        return OtherEvent(name, time, f"{why} Say which of its codes is the event.", line | {"values": mine | unclear})
    if "event_form" in endpoint:
        return OtherEvent(name, time, why, line if theirs == {"0": 0, "1": 1} else {})
    if any(mine.get(code, value) != value for code, value in theirs.items()):
        clash = next(code for code, value in theirs.items() if mine.get(code, value) != value)
        return OtherEvent(
            name,
            time,
            f"{what} is another event, which cannot be counted as it stands: the code {clash} means one thing in "
            f"{outcome} and another in {name}, and `values` counts for both. Recode one of them in the table.",
            {},
        )
    both = mine | theirs
    return OtherEvent(name, time, why, line if both == mine else line | {"values": both})


def _stem(name: str, marks: frozenset[str]) -> tuple[str, ...]:
    return tuple(word for word in roles.words(name).split() if word not in marks)


def _sibling(columns: Mapping[str, Column], name: str, taken: set[str]) -> str | None:
    """A time of the same name but for the words that tell event from time: *t.rfs* of *e.rfs*, *OS.time* of *OS*."""
    stem = _stem(name, _EVENT)
    if not stem or not (set(roles.words(name).split()) & _EVENT or _speaks(name)) or roles.is_no_outcome(name):
        return None
    for other, column in columns.items():
        timed = set(roles.words(other).split()) & _TIME
        if column.kind == "number" and timed and other not in {name, *taken} and _stem(other, _TIME) == stem:
            return other
    return None


def _kin(columns: Mapping[str, Column], name: str, taken: set[str]) -> str | None:
    """The likeliest time to an event that speaks of the same, of death or of relapse, or runs to the last contact."""
    for time in roles.times_of(columns, name):
        alike = roles.is_death(time) if roles.is_death(name) else roles.is_relapse(name) and _of_a_relapse(time)
        general = _TO_THE_END.search(roles.words(time)) and not roles.is_relapse(time) and not roles.is_death(time)
        if time not in taken and (alike or general):
            return time
    return None


def _of_a_relapse(time: str) -> bool:
    return roles.is_relapse(time) or not (roles.is_death(time) or roles.known_after(time))


def _speaks(name: str) -> bool:
    return roles.is_death(name) or roles.is_relapse(name)
