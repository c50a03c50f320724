"""A first declaration of a table: what is guessed, what a person answered, and what is still to be said."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relapse.cohorts.catalogue import TODO, unanswered
from relapse.drafting import roles
from relapse.drafting.answers import NONE, Answers, Ask, Said
from relapse.drafting.columns import Column, among, profile
from relapse.drafting.events import OtherEvent, never_features, other_events
from relapse.drafting.features import Entry, Features, features_of
from relapse.drafting.outcome import endpoint_of, kept_rows
from relapse.drafting.sniffing import Sniffed, named
from relapse.ground.errors import DeclarationError


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
    events: tuple[OtherEvent, ...]
    features: Features
    reference: tuple[str, ...]
    subgroups: tuple[str, ...]
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def waiting(self) -> list[str]:
        """The keys that hold :data:`~relapse.cohorts.catalogue.TODO`."""
        return unanswered({"endpoint": self.endpoint, "reference": list(self.reference)})


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
    said = Said(columns, answers, ask)
    candidates = roles.outcomes_of(columns)
    outcome = said.column("outcome", "Which column holds the outcome?", candidates[0] if candidates else None)
    endpoint = endpoint_of(
        columns, sniffed, said, outcome, doubts, others=[item for item in candidates if item != outcome]
    )
    events = other_events(columns, endpoint, candidates)
    paired = {item.event for item in events}
    if unpaired := [item for item in candidates if item != outcome and item not in paired]:
        doubts["endpoint"].append(f"these might be the outcome as well: {', '.join(unpaired)}.")
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
    kept = kept_rows(columns, endpoint)
    features = features_of(
        {key: among(column, kept) for key, column in columns.items()},
        taken=taken,
        never=never_features(columns, events, {*taken}),
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
        events=tuple(events),
        features=features,
        reference=tuple(reference),
        subgroups=tuple(_subgroups(features)),
        doubts={key: tuple(items) for key, items in doubts.items()},
    )


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


def _reference(said: Said, features: Features, doubts: dict[str, list[str]]) -> list[str]:
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
