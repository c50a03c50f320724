"""The canonical table of a cohort, and the record of which rows it was made from."""

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.declared.source import CsvSource, ExcelSource, Source
from relapse.cohorts.diagnosis import columns as cells
from relapse.cohorts.diagnosis.files import names_elsewhere
from relapse.cohorts.grids import first_lines
from relapse.cohorts.numbers import read_numbers
from relapse.cohorts.schema import Cohort, Exclusion
from relapse.cohorts.sources import describe, fingerprint, locate, read_source
from relapse.ground.errors import SourceError


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many rows one reason took out."""

    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class PatientFlow:
    """From the rows of the source to the rows that are analysed; ``source`` and ``fingerprint`` say what was read."""

    source: str
    fingerprint: str
    rows_read: int
    excluded: tuple[Excluded, ...]
    rows_kept: int
    patients_kept: int

    def to_json(self) -> dict[str, object]:
        """Plain values, for a JSON file."""
        return asdict(self)


def ingest(cohort: Cohort, *, root: Path) -> tuple[pd.DataFrame, PatientFlow]:
    """Read a cohort's source and bring it into canonical form.

    Nothing is judged here and nothing invented: text in a numeric column leaves the column as text, an unknown level
    stays as it is, and the gate names both. Rows leave only by a declared exclusion or for want of an outcome.

    Returns
    -------
    table
        Columns ``row`` (1-based data row of the source), ``patient``, ``site``, ``view`` where it is declared, every
        feature by its declared name, ``event``, and ``time`` where the endpoint has one.
    flow
        Rows read, excluded with reasons, kept.

    Raises
    ------
    SourceError
        The source cannot be read, lacks a declared column, or nothing is left after the exclusions.
    """
    raw = read_source(cohort.source, root=root, codes=_codes(cohort))
    where = describe(cohort.source)
    _require_columns(raw, cohort, root=root, where=where)
    raw = raw.assign(row=np.arange(1, len(raw) + 1))
    rows_read, excluded = len(raw), []
    for exclusion in (*cohort.exclusions, *_without_outcome(cohort)):
        leaves = _matches(raw, exclusion, cohort.source, where=where)
        if leaves.any() or exclusion in cohort.exclusions:
            excluded.append(Excluded(exclusion.reason, int(leaves.sum())))
        raw = raw[~leaves]
    if raw.empty:
        reasons = "; ".join(f"{item.reason}: {item.rows}" for item in excluded)
        raise SourceError(f"{where}: all {rows_read} rows were excluded ({reasons}). Check the exclusions and codes.")
    table = canonical(raw.reset_index(drop=True), cohort)
    flow = PatientFlow(
        source=where,
        fingerprint=fingerprint(cohort.source, root=root),
        rows_read=rows_read,
        excluded=tuple(excluded),
        rows_kept=len(table),
        patients_kept=int(table["patient"].nunique()),
    )
    return table, flow


def canonical(raw: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Rename, map codes to level names, and read numbers; ``raw`` has a column ``row`` and the source's columns."""
    row = raw["row"]
    columns = {
        "row": row,
        "patient": _text(raw[cohort.patient]) if cohort.patient else row.astype(str),
        "site": _text(raw[cohort.site]) if cohort.site else pd.Series("", index=raw.index),
    }
    if cohort.view:
        columns["view"] = _text(raw[cohort.view])
    for name, feature in cohort.features.items():
        values = raw[cohort.source_column(name)]
        if isinstance(feature, Categorical):
            columns[name] = _text(values).replace(_spelled(feature.levels))
        else:
            columns[name] = read_numbers(values, cohort.source)
    endpoint = cohort.endpoint
    codes = _spelled({code: str(value) for code, value in endpoint.values.items()})
    columns["event"] = _number(_text(raw[endpoint.event]).replace(codes))
    if cohort.survival:
        columns["time"] = read_numbers(raw[cohort.survival.time], cohort.source)
        for event, time in cohort.survival.pairs[1:]:
            other = _number(_text(raw[event]).replace(codes)), read_numbers(raw[time], cohort.source)
            columns["event"], columns["time"] = _first_of(columns["event"], columns["time"], *other)
    return pd.DataFrame(columns)


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


def read_table(path: Path, cohort: Cohort) -> pd.DataFrame:
    """Read a canonical table that passed the gate, with its categorical columns typed as declared."""
    return typed(pd.read_parquet(path), cohort)


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


def _codes(cohort: Cohort) -> dict[str, list[str]]:
    """By column of the source, the words that are declared to mean something."""
    pairs = cohort.survival.pairs if cohort.survival else [(cohort.endpoint.event,)]
    words = {event: list(cohort.endpoint.values) for event, *_ in pairs}
    for name, feature in cohort.features.items():
        if isinstance(feature, Categorical):
            words[cohort.source_column(name)] = [*feature.levels, *feature.names]
    return words


