"""A source becomes a canonical table without losing or inventing anything; bad sources give one clear message."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest, read_table, typed
from relapse.ground.errors import SourceError
from relapse.ground.files import write_parquet

from .conftest import HEADER, ROWS

Declare = Callable[..., Path]


@pytest.mark.parametrize(("name", "rows", "events", "predictors"), [("gbsg", 686, 299, 8), ("wpbc", 198, 47, 32)])
def test_declared_cohorts_have_their_published_size(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, rows: int, events: int, predictors: int
) -> None:
    assert len(tables[name]) == rows
    assert tables[name]["event"].sum() == events
    assert len(cohorts[name].predictors) == predictors


def test_codes_become_names_and_types_are_as_declared(declare: Declare, tmp_path: Path) -> None:
    cohort = read_cohort(declare())
    table, flow, _ = ingest(cohort, root=tmp_path)
    assert table["subtype"].tolist() == ["Luminal A", "Luminal B", "Luminal B", "Luminal A"]
    assert table["event"].tolist() == [0, 1, 0, 1]
    assert table["nodes"].isna().tolist() == [False, True, False, False]
    assert table["row"].tolist() == [1, 2, 3, 4]
    assert (flow.rows_read, flow.rows_kept, flow.patients_kept, flow.excluded) == (4, 4, 4, ())
    write_parquet(tmp_path / "t.parquet", table)
    read = read_table(tmp_path / "t.parquet", cohort)
    assert read["grade"].dtype == pd.CategoricalDtype(["I", "II", "III"], ordered=True)
    assert read["size"].tolist() == [10, 20.5, 12, 33]


def test_excel_gives_the_same_table_as_csv(declare: Declare, tmp_path: Path) -> None:
    from_csv, _, _ = ingest(read_cohort(declare()), root=tmp_path)
    with pd.ExcelWriter(tmp_path / "mine.xlsx") as writer:
        pd.read_csv(tmp_path / "mine.csv").to_excel(writer, sheet_name="Data", index=False, startrow=2)
    path = declare(("{csv: mine.csv}", "{excel: mine.xlsx, sheet: Data, header: 3}"))
    from_excel, _, _ = ingest(read_cohort(path), root=tmp_path)
    pd.testing.assert_frame_equal(typed(from_csv, read_cohort(path)), typed(from_excel, read_cohort(path)))


def test_a_csv_without_header_takes_declared_names(declare: Declare, tmp_path: Path) -> None:
    names = "{csv: mine.csv, columns: [id, relapse, size, nodes, grade, mol_subtype]}"
    table, _, _ = ingest(read_cohort(declare(("{csv: mine.csv}", names), csv=ROWS)), root=tmp_path)
    assert table["size"].tolist() == [10, 20.5, 12, 33]


def test_rows_leave_only_by_a_named_reason(declare: Declare, tmp_path: Path) -> None:
    rule = "reference: [size]\nexclusions: [{column: size, above: 30, reason: too large}]"
    cohort = read_cohort(declare(("reference: [size]", rule), csv=HEADER + ROWS + "e,,14,2,I,0\n"))
    table, flow, _ = ingest(cohort, root=tmp_path)
    assert table["patient"].tolist() == ["a", "b", "c"]
    assert [(item.reason, item.rows) for item in flow.excluded] == [
        ("too large", 1),
        ("no outcome recorded (relapse)", 1),
    ]
    assert flow.rows_read - sum(item.rows for item in flow.excluded) == flow.rows_kept


def test_declared_words_for_missing_are_missing(declare: Declare, tmp_path: Path) -> None:
    source = "{csv: mine.csv, missing: [NC]}"
    cohort = read_cohort(declare(("{csv: mine.csv}", source), csv=HEADER + ROWS.replace("c,N,12,3", "c,N,12,NC")))
    assert ingest(cohort, root=tmp_path)[0]["nodes"].isna().sum() == 2


def test_an_unknown_level_is_kept_for_the_gate_to_name(declare: Declare, tmp_path: Path) -> None:
    cohort = read_cohort(declare(csv=HEADER + ROWS.replace("a,N,10,0,I,0", "a,N,ten,0,IV,7")))
    table, _, _ = ingest(cohort, root=tmp_path)
    assert table.loc[0, ["size", "grade", "subtype"]].tolist() == ["ten", "IV", "7"]


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        (None, r"mine\.csv: no such file"),
        ("", r"mine\.csv: the file is empty"),
        (HEADER, r"mine\.csv: no rows of data"),
        ("id,relapse,sizes,nodes,grade,mol_subtype\n" + ROWS, r"(?s)column missing:\n  size \(feature size\) - did you mean sizes\?"),
        (HEADER.replace("id,", "ident,") + ROWS, r"(?s)id \(the patient\)"),
        (HEADER.replace("id,", "") + ROWS, r"some rows have more cells than there are columns"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe\x00\x81", r"mine\.csv: not readable as CSV\. It looks like a picture"),
        (HEADER + "a,N,10,0,I,0\nb,R,1,2,3,4,5,6,7\n", r"some rows have more cells"),
    ],
)  # fmt: skip
def test_a_bad_source_gives_one_clear_message(
    declare: Declare, tmp_path: Path, csv: str | bytes | None, message: str
) -> None:
    cohort = read_cohort(declare(csv=csv))
    with pytest.raises(SourceError, match=message):
        ingest(cohort, root=tmp_path)


def test_a_folder_an_unset_variable_and_a_missing_sheet_are_named(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match="this is a folder"):
        ingest(read_cohort(declare(("csv: mine.csv", "csv: folder"))), root=tmp_path)
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(SourceError, match="NOWHERE is not set"):
        ingest(read_cohort(declare(("csv: mine.csv", 'csv: "${NOWHERE}/mine.csv"'))), root=tmp_path)
    pd.DataFrame({"a": [1]}).to_excel(tmp_path / "mine.xlsx", sheet_name="one", index=False)
    with pytest.raises(SourceError, match=r"no sheet 'Data'\. It has: one"):
        ingest(read_cohort(declare(("{csv: mine.csv}", "{excel: mine.xlsx, sheet: Data}"))), root=tmp_path)
    (tmp_path / "mine.xlsx").write_text("not a workbook")
    with pytest.raises(SourceError, match="not readable as an Excel workbook"):
        ingest(read_cohort(declare(("{csv: mine.csv}", "{excel: mine.xlsx, sheet: Data}"))), root=tmp_path)


def test_a_message_never_holds_a_cell(declare: Declare, tmp_path: Path) -> None:
    marked = HEADER.replace("size,", "") + ROWS.replace("a,N,10", "a,N,SECRET-1")
    with pytest.raises(SourceError) as caught:
        ingest(read_cohort(declare(csv=marked)), root=tmp_path)
    assert "SECRET-1" not in str(caught.value)
