"""Lines and cells of text tables: CSV files and sheets of workbooks, every cell as the text that stands there."""

import csv
import gzip
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile
from zlib import error as ZlibError

import pandas as pd

from relapse.cohorts.declared.source import CsvSource, ExcelSource
from relapse.cohorts.diagnosis import files
from relapse.ground.errors import SourceError

if TYPE_CHECKING:
    from openpyxl import Workbook

#: A line by its number, and its cells.
Line = tuple[int, list[str]]

#: The first lines of a file tell what it is.
_FIRST = 50


def read_csv(source: CsvSource, path: Path) -> pd.DataFrame:
    """Read a text table.

    Raises
    ------
    SourceError
        Not text in the declared encoding, lines of different length, or a name that stands there twice.
    """
    text = _decoded(source, path)
    lines = _csv_lines(source, text)
    names, body = _divided(lines, source, where=source.csv)
    kept = [line for line in text.splitlines() if line.strip()][:_FIRST]
    hint = (
        files.separator_hint(kept, source.separator)
        or (files.comment_hint(kept) if source.comment is None else None)
        or files.header_hint(((line, len(cells)) for line, cells in lines[:_FIRST]), source.header_lines)
    )
    if len(names) == 1:
        raise SourceError(
            f"{source.csv}: one column only, with the separator {source.separator!r}. "
            + (hint or "Check the separator: `separator:` under source.")
        )
    _require_no_notes(names, body, where=source.csv)
    _require_equal_lengths(names, body, source, hint)
    return _framed(names, body)


def read_excel(source: ExcelSource, path: Path) -> pd.DataFrame:
    """Read a sheet; numbers are written with the declared decimal sign, dates as 2024-05-31.

    Raises
    ------
    SourceError
        No workbook, no such sheet, or a name that stands there twice.
    """
    lines = _excel_lines(source, path)
    where = f"{source.excel} [{source.sheet}]"
    if not lines:
        raise SourceError(f"{where}: the sheet is empty. Expected a header line and rows.")
    width = max(max(place for place, cell in enumerate(cells, start=1) if cell) for _, cells in lines)
    lines = [(number, [*cells[:width], *[""] * (width - len(cells))]) for number, cells in lines]
    names, body = _divided(lines, source, where=where)
    _require_no_notes(names, body, where=where)
    return _framed(names, body)


def first_lines(source: CsvSource | ExcelSource, path: Path) -> list[Line]:
    """The first lines of a table, header and all, for messages about them."""
    return lines_of(source, path)[:_FIRST]


def lines_of(source: CsvSource | ExcelSource, path: Path) -> list[Line]:
    """Every line of a table that is not empty, header and all, by its number."""
    return _csv_lines(source, _decoded(source, path)) if isinstance(source, CsvSource) else _excel_lines(source, path)


def sheets_of(declared: str, path: Path) -> list[str]:
    """The names of a workbook's sheets, in their order; raises :class:`SourceError` where it is no workbook."""
    with _workbook(declared, path) as workbook:
        return [sheet.title for sheet in workbook.worksheets]


def repeated(names: list[str]) -> str | None:
    """The names that stand there more than once, with the places of their columns; None where each is its own."""
    places: dict[str, list[str]] = {}
    for place, name in enumerate(names, start=1):
        places.setdefault(name, []).append(str(place))
    twice = [f"{name} (columns {', '.join(found)})" for name, found in places.items() if len(found) > 1]
    return ", ".join(twice) or None


def unpacked(path: Path, *, called: str) -> bytes:
    """The bytes of a text file, plain or gzipped; raises :class:`SourceError` where the latter is damaged."""
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, ZlibError):
        raise SourceError(f"{called}: the gzipped file is cut off or damaged. Copy it anew.") from None


def _decoded(source: CsvSource, path: Path) -> str:
    data = unpacked(path, called=source.csv)
    if kind := files.kind(data):
        raise SourceError(f"{source.csv}: not readable as CSV. It looks like {kind}.")
    if trouble := files.encoding(data, source.encoding):
        raise SourceError(f"{source.csv}: not readable as CSV with encoding {source.encoding}. {trouble}")
    return data.decode(source.encoding).removeprefix("\ufeff")


def _csv_lines(source: CsvSource, text: str) -> list[Line]:
    lines: list[Line] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=source.separator, skipinitialspace=True, strict=True)
    end = 0
    try:
        for cells in reader:
            if any(cells) and not (source.comment and cells[0].startswith(source.comment)):
                lines.append((end + 1, [cell.strip() for cell in cells]))
            end = reader.line_num
    except csv.Error:
        raise SourceError(
            f"{source.csv}: line {end + 1}: a quote that is not closed, or text behind a closing quote. "
            "A quote inside a quoted cell is written twice."
        ) from None
    if not lines:
        raise SourceError(f"{source.csv}: the file is empty. Expected a header line and rows.")
    return lines


def _excel_lines(source: ExcelSource, path: Path) -> list[Line]:
    with _workbook(source.excel, path) as workbook:
        sheets = {sheet.title: sheet for sheet in workbook.worksheets}
        if source.sheet not in sheets:
            raise SourceError(f"{source.excel}: no sheet {source.sheet!r}. It has: {', '.join(sheets)}.")
        sheet = sheets[source.sheet]
        sheet.reset_dimensions()
        rows = [[_shown(cell, source.decimal) for cell in row] for row in sheet.iter_rows(values_only=True)]
    return [(number, cells) for number, cells in enumerate(rows, start=1) if any(cells)]


