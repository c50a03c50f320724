"""A text table is read as it stands, by what is declared of its lines, signs and names; what is not is refused."""

import gzip
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.declared.source import CsvSource, ExcelSource, ParquetSource
from relapse.cohorts.sources import read_source
from relapse.cohorts.table import ingest
from relapse.ground.errors import DeclarationError, SourceError

from .conftest import HEADER, ROWS

Declare = Callable[..., Path]


def _csv(folder: Path, text: str | bytes, **declared: Any) -> pd.DataFrame:
    (folder / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_source(CsvSource(csv="t.csv", **declared), root=folder)


def _sheet(folder: Path, rows: list[list[Any]], **declared: Any) -> pd.DataFrame:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Data"
    for row in rows:
        sheet.append(row)
    book.save(folder / "t.xlsx")
    return read_source(ExcelSource(excel="t.xlsx", sheet="Data", **declared), root=folder)


def test_a_name_that_stands_there_twice_is_refused_with_its_places(tmp_path: Path) -> None:
    twice = r"column name more than once: age \(columns 1, 3\)"
    with pytest.raises(SourceError, match=twice):
        _csv(tmp_path, "age,size,age\n1,2,3\n")
    with pytest.raises(SourceError, match=twice):
        _csv(tmp_path, "1,2,3\n", columns=("age", "size", "age"))
    with pytest.raises(SourceError, match=rf"t\.xlsx \[Data\]: {twice}"):
        _sheet(tmp_path, [["age", "size", "age "], [1, 2, 3]])


def test_a_name_that_stands_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["age", "age"]), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"age \(columns 1, 2\)"):
        read_source(ParquetSource(parquet="t.parquet"), root=tmp_path)


