"""What a first declaration says of each feature, and why it leaves a column out."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relapse.cohorts.resolution import plain_name
from relapse.cohorts.schema import RESERVED_COLUMNS
from relapse.drafting import roles
from relapse.drafting.columns import MOST_CODES, Column

#: A range is the values' own, widened on each side by this share of it.
MARGIN = 0.25

#: A share of missing values that may be more once rows are left out.
MORE_MISSING = 0.05

#: Columns with more missing than this are left out.
TOO_FEW = 0.8

#: So many numbers whose names begin alike are declared as one group.
WIDE, VERY_WIDE = 25, 60

_FIRST_WORD = re.compile(r"[A-Za-z]+[ _.-]")
_UP_TO_A_NUMBER = re.compile(r"[A-Za-z]+(?:[ _.-][A-Za-z]+)?[ _.-]?(?=\d)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry under ``features``: its key, its content, and what a person has to look at."""

    key: str
    content: dict[str, Any]
    doubts: tuple[str, ...] = ()
    after: bool = False


@dataclass(frozen=True, slots=True)
class Features:
    """All entries, and by column why it is none."""

    entries: tuple[Entry, ...]
    left_out: dict[str, str]

    @property
    def predictors(self) -> list[str]:
        """The names of single features known at baseline."""
        return [
            entry.key
            for entry in self.entries
            if not entry.after and "*" not in entry.key and "columns" not in entry.content
        ]


def features_of(
    columns: Mapping[str, Column],
    *,
    taken: Sequence[str],
    never: Mapping[str, str],
    labels: Mapping[str, str],
    units: Mapping[str, str],
) -> Features:
    """Declare every column as far as it can be told; ``taken`` have another role, and ``never`` says why some are none.

    Parameters
    ----------
    columns
        By name, in the order of the source.
    labels, units
        What the file itself says of columns.
    """
    entries: list[Entry] = []
    left: dict[str, str] = {}
    groups = _groups([column for name, column in columns.items() if name not in taken and name not in never])
    grouped = {name for members in groups.values() for name in members}
    names: set[str] = set(RESERVED_COLUMNS)
    for name, column in columns.items():
        if name in taken or name in grouped:
            continue
        if reason := never.get(name) or _left_out(column):
            left[name] = reason
            continue
        key = plain_name(name, names)
        names.add(key)
        entries.append(_entry(key, column, label=labels.get(name), unit=units.get(name)))
    # A pattern passes over columns that have another role or are declared by themselves, and not over those left out.
    others = list(left)
    for prefix, members in groups.items():
        pattern = f"{prefix}*"
        alone = [name for name in others if name.startswith(prefix)]
        key, more = (pattern, {}) if not alone else (plain_name(prefix, names), {"columns": members})
        missing = max(columns[name].missing for name in members)
        content: dict[str, Any] = {"type": "continuous", **more, "block": "measured", **_missing(missing)}
        entries.append(
            Entry(key, content, (f"{len(members)} columns as one group, each with a range learnt from its values.",))
        )
    return Features(tuple(entries), left)


def _left_out(column: Column) -> str | None:
    said = roles.words(column.name)
    reasons = {
        "empty": "empty",
        "constant": "one value only",
        "identifier": "another value in nearly every row, as an identifier has",
        "text": "free text, or more levels than a model can learn",
        "date": "a date: declare a time between two by `from:` and `to:`",
    }
    if column.kind in reasons:
        return reasons[column.kind]
    if column.missing > TOO_FEW:
        return f"{column.missing:.0%} missing"
    named = re.search(r"\bid\b|identif|\bmrn\b|\bpid\b", said) and column.whole
    if named and column.distinct > 0.5 * len(column.values):
        return "an identifier, by its name"
    known = column.values.dropna()
    running = column.whole and len(known) > 5 and column.distinct == len(known) == len(column.values)
    if running and (known.sort_values().diff().dropna() == 1).all() and not roles.counted(column.name):
        return "a running number"
    return None


def _groups(columns: Sequence[Column]) -> dict[str, list[str]]:
    """Many numbers whose names begin alike, by that beginning: by the first word of very many, else up to a number."""
    left = [
        column.name
        for column in columns
        if column.kind == "number"
        and not column.whole
        and not roles.clinical(column.name)
        and not roles.known_after(column.name)
    ]
    groups: dict[str, list[str]] = {}
    for begins, least in ((_FIRST_WORD, VERY_WIDE), (_UP_TO_A_NUMBER, WIDE), (_FIRST_WORD, WIDE)):
        found: dict[str, list[str]] = {}
        for name in left:
            if match := begins.match(name):
                found.setdefault(match[0], []).append(name)
        # A pattern inside another one would have a column stand in two groups.
        wide = {
            prefix: members
            for prefix, members in found.items()
            if len(members) >= least
            and not any(other.startswith(prefix) or prefix.startswith(other) for other in groups)
        }
        groups |= wide
        left = [name for name in left if not any(name in members for members in wide.values())]
    return groups


