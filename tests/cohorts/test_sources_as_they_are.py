"""Dates in the place of durations, numbers in another unit, SPSS and Stata: declared, read, and refused in clear words."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.cohorts.dates import order_of, read_dates
from relapse.cohorts.declared.units import factor
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest
from relapse.ground.errors import DeclarationError, SourceError

DATED: dict[str, Any] = {
    "name": "fjord",
    "title": "Invented",
    "source": {"csv": "fjord.csv"},
    "licence": "none",
    "citation": "none",
    "endpoint": {
        "kind": "survival",
        "event": "relapse",
        "from": "diagnosis",
        "to": "seen",
        "unit": "month",
        "horizons": ["2 y"],
    },
    "features": {
        "age": {"type": "continuous", "from": "born", "to": "diagnosis", "unit": "years", "range": [18, 100]},
        "size": {"type": "continuous", "column": "size_cm", "recorded": "cm", "unit": "mm", "range": [1, 150]},
    },
    "reference": ["size"],
}

ROWS = """born,diagnosis,seen,relapse_on,relapse,size_cm
1950-01-01,2010-01-01,2012-01-01,2011-01-01,1,1.1
1960-06-15,2010-02-01,2015-02-01,,0,2
1970-03-03,2011-05-05,2016-05-05,,0,0.35
"""


def _read(content: dict[str, Any], folder: Path, rows: str = ROWS) -> pd.DataFrame:
    (folder / "fjord.csv").write_text(rows)
    return ingest(Cohort.model_validate(content), root=folder).table


def _with(**changes: Any) -> dict[str, Any]:
    return DATED | changes


def test_the_time_between_two_dates_is_told_in_the_declared_unit(tmp_path: Path) -> None:
    table = _read(DATED, tmp_path)
    assert table["time"].tolist() == pytest.approx([730 / (365.25 / 12), 1826 / (365.25 / 12), 1827 / (365.25 / 12)])
    assert table["age"].tolist() == pytest.approx([21915 / 365.25, 18128 / 365.25, 15038 / 365.25])


def test_a_number_in_another_unit_is_converted_and_nothing_is_added(tmp_path: Path) -> None:
    assert _read(DATED, tmp_path)["size"].tolist() == [11.0, 20.0, 3.5]


def test_the_date_of_the_event_tells_it_and_the_earliest_end_counts(tmp_path: Path) -> None:
    endpoint = DATED["endpoint"] | {"event": "relapse_on", "event_form": "date", "unit": "day"}
    table = _read(_with(endpoint=endpoint), tmp_path)
    assert table["event"].tolist() == [1, 0, 0]
    assert table["time"].tolist() == [365, 1826, 1827]


def test_a_row_without_its_first_date_leaves_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "fjord.csv").write_text(ROWS.replace("2010-02-01", ""))
    content = _with(features={"size": DATED["features"]["size"]})
    flow = ingest(Cohort.model_validate(content), root=tmp_path).flow
    assert [(item.reason, item.rows) for item in flow.excluded if item.rows] == [
        ("no date that time begins with (diagnosis)", 1)
    ]


def test_dates_of_another_order_are_refused_with_the_line_that_mends_it(tmp_path: Path) -> None:
    rows = ROWS.replace("2012-01-01", "31.12.2012")
    with pytest.raises(
        SourceError,
        match=r"column seen: 1 filled cells are no date in the order ymd .*number 1\)\. Declare `dates: dmy`",
    ):
        _read(DATED, tmp_path, rows)
    assert len(_read(_with(source={"csv": "fjord.csv", "dates": "dmy"}), tmp_path, rows)) == 3


def test_years_of_two_digits_are_refused_and_no_cell_is_repeated(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="leaves the century open") as raised:
        _read(DATED, tmp_path, ROWS.replace("2012-01-01", "31.12.47"))
    assert "47" not in str(raised.value)


@pytest.mark.parametrize(
    ("order", "cells"),
    [
        ("ymd", ["2024-05-31", "2024/5/31", "2024-05-31T10:11:12", "2024-05-31 10:11"]),
        ("dmy", ["31.05.2024", "31-5-2024", "31 May 2024", "31-MAY-2024", "2024-05-31"]),
        ("mdy", ["05/31/2024", "May 31, 2024", "2024-05-31"]),
    ],
)
def test_dates_are_read_as_people_write_them(order: str, cells: list[str]) -> None:
    assert (read_dates(pd.Series(cells), order=order) == pd.Timestamp("2024-05-31")).all()


def test_days_that_are_none_are_no_dates() -> None:
    assert read_dates(pd.Series(["30.02.2024", "2024-13-01", "soon"]), order="dmy").isna().all()
    assert order_of(pd.Series(["K1001", "K1002"])) == []
    assert order_of(pd.Series(["01.02.2024", "03.04.2024"])) == ["dmy", "mdy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"endpoint": {**DATED["endpoint"], "time": "seen"}}, "to: goes with from"),
        ({"endpoint": {key: item for key, item in DATED["endpoint"].items() if key != "from"}}, "to: goes with from"),
        ({"endpoint": {**DATED["endpoint"], "from": "seen"}}, "from: seen is where time begins"),
        (
            {
                "endpoint": {
                    "kind": "survival",
                    "event": "relapse_on",
                    "event_form": "date",
                    "time": "x",
                    "unit": "day",
                    "horizons": ["2 y"],
                }
            },
            "event_form: date needs the date",
        ),
        ({"features": {"size": {**DATED["features"]["size"], "recorded": "kg"}}}, "'kg' cannot be converted to 'mm'"),
        ({"features": {"size": {**DATED["features"]["size"], "from": "born"}}}, "give both"),
        (
            {
                "features": {
                    "size": {"type": "continuous", "from": "born", "to": "diagnosis", "unit": "mm", "range": [0, 1]}
                }
            },
            "say the unit of the time between",
        ),
        (
            {
                "features": {
                    "size": {"type": "continuous", "from": "born", "to": "seen", "unit": "years", "range": [0, 1]}
                }
            },
            "belongs to the endpoint",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cohort.model_validate(_with(**change))


def test_a_resolved_declaration_with_dates_and_units_reads_as_itself(tmp_path: Path) -> None:
    cohort = Cohort.model_validate(DATED)
    (tmp_path / "fjord.yaml").write_text(to_yaml(cohort))
    assert read_cohort(tmp_path / "fjord.yaml") == cohort


def test_an_answer_that_is_still_to_be_given_is_named(tmp_path: Path) -> None:
    text = to_yaml(Cohort.model_validate(DATED)).replace("unit: month", "unit: TODO").replace("[size]", "[TODO]")
    (tmp_path / "fjord.yaml").write_text(text)
    with pytest.raises(DeclarationError, match=r"endpoint\.unit: still TODO\.\n.*reference: still TODO\.\nThe comment"):
        read_cohort(tmp_path / "fjord.yaml")


@pytest.mark.parametrize(
    ("recorded", "wanted", "times"),
    [("cm", "mm", 10), ("mm", "cm", 0.1), ("months", "years", 1 / 12), ("%", "fraction", 0.01)],
)
def test_units_of_one_kind_convert(recorded: str, wanted: str, times: float) -> None:
    assert factor(recorded, wanted) == pytest.approx(times)


@pytest.fixture
def people() -> pd.DataFrame:
    """Drawn: a coded column, a number with a code for missing, dates and text."""
    return pd.DataFrame(
        {
            "grade": [1.0, 2.0, 2.0, np.nan],
            "nodes": [0.0, 3.0, 999.0, 1.0],
            "on": pd.to_datetime(["2020-01-01", None, "2021-05-05", "2022-02-02"]),
            "er": ["pos", "neg", "", "pos"],
        }
    )


LABELS = {"grade": {1.0: "low", 2.0: "high"}, "nodes": {999.0: "unknown"}}


@pytest.mark.parametrize("kind", ["spss", "stata"])
def test_spss_and_stata_files_give_labels_numbers_and_dates(kind: str, people: pd.DataFrame, tmp_path: Path) -> None:
    import pyreadstat

    if kind == "spss":
        pyreadstat.write_sav(people, str(tmp_path / "fjord.sav"), variable_value_labels=LABELS)
    else:
        stata = {name: {int(code): word for code, word in words.items()} for name, words in LABELS.items()}
        people.to_stata(tmp_path / "fjord.dta", write_index=False, value_labels=stata, convert_dates={"on": "td"})
    source = {kind: "fjord.sav" if kind == "spss" else "fjord.dta", "missing": [{"nodes": 999}]}
    content = _with(
        source=source,
        endpoint={"kind": "binary", "event": "er", "values": {"neg": 0, "pos": 1}},
        features={
            "grade": {"type": "ordinal", "levels": ["low", "high"], "max_missing": 0.5},
            "nodes": {"type": "count", "range": [0, 50], "max_missing": 0.5},
        },
        reference=["nodes"],
    )
    table = ingest(Cohort.model_validate(content), root=tmp_path).table
    assert table["event"].tolist() == [1, 0, 1]
    assert table["grade"].iloc[:2].tolist() == ["low", "high"]
    assert table["grade"].iloc[2:].isna().all()
    assert table["nodes"].tolist() == [0, 3, 1]


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fjord.sav").write_text("a,b\n1,2\n")
    with pytest.raises(
        SourceError, match=r"fjord.sav: not readable as a file of SPSS .* It looks like text: declare `\{csv"
    ):
        ingest(Cohort.model_validate(_with(source={"spss": "fjord.sav"})), root=tmp_path)


def test_the_examples_of_the_page_can_be_declared(root: Path) -> None:
    page = (root / "docs" / "declaring.md").read_text(encoding="utf-8")
    part = page.split("## Sources as they are")[1].split("\n## ")[0]
    yaml = YAML(typ="safe", pure=True)
    examples = [
        yaml.load(text.removeprefix("source: ")) for text in re.findall(r"`((?:\w+: )?\{.*?\})`(?=[ ,:;|])", part)
    ]
    sources = [item for item in examples if {"csv", "excel", "parquet", "spss", "stata", "sql"} & item.keys()]
    features = [item for item in examples if item not in sources]
    assert (len(sources), len(features)) == (11, 3)
    for source in sources:
        Cohort.model_validate(_with(source=source))
    for place, item in enumerate(features):
        (feature,) = item.values()
        Cohort.model_validate(
            _with(features={**DATED["features"], f"more_{place}": feature}, endpoint=DATED["endpoint"])
        )
    outcomes = [text for text in re.findall(r"`(\{kind: [^`]*\})`", page) if "…" not in text]
    assert any("from: diagnosis" in text for text in outcomes)
    for text in outcomes:
        Cohort.model_validate(_with(endpoint=yaml.load(text), features={"size": DATED["features"]["size"]}))