def _spelled(codes: dict[str, str]) -> dict[str, str]:
    """Codes with every spelling of true and false: YAML reads ``TRUE`` as the truth value, not as the word."""
    spelled = {
        other: name
        for code, name in codes.items()
        if code in ("True", "False")
        for other in (code.upper(), code.lower())
        if other not in codes
    }
    return codes | spelled


def _require_columns(raw: pd.DataFrame, cohort: Cohort, *, root: Path, where: str) -> None:
    endpoint = cohort.endpoint
    needed = {
        **{cohort.source_column(name): f"feature {name}" for name in cohort.features},
        **{exclusion.column: "an exclusion" for exclusion in cohort.exclusions},
        endpoint.event: "the endpoint's event",
    }
    if cohort.survival:
        needed |= {column: "the endpoint" for pair in cohort.survival.pairs for column in pair if column not in needed}
    for column, role in ((cohort.patient, "patient"), (cohort.view, "view"), (cohort.site, "site")):
        if column:
            needed[column] = f"the {role}"
    present = [str(column) for column in raw.columns]
    lacking = {column: role for column, role in needed.items() if column not in present}
    if not {name.casefold() for name in needed} & {name.casefold() for name in present}:
        # What stands in the header line may then be a patient, and is not repeated.
        raise SourceError(
            f"{where}: none of the declared columns ({', '.join(list(needed)[:5])}, …) stands in the header line. "
            + (
                _other_header(set(needed), set(lacking), cohort.source, root=root)
                or "If the file has no header line, name its columns under source: `columns: [...]`; if they stand in "
                "another line, declare it: `header: 2`; if they are others, name each under 'column'."
            )
        )
    if lacking:
        shown = ", ".join(present[:40]) + (" …" if len(present) > 40 else "")
        lines = [f"  {column} ({role}){_near(column, present)}" for column, role in lacking.items()]
        raise SourceError(
            f"{where}: column missing:\n"
            + "\n".join(lines)
            + f"\nThe source has {len(present)} columns: {shown}.\n"
            + (
                _other_header(set(needed), set(lacking), cohort.source, root=root)
                or "Rename the column, or name the source's column under 'column' in the declaration."
            )
        )


def _near(column: str, present: list[str]) -> str:
    near = difflib.get_close_matches(column.casefold(), [name.casefold() for name in present], n=1)
    spelled = [name for name in present if near and name.casefold() == near[0]]
    return f" - did you mean {spelled[0]}?" if spelled else ""


def _other_header(needed: set[str], lacking: set[str], source: Source, *, root: Path) -> str | None:
    """What to say where the columns that are lacking are named in another of the first lines."""
    if not isinstance(source, CsvSource | ExcelSource):
        return None
    lines = first_lines(source, locate(source, root=root))
    return names_elsewhere(lines, needed, lacking, source.header_lines)


def _without_outcome(cohort: Cohort) -> list[Exclusion]:
    return [
        Exclusion(column=column, reason=f"no outcome recorded ({column})", missing=True)
        for column in cohort.outcome_columns
    ]


def _matches(raw: pd.DataFrame, exclusion: Exclusion, source: Source, *, where: str) -> pd.Series:
    values = raw[exclusion.column]
    if exclusion.missing:
        return values.isna()
    if exclusion.equals is not None:
        return _text(values).isin(exclusion.equals)
    numbers = read_numbers(values, source)
    if not pd.api.types.is_numeric_dtype(numbers):
        hint = cells.number(values, column=exclusion.column, source=source)
        raise SourceError(
            f"{where}: column {exclusion.column} is asked for numbers by the exclusion '{exclusion.reason}', and not "
            f"every cell is one. {hint}".rstrip()
        )
    return numbers < exclusion.below if exclusion.below is not None else numbers > exclusion.above


def _text(values: pd.Series) -> pd.Series:
    """Values as stripped text; whole numbers without a decimal point, so that the code 1.0 is the code 1."""
    if pd.api.types.is_bool_dtype(values):
        return values.astype(int).astype(str)
    if pd.api.types.is_numeric_dtype(values):
        return values.map(lambda value: f"{value:.15g}", na_action="ignore").astype("str")
    return values.astype("str").str.strip().str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)


def _number(values: pd.Series) -> pd.Series:
    """Codes of the outcome as float; where one is no number the whole column stays text, for the gate to name it."""
    try:
        return pd.to_numeric(values).astype(np.float64)
    except (ValueError, TypeError):
        return values.astype("str")
