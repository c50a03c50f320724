"""What broke a rule is told by its pattern and with the line that mends it, never by a patient's value."""

import re

import pandas as pd
import pytest

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.declared.source import CsvSource, ExcelSource, PackageSource
from relapse.cohorts.diagnosis import columns

CSV = CsvSource(csv="t.csv")
GRADE = Categorical(type="ordinal", levels=["I", "II", "III"])


def _among(*cells: str, good: str = "17.3") -> pd.Series:
    """Cells in the midst of good ones, so that they are neither the first nor the last."""
    return pd.Series([good] * 10 + list(cells) + [good] * 10, dtype="str")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["12,5", "3,75"], '2 cells have a decimal comma: declare `decimal: ","`'),
        (["1.234,5"], '`decimal: ","` and `thousands: "."`'),
        (["1,234.5"], '`thousands: ","`'),
        (["1,234", "12,500"], '`decimal: ","` if it is a decimal comma, `thousands: ","` if it parts thousands'),
        (["1 234"], '`thousands: " "`'),
        (["1’234"], "`thousands: \"'\"`"),
        (["#N/A", "#DIV/0!"], '2 cells are an error value of Excel (#DIV/0!, #N/A): mend the formula, or if they mean that, declare `missing: ["#DIV/0!", "#N/A"]`'),
        (["unknown", "Unknown"], "`missing: [Unknown, unknown]`"),
        (["."], '`missing: ["."]`'),
        (["?", "-"], '`missing: ["-", "?"]`'),
        (["<5", "> 100", "≤3"], "3 cells begin with < or >"),
        (["12 %", "3%"], '`unit: "%"`'),
        (["12 mm", "13mm"], "2 cells have a unit behind the number (mm): take it out of the cells; it is declared, `unit: mm`"),
        (["12 furlongs"], "1 cell has a unit behind the number: take"),
        (["2024-05-03", "3.5.2024", "05/03/24"], "3 cells are dates: a number is expected"),
        (["yes", "no"], "`type: nominal, levels: [no, yes]`"),
        (["large"], "1 cell holds other text"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_number_is_told_by_its_pattern(cells: list[str], message: str) -> None:
    assert message in columns.number(_among(*cells), column="size", source=CSV)


@pytest.mark.parametrize(
    "cell", ["41,73", "41 731", "<41.73", "41.73 mm", "41.73%", "2041-07-30", "Fortyone", "4.173,1"]
)
def test_no_value_is_repeated(cell: str) -> None:
    for source in (CSV, ExcelSource(excel="t.xlsx", sheet="s"), CsvSource(csv="t.csv", decimal=",")):
        said = columns.number(_among(cell), column="size", source=source)
        assert said
        assert cell not in said
        assert "17" not in said


def test_several_patterns_are_told_each_with_its_count() -> None:
    said = columns.number(_among("<5", "<6", "?", "3 cm"), column="size", source=CSV)
    assert "2 cells begin with <" in said
    assert "1 cell is a usual word for a missing value" in said
    assert "unit: cm" in said


def test_a_date_in_excel_is_told_as_excel_s_own_doing() -> None:
    said = columns.number(_among("2024-05-03"), column="size", source=ExcelSource(excel="t.xlsx", sheet="s"))
    assert "makes a day of 3.5" in said


def test_a_further_header_line_and_a_note_below_are_recognised_by_their_place() -> None:
    rows = ["12"] * 10
    top = columns.number(pd.Series(["in mm", *rows], dtype="str"), column="size", source=CSV)
    assert "declare `data: 3`" in top
    assert "`header: [1, 2]`" in top
    assert "`footer: 1`" in columns.number(pd.Series([*rows, "mean"], dtype="str"), column="size", source=CSV)


def test_a_column_without_any_number_asks_whether_it_is_the_one_meant() -> None:
    assert "is this the column meant" in columns.number(
        pd.Series(["left", "right"] * 9, dtype="str"), column="size", source=CSV
    )


def test_a_point_under_a_declared_comma_is_told() -> None:
    said = columns.number(_among("1.5", good="17,3"), column="size", source=CsvSource(csv="t.csv", decimal=","))
    assert '1 cell has a decimal point, though `decimal: ","` is declared' in said


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([999.0, 999.0], "All of them are 999, as missing values are often coded.*`missing: [NC, {size: [999]}]`"),
        ([-9.0, -1.0], "`missing: [NC, {size: [-9, -1]}]`"),
        ([999.0, 431.0], None),
        ([431.0], None),
    ],
)
def test_a_code_for_missing_is_told_where_all_that_is_out_of_range_is_one(
    values: list[float], message: str | None
) -> None:
    said = columns.code(pd.Series(values), column="size", source=CsvSource(csv="t.csv", missing=["NC"]))
    assert said == "" if message is None else all(part in said for part in message.split(".*"))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["i i", "II ", "iii"], "`levels: {I: I, II: II, III: III, i i: II, iii: III}`"),
        (["unknown"], "`missing: [unknown]`"),
        (["9"], "`missing: [{grade: [9]}]`"),
        (["#NAME?"], "error value of Excel (#NAME?)"),
        (["gemÃ¤ÃŸigt"], "wrong encoding"),
        (["IV"], ""),
    ],
)
def test_a_cell_that_is_no_level_is_told_by_its_pattern(cells: list[str], message: str) -> None:
    said = columns.level(_among(*cells, good="II"), GRADE, column="grade", source=CSV)
    assert message in said
    assert bool(said) == bool(message)


