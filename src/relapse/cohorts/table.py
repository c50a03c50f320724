"""The canonical table of a cohort, and the record of which rows it was made from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.dates import between
from relapse.cohorts.declared.exclusion import Exclusion
from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.declared.source import Source
from relapse.cohorts.declared.units import unit_of_time
from relapse.cohorts.diagnosis import columns as cells
from relapse.cohorts.joining import Joining, read_rows
from relapse.cohorts.numbers import as_text, read_numbers
from relapse.cohorts.outcomes import outcome_of, spelled, without_outcome
from relapse.cohorts.required import require_columns
from relapse.cohorts.resolution import resolve
from relapse.cohorts.schema import Cohort
from relapse.cohorts.sources import describe
from relapse.ground.errors import SourceError
from relapse.ground.workspace import PICTURES


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many rows one reason took out."""

    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class SetAside:
    """A patient whose images cannot be used: the fault's code, and what was found."""

    patient: str
    fault: str
    message: str


@dataclass(frozen=True, slots=True)
class SourceRead:
    """A source as it was read: its name among several, where it lies, and what identifies its content."""

    name: str
    where: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PatientFlow:
    """From the rows of the source to the rows that are analysed; ``source`` and ``fingerprint`` say what was read.

    ``joined`` says of every source that was joined to the first who stands in both, and who does not; ``set_aside``
    names every patient who left for her images. ``read`` has the sources one by one, and ``declared`` the SHA-256 of
    the declaration's file, and of those it extends, by their paths.
    """

    source: str
    fingerprint: str
    rows_read: int
    excluded: tuple[Excluded, ...]
    rows_kept: int
    patients_kept: int
    joined: tuple[Joining, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    read: tuple[SourceRead, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Plain values, for a JSON file."""
        return asdict(self)


class Ingested(NamedTuple):
    """What reading a cohort gives: its table, where the rows went, and the declaration with its columns known."""

    table: pd.DataFrame
    flow: PatientFlow
    cohort: Cohort


def ingest(cohort: Cohort, *, root: Path) -> Ingested:
    """Read a cohort's sources and bring them into canonical form.

    Nothing is judged here and nothing invented: text in a numeric column leaves the column as text, an unknown level
    stays as it is, and the gate names both. Rows leave only for want of a match in a source that needs one, by a
    declared exclusion, or for want of an outcome.

    Returns
    -------
    table
        Columns ``row`` (1-based data row of the first source), ``patient``, ``site``, ``view`` where it is declared,
        every feature by its declared name, ``event``, and ``time`` where the endpoint has one.
    flow
        Rows read, excluded with reasons, kept.
    cohort
        The declaration resolved: each wide group expanded into the features that the table has.

    Raises
    ------
    SourceError
        A source cannot be read, sources cannot be joined, a declared column is lacking, or nothing is left after the
        exclusions.
    DeclarationError
        A wide group fits no column, or one that is declared elsewhere.
    """
    rows = read_rows(cohort, root=root, codes=_codes(cohort))
    raw, sources = rows.table, cohort.read_from
    where = _each(cohort, {name: describe(source) for name, source in sources.items()})
    require_columns(rows, cohort, root=root, where=where)
    raw = raw.assign(row=np.arange(1, len(raw) + 1))
    rows_read, excluded = len(raw), []
    for name, lost in rows.lost.items():
        excluded.append(Excluded(f"not in {name} ({describe(sources[name])})", int(lost[raw.index].sum())))
        raw = raw[~lost[raw.index]]
    for exclusion in cohort.exclusions:
        leaves = _matches(raw, exclusion, sources[rows.origin[exclusion.column]], where=where)
        excluded.append(Excluded(exclusion.reason, int(leaves.sum())))
        raw = raw[~leaves]
    for reason, leaves in without_outcome(raw, cohort).items():
        leaves = leaves[raw.index]
        if leaves.any():
            excluded.append(Excluded(reason, int(leaves.sum())))
        raw = raw[~leaves]
    if raw.empty:
        reasons = "; ".join(f"{item.reason}: {item.rows}" for item in excluded)
        raise SourceError(f"{where}: all {rows_read} rows were excluded ({reasons}). Check the exclusions and codes.")
    resolved = resolve(cohort, raw, origin=rows.origin)
    table = canonical(raw.reset_index(drop=True), resolved)
    flow = PatientFlow(
        source=where,
        fingerprint=_each(cohort, rows.fingerprints),
        rows_read=rows_read,
        excluded=tuple(excluded),
        rows_kept=len(table),
        patients_kept=int(table["patient"].nunique()),
        joined=rows.joined,
        read=tuple(SourceRead(name, describe(source), rows.fingerprints[name]) for name, source in sources.items()),
    )
    return Ingested(table, flow, resolved)


def canonical(raw: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Rename, map codes to level names, and read numbers; ``raw`` has a column ``row`` and the source's columns."""
    row = raw["row"]
    columns = {
        "row": row,
        "patient": as_text(raw[cohort.patient]) if cohort.patient else row.astype(str),
        "site": as_text(raw[cohort.site]) if cohort.site else pd.Series("", index=raw.index),
    }
    if cohort.view:
        columns["view"] = as_text(raw[cohort.view[0]])
        for column in cohort.view[1:]:
            columns["view"] = columns["view"] + " " + as_text(raw[column])
    for name, feature in cohort.features.items():
        values = raw[cohort.source_column(name)]
        if isinstance(feature, Categorical):
            columns[name] = levels_of(values, feature)
        else:
            columns[name] = _numbers(raw, values, feature, cohort.source_of(name))
    columns |= outcome_of(raw, cohort)
    return pd.DataFrame(columns)


def _numbers(raw: pd.DataFrame, values: pd.Series, feature: Numeric, source: Source) -> pd.Series:
    """A feature's numbers in its own unit, or the time between its two dates."""
    if feature.from_ is not None:
        return between(raw[feature.from_], values, unit=unit_of_time(feature.unit) or "day", source=source)
    numbers = read_numbers(values, source)
    # Rounded, so that 1.1 cm are 11 mm and no more.
    convert = feature.recorded is not None and pd.api.types.is_numeric_dtype(numbers)
    return (numbers * feature.times).round(9) if convert else numbers


def levels_of(values: pd.Series, feature: Categorical) -> pd.Series:
    """The level names that codes stand for; what is no code stays as it is."""
    codes = spelled(feature.levels)
    text = as_text(values)
    if feature.joined is None:
        return text.replace(codes)
    together = {}
    for word in text.dropna().unique():
        parts = [codes.get(part.strip(), part.strip()) for part in str(word).split(feature.joined)]
        if word not in codes and set(parts) <= set(feature.names):
            together[word] = max(parts, key=feature.names.index)
    return text.replace(codes | together)


def read_table(path: Path, cohort: Cohort) -> pd.DataFrame:
    """Read a canonical table that passed the gate, with its categorical columns typed as declared.

    Where there are images, the column :data:`~relapse.cohorts.blocked.IMAGE` holds the path of each picture, from
    wherever it is asked for: they lie beside the table.
    """
    table = typed(pd.read_parquet(path), cohort)
    if cohort.volumes:
        folder = (path.parent / PICTURES).resolve()
        table[IMAGE] = [str(picture_path(folder, image)) for image in table[IMAGE]]
    return table


def picture_path(folder: Path, image: str) -> Path:
    """Where the picture at an address is kept."""
    return folder / image[:2] / f"{image}.npz"


def typed(table: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Give the feature columns their declared types: numbers as float, levels as (ordered) categories."""
    types = {
        name: pd.CategoricalDtype(feature.names, ordered=feature.type == "ordinal")
        if isinstance(feature, Categorical)
        else np.dtype(np.float64)
        for name, feature in cohort.features.items()
        if name in table.columns
    }
    return table.astype(types)


def _each(cohort: Cohort, said: Mapping[str, str]) -> str:
    """What is to be said of each source, by name where there are several."""
    return "; ".join(f"{name}: {text}" for name, text in said.items()) if cohort.sources else said[""]


def _codes(cohort: Cohort) -> dict[str, list[str]]:
    """By column of the source, the words that are declared to mean something."""
    words = {column: list(cohort.endpoint.values) for column in cohort.endpoint.coded}
    for name, feature in cohort.features.items():
        if isinstance(feature, Categorical):
            words[cohort.source_column(name)] = [*feature.levels, *feature.names]
    return words


def _matches(raw: pd.DataFrame, exclusion: Exclusion, source: Source, *, where: str) -> pd.Series:
    values = raw[exclusion.column]
    if exclusion.missing:
        return values.isna()
    if exclusion.equals is not None:
        return as_text(values).isin(exclusion.equals)
    numbers = read_numbers(values, source)
    if not pd.api.types.is_numeric_dtype(numbers):
        hint = cells.number(values, column=exclusion.column, source=source)
        raise SourceError(
            f"{where}: column {exclusion.column} is asked for numbers by the exclusion '{exclusion.reason}', and not "
            f"every cell is one. {hint}".rstrip()
        )
    return numbers < exclusion.below if exclusion.below is not None else numbers > exclusion.above
