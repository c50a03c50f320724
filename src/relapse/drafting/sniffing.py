"""How a table lies in its file: encoding, separator, decimal sign, sheet, header and notes, found by looking."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from relapse.cohorts.dates import order_of
from relapse.cohorts.declared.source import (
    CsvSource,
    ExcelSource,
    ParquetSource,
    SpssSource,
    StataSource,
)
from relapse.cohorts.diagnosis import files
from relapse.cohorts.diagnosis.files import squeezed
from relapse.cohorts.diagnosis.words import MISSING, UNITS
from relapse.cohorts.grids import Line, lines_of, names_of, notes_below, sheets_of, unpacked
from relapse.cohorts.labelled import read_labelled
from relapse.cohorts.sources import InFile, read_source
from relapse.drafting.signs import encoding_of, separator_of
from relapse.ground.errors import SourceError

#: What a table's file may be called at its end; ``.gz`` may follow that of a text table.
TEXT, SHEETS = (".csv", ".tsv", ".txt", ".dat", ".data"), (".xlsx", ".xlsm")
ENDINGS = (*TEXT, *SHEETS, ".parquet", ".sav", ".zsav", ".dta")

_LOOKED_AT = 300
_MOST_HEADERS = 6
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)*|[.,]\d+)(?:[eE][-+]?\d+)?\s*%?")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/. ]\w{1,9}[-/. ]\d{2,4}")


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A table, the source that it was read by, and what has to be said about how.

    ``notes`` are for a person to look at; ``labels`` what the file says of columns in words, ``units`` what a line
    between header and data says of their units.
    """

    source: InFile
    table: pd.DataFrame
    notes: tuple[str, ...]
    labels: dict[str, str]
    units: dict[str, str]


def sniff(path: Path, *, sheet: str | None = None, header: Sequence[int] | None = None) -> Sniffed:
    """Find out how a table lies in its file, and read it.

    Parameters
    ----------
    sheet
        The sheet of a workbook; the largest by default.
    header
        The lines of the column names, counted from 1; found by default.

    Raises
    ------
    SourceError
        No such file, another kind of file, no table in it, or names of columns that stand there twice.
    """
    _require_file(path)
    ending = _ending(path)
    if sheet is not None and ending not in SHEETS:
        raise SourceError(f"{path.name}: --sheet is for workbooks, .xlsx; this file has no sheets.")
    if header is not None and ending not in (*TEXT, *SHEETS):
        raise SourceError(f"{path.name}: --header is for text and sheets; this file names its columns itself.")
    if ending in TEXT:
        return _text(path, header)
    if ending in SHEETS:
        return _workbook(path, sheet, header)
    if ending in (".sav", ".zsav", ".dta"):
        labelled = StataSource(stata=path.name) if ending == ".dta" else SpssSource(spss=path.name)
        labels = read_labelled(labelled, path).labels
        return Sniffed(labelled, read_source(labelled, root=path.parent), (), labels, {})
    parquet = ParquetSource(parquet=path.name)
    return Sniffed(parquet, read_source(parquet, root=path.parent), (), {}, {})


def _require_file(path: Path) -> None:
    if address := re.match(r"([a-z0-9+]+):/", path.as_posix()):
        # Not repeated: it may hold a password.
        raise SourceError(
            f"{address[1]}://…: a data base is not read here. Write the answer to your query into a file, draft its "
            "declaration, and put `source: {sql: …, query: …}` in its source's place (docs/declaring.md)."
        )
    if path.is_dir():
        raise SourceError(f"{path}: this is a folder. Name the file in it.")
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name}: the file is empty. Expected a header line and rows.")


def _ending(path: Path) -> str:
    endings = [item.lower() for item in path.suffixes]
    found = endings[-2] if endings[-1:] == [".gz"] and len(endings) > 1 else (endings or [""])[-1]
    if found in ENDINGS and (endings[-1] != ".gz" or found in TEXT):
        return found
    kind = files.kind(path.read_bytes()[:8])
    raise SourceError(
        f"{path.name}: no kind of table that is read. These are: {', '.join(ENDINGS)}, and text with .gz behind."
        + (f" By its first bytes it looks like {kind}." if kind else "")
    )