def _entry(key: str, column: Column, *, label: str | None, unit: str | None) -> Entry:
    doubts = list(column.doubts)
    content: dict[str, Any] = {}
    if key != column.name:
        content["column"] = column.name
    if label and label != column.name:
        content["label"] = label
    if column.kind == "levels" or _is_code(column):
        content = {**_levels(column, doubts), **content}
    else:
        content = {**_number(column, unit, doubts), **content}
    content |= _missing(column.missing)
    if roles.of_a_site(column.name):
        doubts.append(
            "a hospital or scanner, by its name: `site:` names it, if every row has one. Its numbers measure nothing."
        )
    why = roles.known_after(column.name)
    if why:
        content["known"] = "after"
        doubts.append(f"`known: after` is proposed, since {why}: take it out only if it was known at baseline.")
    return Entry(key, content, tuple(doubts), after=why is not None)


def _missing(share: float) -> dict[str, float]:
    return {"max_missing": min(math.ceil(100 * (share + MORE_MISSING)) / 100, 0.95)} if share else {}


def _is_code(column: Column) -> bool:
    """Whether few whole numbers are codes of levels and no measure."""
    if not column.whole or column.distinct > MOST_CODES or roles.counted(column.name):
        return False
    highest = float(column.values.max())
    return column.two_valued or (highest < 10 and float(column.values.min()) >= 0)


def _levels(column: Column, doubts: list[str]) -> dict[str, Any]:
    codes = column.codes
    if column.kind == "number":
        numbers = ", ".join(codes)
        kind = "ordinal" if column.distinct > 2 and roles.ordered(column.name) else "nominal"
        if set(codes) == {"0", "1"}:
            doubts.append("0 and 1 are taken for no and yes: name what they are.")
            return {"type": kind, "levels": {"0": "no", "1": "yes"}}
        doubts.append(
            f"{numbers}: taken for codes of {'levels that rise' if kind == 'ordinal' else 'levels without an order'}: "
            "name each, or declare a number (`type: count`) if it is one."
        )
        return {"type": kind, "levels": {code: code for code in codes}}
    spelled: dict[str, list[str]] = {}
    for code in sorted(codes, key=lambda code: -column.levels[code]):
        spelled.setdefault(re.sub(r"\s+", " ", code).casefold(), []).append(code)
    names = {code: group[0] for group in spelled.values() for code in group}
    several = [group for group in spelled.values() if len(group) > 1]
    if several:
        doubts.append("spellings of one word are put together.")
    distinct = [group[0] for group in spelled.values()]
    if len(distinct) < 2:
        return {"type": "nominal", "levels": sorted(distinct)}
    order = roles.order_of_levels(sorted(distinct))
    kind = "ordinal" if order and len(distinct) > 2 else "nominal"
    if kind == "ordinal":
        doubts.append("an order is taken from the words: is it the right one, lowest first?")
    elif len(distinct) > 2 and roles.ordered(column.name):
        doubts.append(
            "its name speaks of an order that its words do not tell: if there is one, `type: ordinal`, lowest first."
        )
    chosen = order or sorted(distinct)
    if not several:
        return {"type": kind, "levels": chosen}
    return {"type": kind, "levels": {code: names[code] for name in chosen for code in codes if names[code] == name}}


def _number(column: Column, unit: str | None, doubts: list[str]) -> dict[str, Any]:
    low, high = _range(column)
    content: dict[str, Any] = {"type": "count" if column.whole else "continuous"}
    unit = unit or roles.unit_in(column.name)
    if unit:
        content["unit"] = unit
    elif roles.sized(column.name):
        doubts.append("in which unit? Say it by `unit: mm`; numbers in cm become mm by `recorded: cm` beside it.")
    if column.distinct <= MOST_CODES and not roles.counted(column.name):
        doubts.append(
            "few different whole numbers: a number, or codes of levels?"
            if column.whole
            else "few different values: a number?"
        )
    return {**content, "range": [low, high]}


def _range(column: Column) -> tuple[float, float]:
    known = column.values.dropna()
    low, high = float(known.min()), float(known.max())
    wider = MARGIN * (high - low)
    unit = 10.0 ** math.floor(math.log10(wider or 1))
    lower, upper = math.floor((low - wider) / unit) * unit, math.ceil((high + wider) / unit) * unit
    if low >= 0:
        lower = max(lower, 0.0)
    return _short(lower), _short(upper)


def _short(value: float) -> float:
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
