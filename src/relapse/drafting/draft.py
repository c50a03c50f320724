"""A first declaration of a table: what is guessed, what a person answered, and what is still to be said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from relapse.cohorts.catalogue import TODO, unanswered
from relapse.cohorts.dates import between
from relapse.cohorts.declared.endpoint import UNITS
from relapse.cohorts.declared.units import DAYS_PER
from relapse.drafting import roles
from relapse.drafting.columns import Column, among, profile, sides
from relapse.drafting.features import Entry, Features, features_of
from relapse.drafting.sniffing import Sniffed, named
from relapse.ground.errors import DeclarationError

#: What is said in the place of a column where there is none.
NONE = "none"

#: What stands between the two dates of a time.
SPAN = ".."


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person said, in words: names of columns, ``none``, two dates as ``from..to``; None where nothing was."""

    outcome: str | None = None
    time: str | None = None
    unit: str | None = None
    patient: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One of the five questions: what is asked, the guess, and what reads an answer or refuses it."""

    key: str
    text: str
    guess: str
    read: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """All that is written: the declaration's parts, each with its doubts."""

    name: str
    title: str
    sniffed: Sniffed
    missing: tuple[Any, ...]
    patient: str | None
    site: str | None
    endpoint: dict[str, Any]
    features: Features
    reference: tuple[str, ...]
    subgroups: tuple[str, ...]
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def waiting(self) -> list[str]:
        """The keys that hold :data:`~relapse.cohorts.catalogue.TODO`."""
        return unanswered({"endpoint": self.endpoint, "reference": list(self.reference)})


Ask = Callable[[Question], str]


def draft(sniffed: Sniffed, *, name: str, title: str, answers: Answers, ask: Ask | None = None) -> Draft:
    """Guess what a table is, and make a declaration of it.

    Parameters
    ----------
    answers
        What was said beforehand; it is not asked.
    ask
        Asks one question on a terminal and gives the answer in words; nobody is asked where it is None.

    Raises
    ------
    DeclarationError
        An answer names a column that is not there, or one that cannot be what it is said to be.
    """
    columns = {
        str(column): profile(sniffed.table[column], name=str(column), source=sniffed.source) for column in sniffed.table
    }
    if len(columns) < 2:
        raise DeclarationError(
            "the table has one column only. Needed are a column of the outcome and one feature at least."
        )
    doubts: dict[str, list[str]] = {}
    said = _Said(columns, answers, ask)
    candidates = roles.outcomes_of(columns)
    outcome = said.column("outcome", "Which column holds the outcome?", candidates[0] if candidates else None)
    endpoint = _endpoint(
        columns, sniffed, said, outcome, doubts, others=[item for item in candidates if item != outcome]
    )
    in_outcome = {outcome, *_listed(endpoint.get("time")), *_listed(endpoint.get("to")), endpoint.get("from")}
    patient = said.column(
        "patient",
        "Which column names the patient?",
        roles.patient_of({key: column for key, column in columns.items() if key not in in_outcome}),
    )
    if patient is None:
        doubts["patient"] = ["no column names the patient: that is right only if each row is another patient."]
    elif not said.answered("patient"):
        doubts["patient"] = ["taken by its name."]
    if patient is not None and (rows := int(columns[patient].values.duplicated().sum())):
        doubts.setdefault("patient", []).append(
            f"{rows} rows are further ones of a patient: `view: COLUMN` names what tells them apart (a breast, a film)."
        )
    site = roles.site_of({key: column for key, column in columns.items() if key not in {*in_outcome, patient}})
    if site:
        doubts["site"] = ["a hospital or scanner, by its name: folds stay balanced over it. Take it out if it is none."]
    taken = [item for item in (*in_outcome, patient, site) if item]
    kept = _kept(columns, endpoint)
    features = features_of(
        {key: among(column, kept) for key, column in columns.items()},
        taken=taken,
        labels=sniffed.labels,
        units=sniffed.units,
    )
    features = _with_age(columns, features, endpoint)
    if not features.entries:
        raise DeclarationError(
            "no column is left that could be a feature: "
            + "; ".join(f"{key}: {why}" for key, why in features.left_out.items())
            + ". Needed is one at least beside the outcome."
        )
    reference = _reference(said, features, doubts)
    if late := [entry.key for entry in features.entries if entry.key in reference and entry.after]:
        # Whoever names a feature in the reference model says that it is known at baseline.
        features = replace(
            features, entries=tuple(_at_baseline(entry) if entry.key in late else entry for entry in features.entries)
        )
    return Draft(
        name=name,
        title=title,
        sniffed=sniffed,
        missing=_missing(columns),
        patient=patient,
        site=site,
        endpoint=endpoint,
        features=features,
        reference=tuple(reference),
        subgroups=tuple(_subgroups(features)),
        doubts={key: tuple(items) for key, items in doubts.items()},
    )


