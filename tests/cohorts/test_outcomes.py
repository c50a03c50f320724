"""The outcome comes from the form in which a sheet states it: codes, a day in the event's column, days beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import Ingested, ingest
from relapse.ground.errors import DeclarationError
from relapse.quality.gate import check

Declare = Callable[..., Path]

PLAIN = "endpoint: {kind: binary, event: relapse, values: {N: 0, R: 1}}"
TIMED = "kind: survival, unit: day, horizons: [1 y]"
HEADER = "id,relapse,local,distant,seen,seen2,size,nodes,grade,mol_subtype,parts\n"
REST = "10,1,I,0,I-III\n"


def read(declare: Declare, tmp_path: Path, endpoint: str, rows: list[str]) -> Ingested:
    csv = HEADER + "".join(f"p{place},{row},{REST}" for place, row in enumerate(rows))
    source = ("{csv: mine.csv}", "{csv: mine.csv, missing: [NC, NP]}")
    return ingest(read_cohort(declare((PLAIN, f"endpoint: {{{TIMED}, {endpoint}}}"), source, csv=csv)), root=tmp_path)


def test_a_day_in_the_event_s_column_is_the_event_and_nought_is_none(declare: Declare, tmp_path: Path) -> None:
    rows = ["0,,,700,", "300,,,900,", ",,,800,", "400,,,,", "0,,,,"]
    table, flow, _ = read(declare, tmp_path, "event: relapse, event_form: day, time: seen", rows)
    assert table["event"].tolist() == [0, 1, 1]
    assert table["time"].tolist() == [700, 300, 400]
    assert [(item.reason, item.rows) for item in flow.excluded] == [
        ("no outcome recorded (relapse)", 1),
        ("no outcome recorded (seen)", 1),
    ]


@pytest.mark.parametrize(("day", "rule"), [("-3", "0 for none, or the day of the event"), ("soon", "0 for none")])
def test_a_day_that_is_none_is_named_by_the_gate(declare: Declare, tmp_path: Path, day: str, rule: str) -> None:
    rows = [f"{day},,,700,", "300,,,900,", "0,,,800,"]
    table, _, cohort = read(declare, tmp_path, "event: relapse, event_form: day, time: seen", rows)
    broken = [verdict for verdict in check(table, cohort).verdicts if not verdict.passed and verdict.column == "event"]
    assert [(verdict.rows, rule in verdict.rule) for verdict in broken] == [((1,), True)]


def test_the_earliest_of_several_days_counts_and_the_shorter_follow_up(declare: Declare, tmp_path: Path) -> None:
    rows = [
        "N,NP,NP,700,650",
        "R,300,200,NC,NC",
        "R,NP,500,600,600",
        "R,NP,NP,9,9",
        "N,NP,4,9,9",
        "N,NP,NP,NC,NC",
        "N,,,NC,8",
    ]
    endpoint = "event: relapse, event_time: [local, distant], time: [seen, seen2], values: {N: 0, R: 1}"
    table, flow, _ = read(declare, tmp_path, endpoint, rows)
    assert table["event"].tolist() == [0, 1, 1, 0]
    assert table["time"].tolist() == [650, 200, 500, 8]
    assert [(item.reason, item.rows) for item in flow.excluded] == [
        ("an event without its time (local, distant)", 1),
        ("no event by relapse, and yet a time of it (local, distant)", 1),
        ("no outcome recorded (seen, seen2)", 1),
    ]


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("event: relapse, event_form: day, time: relapse", "time: relapse tells the event already"),
        ("event: relapse, event_form: day, event_time: local, time: seen", "it has no values, no event_time"),
        ("event: relapse, event_form: date, time: seen", "event_form: date needs the date that time begins with"),
        ("event: relapse, event_form: week, time: seen", r"event_form.*'code', 'day' or 'date'"),
    ],
)
def test_a_contradictory_endpoint_is_refused(declare: Declare, endpoint: str, message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        read_cohort(declare((PLAIN, f"endpoint: {{{TIMED}, {endpoint}}}")))


def test_the_highest_of_several_levels_in_a_cell_counts(declare: Declare, tmp_path: Path) -> None:
    csv = "id,relapse,size,nodes,grade,mol_subtype\na,N,1,0,I-III,0\nb,R,2,1,II-I,1\nc,R,2,1,I-V,1\n"
    cohort = read_cohort(declare(("levels: [I, II, III]}", 'levels: [I, II, III], joined: "-"}'), csv=csv))
    assert ingest(cohort, root=tmp_path)[0]["grade"].tolist() == ["III", "II", "I-V"]
    with pytest.raises(DeclarationError, match="joined: the highest of several levels counts, so the type is ordinal"):
        read_cohort(declare(("column: mol_subtype", 'column: mol_subtype, joined: "-"')))


def test_several_columns_may_tell_the_rows_of_a_patient_apart(declare: Declare, tmp_path: Path) -> None:
    cohort = read_cohort(declare(("patient: id", "patient: id\nview: [grade, nodes]")))
    assert ingest(cohort, root=tmp_path)[0]["view"].tolist()[0] == "I 0"
