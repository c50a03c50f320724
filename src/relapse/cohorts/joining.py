"""One table made of several sources: the first holds patients and outcome, the others are joined to it by patient."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from relapse.cohorts.declared.groups import fitting
from relapse.cohorts.declared.source import NamedSource
from relapse.cohorts.numbers import as_text
from relapse.cohorts.schema import Cohort
from relapse.cohorts.sources import Read, describe, read_known
from relapse.ground.errors import SourceError

Codes = Mapping[str, Collection[str]]


@dataclass(frozen=True, slots=True)
class Joining:
    """What joining one source found, in patients: those on both sides, and those that the other side does not have.

    ``unmatched`` says what became of the patients ``without`` it: ``keep`` or ``exclude``.
    """

    source: str
    where: str
    rows: int
    matched: int
    without: int
    not_ours: int
    unmatched: str

    def __str__(self) -> str:
        became = "left out" if self.unmatched == "exclude" else "kept, values missing"
        return (
            f"{self.source} ({self.where}): {self.matched} patients matched; {self.without} not in it ({became}); "
            f"{self.not_ours} only in it"
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of the first source with the columns of all; ``origin`` names the source that each column comes from.

    ``fingerprints`` says, by source, what identifies the content that was read; ``lost``, which rows have no match in
    it and have to leave for that.
    """

    table: pd.DataFrame
    origin: Mapping[str, str]
    fingerprints: Mapping[str, str]
    joined: tuple[Joining, ...] = ()
    lost: Mapping[str, pd.Series] = field(default_factory=dict)


def read_rows(cohort: Cohort, *, root: Path, codes: Codes) -> Rows:
    """Read every source of a cohort and join them; ``codes`` are the declared codes and levels, by column.

    Raises
    ------
    SourceError
        A source cannot be read; a key is missing or not unique; no patient stands in both; or a column that is used
        stands in two sources.
    """
    if cohort.source is not None:
        table, known = read_known(cohort.source, root=root, codes=codes)
        return Rows(table, dict.fromkeys(map(str, table.columns), ""), {"": known})
    (first, how), *others = cohort.sources.items()
    table, known = _read(first, how, root=root, codes=codes)
    fingerprints = {first: known}
    patients = as_text(table[how.key])
    origin = dict.fromkeys(map(str, table.columns), first)
    joined, lost, parts = [], {}, [table]
    for name, how in others:
        more, fingerprints[name] = _read(name, how, root=root, codes=codes)
        keys = _unique_keys(more, name, how)
        inside = patients.isin(keys.dropna())
        if not inside.any():
            raise SourceError(
                f"sources: no patient of {first} stands in {name} ({describe(how.source)}): their keys, "
                f"{cohort.sources[first].key!r} and {how.key!r}, have no value in common. Name the columns that hold "
                "the same patient's name, and look whether it is spelled alike in both."
            )
        more = more.drop(columns=how.key).add_prefix(how.prefix)
        more = more.drop(columns=_in_two(cohort, list(more.columns), name, origin))
        parts.append(more.set_axis(keys).loc[keys.notna().to_numpy()].reindex(patients).set_axis(table.index))
        origin |= dict.fromkeys(more.columns, name)
        joined.append(
            Joining(
                source=name,
                where=describe(how.source),
                rows=len(keys),
                matched=int(patients[inside].nunique()),
                without=int(patients[~inside].nunique()),
                not_ours=int((~keys.isin(patients.dropna())).sum()),
                unmatched=how.unmatched,
            )
        )
        if how.unmatched == "exclude":
            lost[name] = ~inside
    return Rows(pd.concat(parts, axis=1), origin, fingerprints, tuple(joined), lost)


def _read(name: str, how: NamedSource, *, root: Path, codes: Codes) -> Read:
    own = {column.removeprefix(how.prefix): words for column, words in codes.items() if column.startswith(how.prefix)}
    table, known = read_known(how.source, root=root, codes=own)
    present = [str(column) for column in table.columns]
    if how.key not in present:
        shown = ", ".join(present[:40]) + (" …" if len(present) > 40 else "")
        raise SourceError(
            f"sources: {name} ({describe(how.source)}) has no column {how.key!r}, its key. "
            f"The source has {len(present)} columns: {shown}."
        )
    return Read(table, known)


def _unique_keys(table: pd.DataFrame, name: str, how: NamedSource) -> pd.Series:
    keys = as_text(table[how.key])
    again = keys.dropna().duplicated(keep=False)
    if again.any():
        rows = ", ".join(str(place + 1) for place in again.index[again][:5])
        raise SourceError(
            f"sources: {name} ({describe(how.source)}): its key {how.key!r} is not unique: {int(again.sum())} rows "
            f"share a patient with another row, data row {rows}, …. A source that is joined has one row a patient: "
            "name the first source's table first, or keep one row a patient in this one."
        )
    return keys


def _in_two(cohort: Cohort, columns: list[str], name: str, origin: Mapping[str, str]) -> list[str]:
    """The columns of a source that stand in an earlier one too, which may only be those that nothing uses."""
    twice = [column for column in columns if column in origin]
    used = {column for column in twice if column in cohort.needed_columns}
    for key, group in cohort.groups.items():
        used |= set(group.columns).intersection(twice) if group.columns is not None else set(fitting(key, twice))
    if used:
        column = next(item for item in twice if item in used)
        raise SourceError(
            f"sources: column {column} stands in two sources, {origin[column]} and {name}: nothing tells which is "
            f"meant. Give the columns of {name} a `prefix:`."
        )
    return twice
