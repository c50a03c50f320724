"""A file that is not read as declared is told what it looks like, and which line of the declaration mends it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest
from relapse.ground.errors import SourceError

from ..conftest import HEADER, ROWS

Declare = Callable[..., Path]
TEXT = HEADER + ROWS


@pytest.mark.parametrize(
    ("csv", "declared", "message"),
    [
        (TEXT.replace(",", ";"), "", r"one column only.* separated by semicolons: declare `separator: \";\"`"),
        (TEXT.replace(",", "\t"), "", r"separated by tabs: declare `separator: \"\\t\"`"),
        (TEXT.replace(",", ";").replace("20.5", "20,5").replace("10;0", "10,2;0"), "", r"declare `separator: \";\"`"),
        (TEXT, "separator: ';'", r"separated by commas: declare `separator: \",\"`"),
        (TEXT.encode("utf-16"), "", "begins as UTF-16 does: declare `encoding: utf-16`"),
        (TEXT.encode("utf-16-be"), "", "declare `encoding: utf-16-be`"),
        (TEXT, "encoding: utf-16", "not utf-16: remove `encoding: utf-16`"),
        (TEXT.replace("c,", "ü,").encode("cp1252"), "", "Line 4 holds a byte that is no utf-8.* `encoding: windows-1252`"),
        (TEXT.replace("c,", "ü,"), "encoding: windows-1252", "is UTF-8, not windows-1252: remove `encoding"),
        (b"\x00\x01\x02\x05" * 3 + b"abcdefghijklmnopqrstuvwxyz" * 9, "", "it is no text table"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-12], "", "the gzipped file is cut off"),
        ("Export of May\n\n" + TEXT, "", "Line 3 looks like the header, below a title: declare `header: 3`"),
        ("Export,,,,,\n" + TEXT, "", "All of them stand in line 2: declare `header: 2`"),
        ("# by hand, in May\n" + TEXT, "", "looks like a comment: declare `comment: \"#\"`"),
        (TEXT + "Source: registry\n", "", "line 6: running text in the first cell alone.* `footer: 1`"),
        (TEXT + "Registry,5\n", "", r"the last row, line 6, is shorter .* declare `footer: 1`"),
        (TEXT.replace("b,R,20.5,,II,1", "b,R,20.5"), "", r"fewer cells .*1 in all, the first in line 3.* `ragged: true`"),
        (TEXT + "Source of all:,,,,,\n", "", "line 6: running text in the first cell alone.* `footer: 1`"),
        (TEXT.replace("b,R", '"b,R'), "", "line 3: a quote that is not closed"),
        (TEXT.replace("b,R", "b,R,x"), "", "the first in line 3: 7 cells, 6 columns"),
        (TEXT, "columns: [id, relapse, size, nodes, grade, mol_subtype]", "remove `columns`"),
        (TEXT, "header: 40", "header: line 40 is empty; the last line is 5"),
        (TEXT.upper(), "", "size .feature size. - did you mean SIZE"),
        (b"PK\x03\x04 and more", "", "looks like an Excel workbook"),
        (b"%PDF-1.7", "", "looks like a PDF"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_read_names_cause_place_and_line(
    declare: Declare, tmp_path: Path, csv: str | bytes, declared: str, message: str
) -> None:
    source = f"{{csv: mine.csv, {declared}}}" if declared else "{csv: mine.csv}"
    with pytest.raises(SourceError, match=f"(?s){message}"):
        ingest(read_cohort(declare(("{csv: mine.csv}", source), csv=csv)), root=tmp_path)


def test_names_in_two_lines_of_a_sheet_are_told_with_both_lines(declare: Declare, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["id", "relapse", "Tumour"])
    sheet.append([None, None, "size", "nodes", "grade", "mol_subtype"])
    sheet.append(["a", "N", 10, 0, "I", 0])
    book.save(tmp_path / "mine.xlsx")
    cohort = read_cohort(declare(("{csv: mine.csv}", f"{{excel: mine.xlsx, sheet: {sheet.title}}}")))
    with pytest.raises(SourceError, match=r"In line 2 there is grade, mol_subtype, nodes, size.*`header: \[1, 2\]`"):
        ingest(cohort, root=tmp_path)


def test_a_text_file_declared_as_a_workbook_is_told_so(declare: Declare, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"not readable as an Excel workbook.* looks like text: declare `\{csv"):
        ingest(read_cohort(declare(("{csv: mine.csv}", "{excel: mine.csv, sheet: Data}"))), root=tmp_path)