def _text(path: Path, header: Sequence[int] | None) -> Sniffed:
    data = unpacked(path, called=path.name)
    if kind := files.kind(data):
        raise SourceError(f"{path.name}: by its name it is text, and by its first bytes it looks like {kind}.")
    encoding, notes = encoding_of(data, path.name)
    lines = [line for line in data.decode(encoding).removeprefix("\ufeff").splitlines() if line.strip()]
    if not lines:
        raise SourceError(f"{path.name}: the file is empty. Expected a header line and rows.")
    given: dict[str, object] = {"csv": path.name}
    if encoding != "utf-8":
        given["encoding"] = encoding
    if lines[0].startswith("#"):
        given["comment"] = "#"
        lines = [line for line in lines if not line.startswith("#")]
    sign = separator_of(lines[:_LOOKED_AT])
    if sign is None:
        raise SourceError(
            f"{path.name}: one column only: no comma, semicolon, tab or | parts its lines alike. A table has a column "
            "of the outcome and one more at least."
        )
    if sign != ",":
        given["separator"] = sign
    plain = CsvSource.model_validate(given)
    return _grid(plain, given, path, lines_of(plain, path), header, notes)


def _workbook(path: Path, sheet: str | None, header: Sequence[int] | None) -> Sniffed:
    there, notes = sheets_of(path.name, path), []
    if sheet is not None and sheet not in there:
        raise SourceError(f"{path.name}: no sheet {sheet!r}. It has: {', '.join(there)}.")
    lines = {name: lines_of(ExcelSource(excel=path.name, sheet=name), path) for name in ([sheet] if sheet else there)}
    cells = {name: sum(bool(cell) for _, row in found for cell in row) for name, found in lines.items()}
    chosen = max(cells, key=lambda name: cells[name])
    if not cells[chosen]:
        raise SourceError(f"{path.name}: no sheet holds anything. Expected a header line and rows.")
    others = [name for name in cells if name != chosen and cells[name]]
    if others:
        notes.append(f"sheet: {chosen!r} has the most filled cells; there are also {', '.join(map(repr, others))}.")
    given: dict[str, object] = {"excel": path.name, "sheet": chosen}
    return _grid(ExcelSource.model_validate(given), given, path, lines[chosen], header, notes)


@dataclass(frozen=True, slots=True)
class Header:
    """Places (not numbers) of the lines that name the columns, none where there are none, and of the first of data."""

    lines: tuple[int, ...]
    data: int