def test_parquet_keeps_its_types_and_its_index(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "size": [1.5, 999.0], "note": ["NC", "x"]})
    frame.set_index("id").to_parquet(tmp_path / "t.parquet")
    read = read_source(ParquetSource(parquet="t.parquet", missing=("NC", {"size": [999]})), root=tmp_path)
    assert read["size"].dtype == float
    assert read["id"].tolist() == ["a", "b"]
    assert read.isna().to_numpy().tolist() == [[False, False, True], [False, True, False]]
    (tmp_path / "t.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"not readable as parquet .* looks like text"):
        read_source(ParquetSource(parquet="t.parquet"), root=tmp_path)


@pytest.mark.parametrize(
    ("data", "declared"),
    [
        (gzip.compress(b"a,b\n1,\xc3\xbc\n", mtime=0), {}),
        (b"\xef\xbb\xbfa,b\n1,\xc3\xbc\n", {}),
        ("a,b\n1,ü\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("a,b\r\n1,ü\r\n".encode("cp1252"), {"encoding": "windows-1252"}),
        ("a\tb\n1\tü\n".encode(), {"separator": "\t"}),
        ("a\tb\n1\tü\n".encode(), {"separator": "\\t"}),
        ("  a , b \n 1 , ü \n".encode(), {}),
        ("Export of May\n\na,b\n1,ü\n".encode(), {"header": 3}),
        ("a,b\nnumber,\n\n1,ü\n".encode(), {"data": 4}),
        ("# made by hand, in May\na,b\n1,ü\n".encode(), {"comment": "#"}),
        ("a,b\n1,ü\nSource, registry, 2024\n".encode(), {"footer": 1}),
        ("1,ü\n".encode(), {"columns": ("a", "b")}),
        ('a,b\n"1","ü"\n'.encode(), {}),
    ],
)  # fmt: skip
def test_a_csv_is_read_by_what_is_declared_of_it(tmp_path: Path, data: bytes, declared: dict[str, Any]) -> None:
    assert _csv(tmp_path, data, **declared).to_dict(orient="list") == {"a": ["1"], "b": ["ü"]}


def test_several_header_lines_make_one_name_and_titles_count_for_all_below_them(tmp_path: Path) -> None:
    rows = [
        ["Patient", "Film", None, None, "Ultrasound", None],
        ["ID", "Shape", "Tumour\n grade ", None, "Shape", None],
        [None, None, "T", "N", None, None],
        ["a", 1, 2, 3, 4, 5],
    ]
    assert list(_sheet(tmp_path, rows, header=[1, 2, 3]).columns) == [
        "Patient / ID",
        "Film / Shape",
        "Film / Tumour grade / T",
        "Film / Tumour grade / N",
        "Ultrasound / Shape",
        "Unnamed: 5",
    ]
    two = _sheet(tmp_path, rows, header=[1, 2], data=4)
    assert list(two.columns[:5]) == [
        "Patient / ID",
        "Film / Shape",
        "Film / Tumour grade",
        "Unnamed: 3",
        "Ultrasound / Shape",
    ]
    assert len(two) == 1


def test_cells_of_a_sheet_are_the_text_that_excel_shows(tmp_path: Path) -> None:
    row = ["a ", 3, 2.0, 1.5, True, datetime(2024, 5, 31), "#N/A", None, "12,5"]
    names = ["id", "int", "whole", "float", "truth", "date", "error", "none", "text"]
    read = _sheet(tmp_path, [names, row, [None] * 9, ["b"]])
    assert read.iloc[0, :7].tolist() == ["a", "3", "2", "1.5", "TRUE", "2024-05-31", "#N/A"]
    assert read["none"].isna().all()
    assert len(read) == 2
    assert _sheet(tmp_path, [names, row], missing=["#N/A"])["error"].isna().all()
    assert _sheet(tmp_path, [names, row], decimal=",")["float"].tolist() == ["1,5"]


def test_an_error_value_of_excel_does_not_become_missing_in_silence(tmp_path: Path) -> None:
    # openpyxl's own type of the cell, as a formula leaves it.
    read = _sheet(tmp_path, [["id", "x"], ["a", "#DIV/0!"], ["b", 1]])
    assert read["x"].tolist() == ["#DIV/0!", "1"]


@pytest.mark.parametrize(
    ("declared", "cells", "numbers"),
    [
        ('decimal: ","', ["12,5", "3", "-0,25", "1,5e1"], [12.5, 3, -0.25, 15]),
        ('decimal: ",", thousands: "."', ["1.234,5", "12.000", "3", "7,5"], [1234.5, 12000, 3, 7.5]),
        ('thousands: " "', ["1 234.5", "12\u00a0000", "3", "7"], [1234.5, 12000, 3, 7]),
        ('thousands: "\'"', ["1'234", "12’000", "3", "7"], [1234, 12000, 3, 7]),
    ],
)
def test_numbers_are_read_by_their_declared_signs(
    declare: Declare, tmp_path: Path, declared: str, cells: list[str], numbers: list[float]
) -> None:
    rows = "\n".join(f"{name};{code};{cell};0;I;0" for name, code, cell in zip("abcd", "NRNR", cells, strict=True))
    source = f"{{csv: mine.csv, separator: ';', {declared}}}"
    path = declare(("{csv: mine.csv}", source), csv=HEADER.replace(",", ";") + rows + "\n")
    assert ingest(read_cohort(path), root=tmp_path)[0]["size"].tolist() == numbers


def test_a_decimal_point_under_a_declared_comma_leaves_the_column_as_text(declare: Declare, tmp_path: Path) -> None:
    rows = "a;N;1.234;0;I;0\nb;R;2,5;0;I;0\n"
    path = declare(
        ("{csv: mine.csv}", "{csv: mine.csv, separator: ';', decimal: ','}"), csv=HEADER.replace(",", ";") + rows
    )
    assert ingest(read_cohort(path), root=tmp_path)[0]["size"].tolist() == ["1.234", "2,5"]


def test_a_word_for_missing_can_hold_for_one_column(tmp_path: Path) -> None:
    read = _csv(tmp_path, "a,b\n999,999\n999.0, NC\n1,2\n", missing=["NC", {"a": 999}])
    assert read["a"].isna().tolist() == [True, True, False]
    assert read["b"].isna().tolist() == [False, True, False]


def test_a_declared_code_is_no_word_for_missing(declare: Declare, tmp_path: Path) -> None:
    path = declare(("values: {N: 0, R: 1}", "values: {None: 0, R: 1}"), csv=HEADER + ROWS.replace(",N,", ",None,"))
    table, flow, _ = ingest(read_cohort(path), root=tmp_path)
    assert table["event"].tolist() == [0, 1, 0, 1]
    assert flow.excluded == ()


def test_true_and_false_are_codes_in_every_spelling(declare: Declare, tmp_path: Path) -> None:
    rows = ROWS.replace(",N,", ",FALSE,").replace(",R,", ",true,")
    path = declare(("values: {N: 0, R: 1}", "values: {FALSE: 0, TRUE: 1}"), csv=HEADER + rows)
    assert ingest(read_cohort(path), root=tmp_path)[0]["event"].tolist() == [0, 1, 0, 1]


def test_an_exclusion_by_number_of_a_column_that_holds_none_is_refused(declare: Declare, tmp_path: Path) -> None:
    rule = "reference: [size]\nexclusions: [{column: size, above: 30, reason: too large}]"
    path = declare(("reference: [size]", rule), csv=HEADER + ROWS.replace("20.5", '"20,5"'))
    with pytest.raises(SourceError, match=r"asked for numbers by the exclusion 'too large'.* `decimal: \",\"`"):
        ingest(read_cohort(path), root=tmp_path)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("separator: ';;'", "is not one sign"),
        ("encoding: utf8x", "'utf8x' is no encoding"),
        ("header: [2, 1]", "header: the lines are given in rising order"),
        ("header: 3, data: 2", "data: the rows begin below the header, which is line 3"),
        ("decimal: ',', thousands: ','", "decimal and thousands are the same sign"),
    ],
)
def test_a_source_that_contradicts_itself_is_refused(declare: Declare, declared: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        read_cohort(declare(("{csv: mine.csv}", f"{{csv: mine.csv, {declared}}}")))


def test_a_declaration_of_a_tab_survives_being_written_and_read_again() -> None:
    source = CsvSource(csv="t.csv", separator="\t", missing=["NC", {"size": [999]}], header=[1, 2])
    assert CsvSource.model_validate_json(source.model_dump_json()) == source
