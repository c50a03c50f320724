"""Several sources become one table by patient; who has no match is counted, and what is not plain is refused."""

from pathlib import Path

import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.cohorts.table import Ingested, ingest, typed
from relapse.ground.errors import DeclarationError, SourceError
from relapse.quality.gate import check

DECLARATION = """
name: trial
title: A small trial
sources:
  visits: {csv: visits.csv, separator: ";", decimal: ",", key: Pat}
  scans: {excel: scans.xlsx, sheet: Scans, key: Nr, missing: [NC]}
  blood: {parquet: blood.parquet, key: Pat, prefix: lab_, unmatched: keep}
licence: none
citation: none
site: centre
endpoint: {kind: binary, event: back, values: {N: 0, R: 1}}
features:
  age: {type: continuous, range: [18, 100]}
  volume: {type: continuous, range: [0, 9], max_missing: 0.5}
  marker: {type: continuous, column: lab_age, range: [0, 9], max_missing: 0.5}
reference: [age]
"""
VISITS = "Pat;centre;age;back;note\n1;A;40,5;N;x\n2;A;50;R;x\n3;B;60;N;x\n4;B;61;R;x\n5;B;62;R;x\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A declaration with its three sources."""
    (tmp_path / "trial.yaml").write_text(DECLARATION)
    (tmp_path / "visits.csv").write_text(VISITS)
    scans = pd.DataFrame(
        {"Nr": [1, 3, 2, 4, 8], "volume": [1.5, "NC", 2.5, 3.0, 1], "T 1": [1, 2, 3, 4, 5], "T2": [0.5] * 5}
    )
    scans.to_excel(tmp_path / "scans.xlsx", sheet_name="Scans", index=False)
    pd.DataFrame({"Pat": [4.0, 2.0, 1.0], "age": [0.4, 0.2, 0.1]}).to_parquet(tmp_path / "blood.parquet")
    return tmp_path


def take_in(folder: Path, *replacements: tuple[str, str]) -> Ingested:
    text = (folder / "trial.yaml").read_text()
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    (folder / "trial.yaml").write_text(text)
    return ingest(read_cohort(folder / "trial.yaml"), root=folder)


def test_sources_of_three_kinds_are_joined_by_patient_each_with_its_own_signs_and_words(folder: Path) -> None:
    table, flow, cohort = take_in(folder)
    assert table["patient"].tolist() == ["1", "2", "3", "4"]
    assert table["age"].tolist() == [40.5, 50, 60, 61]
    pd.testing.assert_series_equal(table["volume"], pd.Series([1.5, 2.5, float("nan"), 3]), check_names=False)
    pd.testing.assert_series_equal(table["marker"], pd.Series([0.1, 0.2, float("nan"), 0.4]), check_names=False)
    assert [(item.source, item.matched, item.without, item.not_ours) for item in flow.joined] == [
        ("scans", 4, 1, 1),
        ("blood", 3, 2, 0),
    ]
    assert [(item.reason, item.rows) for item in flow.excluded] == [("not in scans (scans.xlsx [Scans])", 1)]
    assert flow.rows_read - 1 == flow.rows_kept == 4
    assert [flow.fingerprint.count(name) for name in ("visits: sha256:", "scans: sha256:", "blood: sha256:")] == [
        1,
        1,
        1,
    ]
    assert cohort.source_of("volume").decimal == "."
    assert cohort.source_of("age").decimal == ","
    assert check(table, cohort).verdicts


def test_a_resolved_cohort_reads_back_as_it_was_written(folder: Path) -> None:
    wide = (
        "reference:",
        '  "T*": {type: continuous, source: scans, range: {quantiles: [0, 1], margin: 0.5}}\nreference:',
    )
    table, _, cohort = take_in(folder, wide)
    (folder / "cohort.yaml").write_text(to_yaml(cohort))
    assert read_cohort(folder / "cohort.yaml") == cohort
    assert typed(table, cohort)["T_1"].tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key: Nr", "key: Nummer", r"sources: scans \(scans\.xlsx \[Scans\]\) has no column 'Nummer', its key\..*Nr, volume"),
        ("key: Nr", "key: T2", r"its key 'T2' is not unique: 5 rows share a patient with another row, data row 1, 2"),
        ("key: Nr", 'key: volume', r"no patient of visits stands in scans.*'Pat' and 'volume', have no value in common"),
        ("prefix: lab_, ", "", r"column age stands in two sources, visits and blood.*`prefix:`"),
        ("event: back", "event: T2", r"column T2 \(the endpoint's event\) stands in scans, which is joined; the first"),
        ("column: lab_age", "column: lab_Age", r"lab_Age \(feature marker\) - did you mean lab_age"),
    ],
)  # fmt: skip
def test_sources_that_do_not_fit_are_refused_in_one_message(folder: Path, old: str, new: str, message: str) -> None:
    if new == "key: volume":
        pd.DataFrame({"Nr": [1, 2], "volume": ["p", "q"]}).to_excel(
            folder / "scans.xlsx", sheet_name="Scans", index=False
        )
    with pytest.raises(SourceError, match=f"(?s){message}"):
        take_in(folder, (old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence: none", "licence: none\nsource: {csv: a.csv}", "under source, or several under sources: exactly one"),
        ("licence: none", "licence: none\npatient: age", "the first one's key is 'Pat'"),
        ("key: Pat}", "key: Pat, prefix: x}", "the first of the sources holds the patients"),
        ("unmatched: keep", "unmatched: drop", r"sources\.blood\.unmatched.*'keep' or 'exclude'"),
        ("[18, 100]}", "[18, 100], source: mri}", r"feature 'age': source 'mri' is not declared. There are: visits, scans, blood"),
        ("range: [0, 9], max_missing: 0.5}\nreference", "source: visits, range: [0, 9]}\nreference", r"trial\.yaml: features\.marker: source: its column stands in blood, not in visits"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_of_sources_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        take_in(folder, (old, new))


def test_an_unset_variable_says_where_the_file_is_had(folder: Path) -> None:
    with pytest.raises(
        SourceError, match=r"RELAPSE_NOWHERE is not set\. Set it to the file\. To be had from: the trial's office\."
    ):
        take_in(folder, ("excel: scans.xlsx", 'excel: "${RELAPSE_NOWHERE}", obtain: the trial\'s office'))


def test_a_site_with_one_patient_is_told_by_its_column_and_count(folder: Path) -> None:
    (folder / "visits.csv").write_text(VISITS.replace("1;A", "1;Z"))
    table, _, cohort = take_in(folder)
    (found,) = (finding for finding in check(table, cohort).findings if finding.code == "R006")
    assert found.column == "site: centre"
    assert "2 sites have one patient, of 3 in all" in found.message