@contextmanager
def _workbook(declared: str, path: Path) -> "Iterator[Workbook]":
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings(), path.open("rb") as stream:
            # What openpyxl warns of (validation lists, print areas) is no part of the cells.
            warnings.simplefilter("ignore", UserWarning)
            yield load_workbook(stream, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        kind = files.text_or(path.read_bytes())
        raise SourceError(
            f"{declared}: not readable as an Excel workbook, .xlsx ({type(error).__name__})."
            + (f" It looks like {kind}." if kind and not isinstance(error, KeyError) else "")
        ) from None


def _divided(lines: list[Line], source: CsvSource | ExcelSource, *, where: str) -> tuple[list[str], list[Line]]:
    """The names of the columns and the lines of data."""
    columns = source.columns if isinstance(source, CsvSource) else None
    if columns:
        names, first = [files.squeezed(name) for name in columns], source.data or 1
        if [name.casefold() for name in names] == [files.squeezed(cell).casefold() for cell in lines[0][1]]:
            raise SourceError(
                f"{where}: line {lines[0][0]} holds the names of `columns`: remove `columns` under source."
            )
    else:
        by_number = dict(lines)
        # Blank lines above the header are passed over where no line was declared.
        heads = source.header_lines if source.header != 1 else (lines[0][0],)
        empty = [number for number in heads if number not in by_number]
        if empty:
            raise SourceError(f"{where}: header: line {empty[0]} is empty; the last line is {lines[-1][0]}.")
        names, first = names_of([by_number[number] for number in heads]), source.data or heads[-1] + 1
    if again := repeated(names):
        mend = (
            ", or let further header lines tell them apart: `header: [1, 2]`" if isinstance(source, ExcelSource) else ""
        )
        raise SourceError(
            f"{where}: column name more than once: {again}. Nothing tells which is meant: rename one in the file{mend}."
        )
    body = [line for line in lines if line[0] >= first]
    return names, body[: max(len(body) - source.footer, 0)]


def names_of(heads: list[list[str]]) -> list[str]:
    """The names of the columns that the lines of a header make together."""
    width = max(len(cells) for cells in heads)
    rows = [[files.squeezed(cell) for cell in cells] + [""] * (width - len(cells)) for cells in heads]
    names, titles = [], [""] * len(rows)
    for place in range(width):
        own = [row[place] for row in rows]
        filled = next((level for level, cell in enumerate(own) if cell), None)
        if filled is None:
            names.append(f"Unnamed: {place}")
            continue
        # A title counts to the right until a new one stands at its level or above; the last line holds no titles.
        titles = [*titles[:filled], *own[filled:]]
        titles = [*(own[level] or titles[level] for level in range(len(rows) - 1)), own[-1]]
        names.append(" / ".join(part for part in titles if part))
    return names


def _require_equal_lengths(names: list[str], body: list[Line], source: CsvSource, hint: str | None) -> None:
    longer = [(number, len(cells)) for number, cells in body if len(cells) > len(names)]
    if longer:
        number, found = longer[0]
        raise SourceError(
            f"{source.csv}: some rows have more cells than there are columns ({len(longer)} in all, the first in "
            f"line {number}: {found} cells, {len(names)} columns). "
            + (
                hint
                or f"Check the header line, the separator (declared: {source.separator!r}), and cells that hold the "
                "separator themselves: those need quotes."
            )
        )
    shorter = [number for number, cells in body if len(cells) < len(names)]
    if shorter and shorter == [body[-1][0]] and len(body) > 2:
        raise SourceError(
            f"{source.csv}: the last row, line {shorter[0]}, is shorter than all others ({len(body[-1][1])} of "
            f"{len(names)} cells). "
            "If it is a note below the table, declare `footer: 1` under source; else the file was cut off."
        )
    if shorter and not source.ragged:
        found = len(dict(body)[shorter[0]])
        raise SourceError(
            f"{source.csv}: some rows have fewer cells than there are columns ({len(shorter)} in all, the first in "
            f"line {shorter[0]}: {found} cells, {len(names)} columns): cut off, or a separator is missing. "
            "Where the program that wrote the file leaves out empty cells at the end of a row, declare `ragged: true` "
            "under source."
        )


def _require_no_notes(names: list[str], body: list[Line], *, where: str) -> None:
    if len(names) > 2 and (notes := notes_below(body)):
        raise SourceError(
            f"{where}: line {body[-notes][0]}: running text in the first cell alone, like a note below the table. "
            f"Declare `footer: {notes}` under source."
        )


def _framed(names: list[str], body: list[Line]) -> pd.DataFrame:
    rows = [[*cells, *[""] * (len(names) - len(cells))] for _, cells in body]
    return pd.DataFrame(rows, columns=names, dtype="str")


def notes_below(body: list[Line]) -> int:
    """How many of the last lines hold running text in their first cell and nothing else, unlike those above."""
    notes = 0
    for _, cells in reversed(body):
        if any(cells[1:]) or " " not in cells[0]:
            break
        notes += 1
    above = body[: len(body) - notes]
    return notes if above and not any(" " in cells[0] for _, cells in above) else 0


def _shown(value: Any, decimal: str) -> str:
    """A cell as Excel shows it; what stands for a formula is its value."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float() if value.is_integer():
            return str(int(value))
        case float():
            return repr(value).replace(".", decimal)
        case datetime() if value.time() == time():
            return value.date().isoformat()
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            return str(value).strip()
