"""The command line: tables made elsewhere are evaluated; bad ones get one clear message and a status."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from relapse.commands.cohort import check
from relapse.evaluation.foreign import check_foreign, infer_endpoint, read_foreign
from relapse.ground.errors import GateError, PredictionsError
from tests.evaluation.test_evidence import table, timed

REFERENCE = Path(__file__).parents[1] / "reference"


def _relapse(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from relapse.commands.app import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., list[Path]]:
    """Write tables as CSV (or parquet) and give their paths."""

    def write(**tables: pd.DataFrame) -> list[Path]:
        paths = []
        for name, frame in tables.items():
            path = tmp_path / f"{name}.csv"
            frame.to_csv(path, index=False)
            paths.append(path)
        return paths

    return write


@pytest.mark.slow
def test_evaluate_prints_tables_and_writes_evidence_frames_and_figures(
    written: Callable[..., list[Path]], tmp_path: Path
) -> None:
    paths = written(mine=timed(noise=0.5), theirs=timed(noise=2.0, seed=4))
    done = _relapse(
        "evaluate", *map(str, paths), "--unit", "year", "--resamples", "200", "--out", str(tmp_path / "out")
    )
    assert done.returncode == 0, done.stderr
    for text in ("Harrell's C", "AUC at 3 y", "Calibration", "p, Holm", "mine - theirs", "large"):
        assert text in done.stdout
    evidence = json.loads((tmp_path / "out" / "evidence.json").read_text())
    assert [item["name"] for item in evidence["candidates"]] == ["mine", "theirs"]
    assert (tmp_path / "out" / "plots" / "calibration_5y" / "mine.csv").is_file()
    assert (tmp_path / "out" / "figures" / "ranking.svg").is_file()


@pytest.mark.slow
def test_evaluate_warns_of_a_score_that_points_the_wrong_way(
    written: Callable[..., list[Path]], tmp_path: Path
) -> None:
    sound = timed(noise=0.5)
    (path,) = written(mine=sound.assign(score=1 - sound["risk_5y"]))
    done = _relapse("evaluate", str(path), "--unit", "year", "--resamples", "200", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "warning S001 mine.score: ranks rows against the outcome" in said
    assert "Higher has to mean more likely to relapse" in said
    codes = [item["code"] for item in json.loads((tmp_path / "out" / "evidence.json").read_text())["findings"]]
    assert codes == ["S001", "S002"]


@pytest.mark.slow
def test_evaluate_says_that_time_is_in_another_unit_and_still_draws(
    written: Callable[..., list[Path]], tmp_path: Path
) -> None:
    done = _relapse("evaluate", *map(str, written(mine=timed())), "--resamples", "100", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "warning S005 time: no row is followed up to 3 y (1095" in " ".join(done.stdout.split())
    assert (tmp_path / "out" / "figures" / "decision_curve_3y.svg").is_file()


@pytest.mark.slow
def test_a_bad_table_ends_with_status_2_and_no_traceback(written: Callable[..., list[Path]]) -> None:
    (path,) = written(mine=table().drop(columns="event"))
    done = _relapse("evaluate", str(path))
    assert done.returncode == 2
    assert done.stderr == "error: mine: column missing: event. " + done.stderr.split("event. ", 1)[1]
    assert "Traceback" not in done.stderr


def test_a_score_and_an_event_are_enough(written: Callable[..., list[Path]]) -> None:
    tables = read_foreign(written(a=table()[["event", "score"]]))
    endpoint = infer_endpoint(tables, unit="day")
    check_foreign(tables, endpoint)
    assert [metric.key for metric in endpoint.metrics] == ["auc", "average_precision"]


def test_horizons_are_read_from_the_columns_in_the_unit_of_time(written: Callable[..., list[Path]]) -> None:
    endpoint = infer_endpoint(read_foreign(written(a=timed())), unit="month")
    assert [(item.column, item.time, item.label) for item in endpoint.horizons] == [
        ("risk_3y", 36, "3 y"),
        ("risk_5y", 60, "5 y"),
    ]


def test_values_made_with_r_can_be_evaluated(tmp_path: Path) -> None:
    source = pd.read_csv(REFERENCE / "surv_gbsg.csv")
    for number in (1, 2):
        frame = source[["time", "event"]].assign(score=source[f"s{number}"])
        frame.to_csv(tmp_path / f"s{number}.csv", index=False)
    tables = read_foreign([tmp_path / "s1.csv", tmp_path / "s2.csv"])
    endpoint = infer_endpoint(tables, unit="day")
    check_foreign(tables, endpoint)
    from relapse.evaluation.evidence import gather

    evidence = gather(tables, endpoint, cohort="x", resamples=100, seed=0)
    expected = next(
        case for case in json.loads((REFERENCE / "expected.json").read_text())["cases"] if case["id"] == "cindex_gbsg"
    )["expected"]["compareC"]
    assert evidence.candidate("s1").metrics["harrell_c"].value == pytest.approx(expected["c1"], rel=1e-10)
    assert evidence.paired("s1", "s2").test.p == pytest.approx(expected["p"], rel=1e-8)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.assign(risk=t["risk"] + 1), r"a: risk is outside \[0, 1\]"),
        (lambda t: t.assign(score=1.0), "a: score is the same in all 300 rows"),
        (lambda t: t.assign(event=0), "a: all rows have the same outcome"),
        (lambda t: t.assign(event="relapse"), "event: expected numbers, found text"),
        (lambda t: t.assign(time=-1.0), r"a: time is outside \[0, inf\]"),
        (lambda t: t.drop(columns=["score", "risk"]), "a: column missing: score"),
        (lambda t: t.iloc[:0], "no rows"),
    ],
)
def test_a_bad_table_is_named_with_what_is_wrong(
    written: Callable[..., list[Path]], spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    paths = written(a=spoil(table()))

    def read_and_check() -> None:
        tables = read_foreign(paths)
        check_foreign(tables, infer_endpoint(tables, unit="day"))

    with pytest.raises(PredictionsError, match=message):
        read_and_check()


def test_absent_files_folders_binaries_and_mixed_kinds_are_refused(
    written: Callable[..., list[Path]], tmp_path: Path
) -> None:
    with pytest.raises(PredictionsError, match="no such file"):
        read_foreign([tmp_path / "absent.csv"])
    with pytest.raises(PredictionsError, match="this is a folder"):
        read_foreign([tmp_path])
    (tmp_path / "x.parquet").write_bytes(b"\x00\x01\x02")
    with pytest.raises(PredictionsError, match="not readable as parquet"):
        read_foreign([tmp_path / "x.parquet"])
    with pytest.raises(PredictionsError, match="b: column missing: time"):
        infer_endpoint(read_foreign(written(a=timed(), b=table())), unit="day")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("event,score,score\n1,2,3\n", r"column name more than once: score \(columns 2, 3\)"),
        # Without a say on the index, pandas takes the first column for it and shifts all names by one.
        ("event,score\n1,2,7\n0,1,7\n", "some rows have more cells than there are columns"),
        ("event;score\n1;2\n", "the cells look separated by ';'"),
        ("event,score\n1,\xfc\n", "not readable as CSV in UTF-8"),
    ],
)
def test_a_csv_that_would_be_misread_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(PredictionsError, match=message):
        read_foreign([tmp_path / "a.csv"])


def test_a_column_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["score", "score"]), tmp_path / "a.parquet")
    with pytest.raises(PredictionsError, match=r"score \(columns 1, 2\)"):
        read_foreign([tmp_path / "a.parquet"])


def test_tables_of_the_same_name_go_by_their_folder(tmp_path: Path) -> None:
    for name in ("linear", "forest"):
        (tmp_path / name).mkdir()
        table().to_parquet(tmp_path / name / "predictions.parquet", index=False)
    found = read_foreign([tmp_path / name / "predictions.parquet" for name in ("linear", "forest")])
    assert list(found) == ["linear", "forest"]


VIEWS = """
name: views
title: Three views of each patient
source: {csv: views.csv}
licence: none
citation: none
patient: woman
endpoint: {kind: binary, event: came_back}
features:
  size: {type: continuous, range: [0, 100]}
reference: [size]
"""


def test_check_counts_patients_with_the_event_as_patients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"w{row // 3},{row // 3 % 2},{row % 89}" for row in range(270)]
    (tmp_path / "views.csv").write_text("woman,came_back,size\n" + "\n".join(rows))
    (tmp_path / "views.yaml").write_text(VIEWS)
    monkeypatch.chdir(tmp_path)
    check(Path("views.yaml"), docs=None)
    said = capsys.readouterr().out
    assert "270 rows of 90 patients, 45 of whom had the event (135 rows)" in said


def test_check_refuses_a_cohort_too_small_for_the_folds_of_params(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    rows = [f"w{row},{int(row % 7 == 0)},{row % 89}" for row in range(40)]
    (tmp_path / "views.csv").write_text("woman,came_back,size\n" + "\n".join(rows))
    (tmp_path / "views.yaml").write_text(VIEWS)
    monkeypatch.chdir(tmp_path)
    check(Path("views.yaml"), docs=None)
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text().replace("folds: 5 ", "folds: 10 "))
    with pytest.raises(GateError, match=r"10 folds with 3 inside each need at least 10 patients with .* found 6 with"):
        check(Path("views.yaml"), docs=None)