def test_codes_in_place_of_levels_are_told_with_a_mapping() -> None:
    said = columns.level(pd.Series(["1", "2", "3"] * 5, dtype="str"), GRADE, column="grade", source=CSV)
    assert "`levels: {1: I, 2: II, 3: III}`" in said


@pytest.mark.parametrize(
    ("found", "codes", "message"),
    [
        (["no", "yes"], {"0": 0, "1": 1}, "`values: {no: 0, yes: 1}`"),
        (["TRUE", "FALSE"], {"0": 0, "1": 1}, '`values: {"FALSE": 0, "TRUE": 1}`'),
        (["1", "2"], {"0": 0, "1": 1}, "`values: {1: 0, 2: 1}` under endpoint, if 2 is the event"),
        (["0", "1", "9"], {"0": 0, "1": 1}, "`missing: [{status: [9]}]`"),
        (["0", "1", "?"], {"0": 0, "1": 1}, '`missing: ["?"]`'),
        (["no", "yes"], {"none": 0, "relapse": 1}, "`values: {no: 0, yes: 1}`"),
        (["0", "Yes"], {"no": 0, "yes": 1}, "`values: {no: 0, yes: 1, Yes: 1}`"),
        (["Xa", "Xb"], {"none": 0, "relapse": 1}, "None of the declared codes is in the column, which has 2 others"),
        (["relapse"], {"0": 0, "1": 1}, "All rows read relapse, one side of an outcome"),
    ],
)
def test_codes_of_an_outcome_are_named_only_where_all_are_well_known(
    found: list[str], codes: dict[str, int], message: str
) -> None:
    said = columns.outcome(pd.Series(found * 6, dtype="str"), codes, column="status", source=CSV)
    assert message in said
    assert not re.search("Xa|Xb", said)


def test_an_outcome_that_never_comes_is_told_with_its_codes() -> None:
    said = columns.one_sided(pd.Series([0.0] * 5), {"no": 0, "yes": 1})
    assert "No row has a code for 1 (declared: yes)" in said


def test_a_source_without_keys_is_not_told_to_declare_some() -> None:
    said = columns.number(_among("?"), column="size", source=PackageSource(package="lifelines", dataset="gbsg2"))
    assert "declare" not in said