def header_of(rows: Sequence[Sequence[str]]) -> Header:
    """Where the names of the columns stand among the lines of a table, and where its data begin.

    A line is one of data where most columns that are numbers or dates further down are so in it. Of the lines above, as
    few name the columns as give each a name of its own; a title in the first cell alone is none of them.
    """
    width = Counter(len(_trimmed(row)) for row in rows).most_common(1)[0][0]
    first = 0
    while first < min(_MOST_HEADERS, len(rows) - 1) and width > 2 and sum(map(bool, rows[first])) == 1:
        first += 1
    further = rows[min(first + _MOST_HEADERS, max(len(rows) // 2, first + 1)) :][:_LOOKED_AT]
    measured = [place for place in range(width) if _measured([row[place] for row in further if place < len(row)])]
    data = first
    while data < min(first + _MOST_HEADERS, len(rows)) and not _is_data(rows[data], measured):
        data += 1
    if not measured or data == first + _MOST_HEADERS:
        return Header((first,), first + 1)
    if data == first:
        return Header((), data)
    for last in range(first + 1, data + 1):
        names = names_of([list(row) for row in rows[first:last]])[:width]
        named = [name for name in names if not name.startswith("Unnamed:")]
        if len(set(names)) == len(names) and len(named) >= 0.8 * width:
            return Header(tuple(range(first, last)), data)
    return Header(tuple(range(first, data)), data)


def _trimmed(row: Sequence[str]) -> list[str]:
    cells = list(row)
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _measured(cells: Sequence[str]) -> bool:
    known = [cell for cell in cells if cell and cell.casefold() not in MISSING]
    return bool(known) and sum(map(_looks_measured, known)) >= 0.8 * len(known)


def _looks_measured(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell) or _DATE.fullmatch(cell))


def _is_data(row: Sequence[str], measured: Sequence[int]) -> bool:
    cells = [row[place] for place in measured if place < len(row) and row[place]]
    told = sum(_looks_measured(cell) or cell.casefold() in MISSING for cell in cells)
    return bool(cells) and told >= 0.5 * len(cells)


def _grid(
    plain: CsvSource | ExcelSource,
    given: dict[str, object],
    path: Path,
    lines: list[Line],
    asked: Sequence[int] | None,
    notes: list[str],
) -> Sniffed:
    """Header, rows and signs of a text table or sheet, found among its lines."""
    rows = [cells for _, cells in lines]
    if len(rows) < 2:
        raise SourceError(f"{path.name}: no rows of data. Expected a header line and at least one row below it.")
    found = _asked(lines, asked, path) if asked else header_of(rows)
    units: dict[str, str] = {}
    if not found.lines:
        if isinstance(plain, ExcelSource):
            raise SourceError(
                f"{path.name}: the sheet has no header line. Write the names of the columns above the data."
            )
        width = len(rows[found.data])
        given["columns"] = [f"column_{place}" for place in range(1, width + 1)]
        notes.append("columns: the file has no header line: give each column its name, in their order.")
        names = list(map(str, given["columns"]))  # type: ignore[call-overload]  # a list, two lines above
    else:
        numbers = [lines[place][0] for place in found.lines]
        names = names_of([rows[place] for place in found.lines])
        if numbers != [lines[0][0]]:
            given["header"] = numbers[0] if len(numbers) == 1 else numbers
        if found.data > found.lines[-1] + 1:
            given["data"] = lines[found.data][0]
            between = rows[found.lines[-1] + 1 : found.data]
            units = _units(names, between)
            notes.append(
                f"data: {len(between)} line(s) between header and data are passed over. "
                f"`header: {[number for number, _ in lines[found.lines[0] : found.data]]}` without `data:` would have "
                "them in the names."
            )
        if found.lines[0] > 0:
            notes.append(f"header: {found.lines[0]} line(s) above the header are passed over.")
    body = lines[found.data :]
    if len(names) > 2 and (below := notes_below(body)):
        given["footer"] = below
        notes.append(f"footer: the last {below} line(s) look like notes below the table, and are passed over.")
        body = body[:-below]
    if isinstance(plain, CsvSource) and any(len(cells) < len(names) for _, cells in body[:-1]):
        given["ragged"] = True
        notes.append("ragged: some rows end early: is nothing cut off but empty cells?")
    notes += _signs(given, names, body)
    source = type(plain).model_validate(given)
    return Sniffed(source, read_source(source, root=path.parent), tuple(notes), {}, units)


def _asked(lines: list[Line], asked: Sequence[int], path: Path) -> Header:
    places = {number: place for place, (number, _) in enumerate(lines)}
    empty = [number for number in asked if number not in places]
    if empty or list(asked) != sorted(set(asked)):
        raise SourceError(
            f"{path.name}: --header {' --header '.join(map(str, asked))}: the lines of the names, rising, each "
            + (f"with something in it; line {empty[0]} is empty or not there." if empty else "given once.")
        )
    chosen = tuple(places[number] for number in asked)
    below = header_of([cells for _, cells in lines]).data
    return Header(chosen, max(chosen[-1] + 1, below))


def _units(names: list[str], between: Sequence[Sequence[str]]) -> dict[str, str]:
    found = {}
    for row in between:
        for name, cell in zip(names, row, strict=False):
            unit = cell.strip(" []()")
            if unit.casefold() in UNITS or unit == "%":
                found[name] = unit
    return found


def _signs(given: dict[str, object], names: list[str], body: list[Line]) -> list[str]:
    """Put decimal and thousands signs and the order of dates into ``given``; what is not certain comes back."""
    notes = []
    commas, points, grouped = 0, 0, 0
    orders: list[set[str]] = []
    for place in range(len(names)):
        cells = [row[place] for _, row in body if place < len(row) and row[place]]
        cells = [cell for cell in cells if cell.casefold() not in MISSING]
        if not cells:
            continue
        dated = sum(bool(_DATE.fullmatch(cell)) for cell in cells) >= 0.8 * len(cells)
        if not dated and sum(bool(_NUMBER.fullmatch(cell)) for cell in cells) >= 0.8 * len(cells):
            commas += any(re.fullmatch(r"[-+]?\d*,\d+", cell) for cell in cells)
            points += any(re.fullmatch(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?", cell) for cell in cells)
            grouped += any(re.fullmatch(r"[-+]?\d{1,3}(?:\.\d{3})+,\d+", cell) for cell in cells)
        elif dated:
            orders.append(set(order_of(pd.Series([cell for cell in cells if _DATE.fullmatch(cell)], dtype="str"))))
    if commas > points:
        given["decimal"] = ","
        if grouped:
            given["thousands"] = "."
    if commas and points:
        notes.append("decimal: some columns have a decimal comma, others a decimal point: one sign is meant for all.")
    fitting = set.intersection(*orders) if orders else {"ymd"}
    if orders and "ymd" not in fitting:
        order = next((order for order in ("dmy", "mdy") if order in fitting), "dmy")
        given["dates"] = order
        if len(fitting) != 1:
            notes.append(f"dates: {order} is assumed: no date, or not every one, tells day and month apart.")
    return notes


def named(names: Sequence[str]) -> dict[str, str]:
    """Names of columns by what a person may have typed: without regard to case and blanks."""
    return {squeezed(name).casefold(): name for name in names}
