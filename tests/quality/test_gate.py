"""The gate lets a good table through and names column, rule, number and first rows of each violation."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.declared.source import CsvSource
from relapse.cohorts.numbers import read_numbers
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import GateError
from relapse.quality.gate import check


@pytest.fixture
def raw(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """WPBC-like numbers and GBSG's levels as ingest leaves them: plain columns."""
    return tables["gbsg"].astype({"menostat": "str", "tgrade": "str", "horTh": "str"})


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_declared_cohorts_pass(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str) -> None:
    result = check(tables[name], cohorts[name])
    assert result.passed
    assert not [finding for finding in result.findings if finding.severity == "error"]


def _outside(table: pd.DataFrame) -> None:
    table.loc[[4, 9], "tsize"] = 999


def _unknown_level(table: pd.DataFrame) -> None:
    table.loc[6, "tgrade"] = "IV"


def _text(table: pd.DataFrame) -> None:
    table["age"] = table["age"].astype("str")
    table.loc[2, "age"] = "forty"


def _fraction(table: pd.DataFrame) -> None:
    table.loc[0, "pnodes"] = 1.5


def _missing(table: pd.DataFrame) -> None:
    table.loc[range(10), "estrec"] = np.nan


def _negative_time(table: pd.DataFrame) -> None:
    table.loc[3, "time"] = -1


def _other_event(table: pd.DataFrame) -> None:
    table.loc[3, "event"] = 2


def _no_events(table: pd.DataFrame) -> None:
    table["event"] = 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_outside, r"D008 tsize: expected between 1 and 200 mm; 2 rows break this: data row 5, 10\."),
        (_unknown_level, r"D006 tgrade: expected one of the levels I, II, III; 1 row breaks this: data row 7\."),
        (_text, r"D007 age: expected a number; 1 row breaks this: data row 3\."),
        (_fraction, r"D009 pnodes: expected a whole number; 1 row breaks this: data row 1\."),
        (_missing, r"D005 estrec: expected no missing values; 10 rows break this: data row 1, 2, 3, 4, 5, …\."),
        (_negative_time, r"D012 time: expected more than 0 days; 1 row breaks this: data row 4\."),
        (_other_event, r"D011 event: expected one of 0=0, 1=1; 1 row breaks this: data row 4\."),
        (_no_events, r"D010 event: expected rows with and without the event"),
    ],
)
def test_a_violation_names_column_rule_number_and_rows(
    cohorts: dict[str, Cohort], raw: pd.DataFrame, spoil: Callable[[pd.DataFrame], None], message: str
) -> None:
    spoil(raw)
    result = check(raw, cohorts["gbsg"])
    assert not result.passed
    with pytest.raises(GateError, match=message):
        result.require(source="the table")


@pytest.mark.parametrize(
    ("column", "code", "message"),
    [
        ("row", "D001", "expected each row once; 2 rows break this: data row 1"),
        ("patient", "D002", "expected every row names its patient; 1 row breaks this: data row 2"),
        ("site", "D003", "expected every row names its site; 1 row breaks this: data row 2"),
        ("view", "D004", "expected every row names its view; 1 row breaks this: data row 2"),
    ],
)
def test_a_row_that_does_not_say_what_it_is_names_the_rule(
    cohorts: dict[str, Cohort], raw: pd.DataFrame, column: str, code: str, message: str
) -> None:
    cohort = cohorts["gbsg"].model_copy(update={"patient": "pid", "site": "hospital", "view": ("side",)})
    raw = raw.assign(site="north", view="left", patient=raw["patient"].astype("object"))
    raw.loc[1, column] = 1 if column == "row" else None
    (broken,) = [verdict for verdict in check(raw, cohort).verdicts if not verdict.passed]
    assert str(broken).startswith(f"{code} {column}: {message}")


def test_a_violation_says_what_it_looks_like_and_the_line_that_mends_it(
    cohorts: dict[str, Cohort], raw: pd.DataFrame
) -> None:
    # As if the trial's own data came from a file.
    cohort = cohorts["gbsg"].model_copy(update={"source": CsvSource(csv="gbsg.csv")})
    raw["age"] = raw["age"].map("{:.1f}".format).str.replace(".", ",")
    raw["time"] = raw["time"].astype("str").where(raw["time"] > 100, "unknown")
    raw.loc[[4, 9], "tsize"] = 999
    raw["tgrade"] = raw["tgrade"].str.lower()
    raw["event"] = raw["event"].map({0: "no", 1: "yes"})
    said = {item.column: item.hint for item in check(raw, cohort).verdicts if not item.passed}
    assert said["age"] == '686 cells have a decimal comma: declare `decimal: ","` under source.'
    assert "`missing: [unknown]` under source" in said["time"]
    assert "`missing: [{tsize: [999]}]` under source" in said["tsize"]
    assert "`levels: {I: I, II: II, III: III, i: I, ii: II, iii: III}`" in said["tgrade"]
    assert "`values: {no: 0, yes: 1}` under endpoint" in said["event"]


def test_reader_and_gate_agree_on_what_a_number_is(cohorts: dict[str, Cohort], raw: pd.DataFrame) -> None:
    source = CsvSource(csv="gbsg.csv", decimal=",")
    cohort = cohorts["gbsg"].model_copy(update={"source": source})
    raw["age"] = raw["age"].map("{:.1f}".format).str.replace(".", ",")
    assert read_numbers(raw["age"], source).dtype == float
    # One point among commas: left as text by the reader, and so a broken rule, never a table that cannot be typed.
    raw.loc[3, "age"] = "1.234"
    raw["age"] = read_numbers(raw["age"], source)
    with pytest.raises(
        GateError, match=r"age: expected a number; 1 row breaks this: data row 4\. 1 cell has a decimal"
    ):
        check(raw, cohort).require(source="the table")


def test_the_message_does_not_repeat_a_patient_s_value(cohorts: dict[str, Cohort], raw: pd.DataFrame) -> None:
    raw.loc[6, "tgrade"] = "MARKED"
    raw.loc[4, "tsize"] = 987654
    with pytest.raises(GateError) as caught:
        check(raw, cohorts["gbsg"]).require(source="the table")
    assert "MARKED" not in str(caught.value)
    assert "987654" not in str(caught.value)


def test_data_docs_load_nothing_from_outside(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    check(tables["gbsg"], cohorts["gbsg"], docs=tmp_path / "docs")
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert (tmp_path / "docs" / "index.html") in pages
    for page in pages:
        text = page.read_text(encoding="utf-8").lower()
        for tag in ('<script src="http', '<link rel="stylesheet" href="http', '<img src="http', "//cdn"):
            assert tag not in text, f"{page.name} loads from outside"