class _Said:
    """Answers given beforehand, asked for, or the guess: in this order."""

    def __init__(self, columns: Mapping[str, Column], answers: Answers, ask: Ask | None) -> None:
        self.columns, self.answers, self.ask = columns, answers, ask

    def answer(self, key: str, text: str, guess: str, read: Callable[[str], Any]) -> Any:
        given = getattr(self.answers, key)
        if given is None and self.ask is not None:
            given = self.ask(Question(key, text, guess, read))
        return read(guess if given is None else given)

    def column(self, key: str, text: str, guess: str | None) -> str | None:
        """A column by its name, or None."""
        return self.answer(key, text, guess or NONE, lambda words: None if words == NONE else self.named(words, key))

    def named(self, typed: str, key: str) -> str:
        """The column of a name, whatever its case; refuses one that is not there."""
        there = named(list(self.columns))
        found = typed if typed in self.columns else there.get(typed.strip().casefold())
        if found is None:
            shown = ", ".join(list(self.columns)[:30]) + (", …" if len(self.columns) > 30 else "")
            raise DeclarationError(f"{key}: no column {typed!r}. There are: {shown}; or {NONE}.")
        return found

    def answered(self, key: str) -> bool:
        """Whether a person said it."""
        return getattr(self.answers, key) is not None or self.ask is not None


def _endpoint(
    columns: Mapping[str, Column],
    sniffed: Sniffed,
    said: _Said,
    outcome: str | None,
    doubts: dict[str, list[str]],
    *,
    others: Sequence[str],
) -> dict[str, Any]:
    if outcome is None:
        doubts["endpoint"] = [
            "no column looks like an outcome. Name it under `event`, its codes under `values: {…: 0, …: 1}`; and where "
            "there is a time to it, `kind: survival` with `time`, `unit` and `horizons: [3 y, 5 y]`."
        ]
        return {"kind": "binary", "event": TODO}
    column, mine = columns[outcome], doubts.setdefault("endpoint", [])
    mine += column.doubts
    if others:
        mine.append(f"these might be the outcome as well: {', '.join(others)}.")
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
    if not said.answered("time") and len(times) > 1 and SPAN not in guess:
        mine.append(
            f"the time is taken from its name; it might also be: {', '.join(item for item in times if item != guess)}."
        )
    return {"kind": "survival", "label": label, **event, **_timed(columns, sniffed, said, time, event, mine)}


def _time(typed: str, columns: Mapping[str, Column], said: _Said) -> tuple[str, ...] | None:
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
    said: _Said,
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


def _kept(columns: Mapping[str, Column], endpoint: Mapping[str, Any]) -> pd.Series:
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


def _with_age(columns: Mapping[str, Column], features: Features, endpoint: Mapping[str, Any]) -> Features:
    """The age where time begins, of two dates, where no column tells it."""
    birth, begin = roles.birth_of(columns), endpoint.get("from")
    aged = any("age" in roles.words(entry.key).split() for entry in features.entries)
    if not (birth and begin) or aged:
        return features
    age = {"type": "continuous", "from": birth, "to": begin, "unit": "years", "range": [18, 110]}
    if columns[birth].missing:
        age["max_missing"] = round(columns[birth].missing + 0.05, 2)
    left = {name: why for name, why in features.left_out.items() if name != birth}
    return Features((Entry("age", age), *features.entries), left)


def _reference(said: _Said, features: Features, doubts: dict[str, list[str]]) -> list[str]:
    guess = roles.reference_of(features.predictors)
    keys = {
        entry.content.get("column", entry.key): entry.key
        for entry in features.entries
        if entry.key in _single(features)
    }
    names = named([*keys, *keys.values()])

    def read(typed: str) -> list[str]:
        if typed.strip() in (TODO, NONE, ""):
            return [TODO]
        found = []
        for item in typed.replace(";", ",").split(","):
            name = names.get(item.strip().casefold())
            if name is None:
                raise DeclarationError(
                    f"reference: no feature {item.strip()!r}. There are: {', '.join(keys.values()) or 'none'}."
                )
            found.append(keys.get(name, name))
        return list(dict.fromkeys(found))

    text = "Which features does the clinic use today, the reference model (names, parted by commas)?"
    chosen: list[str] = said.answer("reference", text, ", ".join(guess) or NONE, read)
    if chosen == [TODO]:
        doubts["reference"] = [
            "no feature is one of the usual clinical ones (size, nodes, grade, receptors, stage, age): name those "
            "that the clinic uses today. Every model has to be no worse than they are."
        ]
    elif not said.answered("reference"):
        doubts["reference"] = [
            "taken by their names, as the usual clinical predictors: is this what the clinic uses today?"
        ]
    return chosen


def _single(features: Features) -> list[str]:
    return [entry.key for entry in features.entries if "*" not in entry.key and "columns" not in entry.content]


def _at_baseline(entry: Entry) -> Entry:
    content = {key: item for key, item in entry.content.items() if key != "known"}
    return replace(
        entry, content=content, after=False, doubts=tuple(item for item in entry.doubts if "known: after" not in item)
    )


def _subgroups(features: Features) -> list[str]:
    """One ordinal or nominal feature known at baseline, with few levels."""
    fitting = [
        entry.key
        for entry in features.entries
        if not entry.after and entry.content["type"] in ("ordinal", "nominal") and len(entry.content["levels"]) <= 4
    ]
    return fitting[:1]


def _missing(columns: Mapping[str, Column]) -> tuple[Any, ...]:
    """Words for missing as a source declares them: those of one column under its name."""
    return tuple({name: list(column.absent)} for name, column in columns.items() if column.absent)


def _listed(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
