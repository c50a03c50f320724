"""The pipeline as its users run it: whole, again, after a change, after a kill, and on data that are not right."""

import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.project import Project

pytestmark = pytest.mark.slow


def _predictions(project: Project) -> dict[str, pd.DataFrame]:
    folder = project.root / "results" / "train"
    return {
        str(path.relative_to(folder)): pd.read_parquet(path) for path in sorted(folder.rglob("predictions.parquet"))
    }


def _ran(output: str) -> set[str]:
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project on both cohorts after one ``dvc repro``."""
    project = Project.copy(tmp_path_factory.mktemp("whole"))
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    done = project.run("dvc", "repro")
    assert done.returncode == 0, done.stdout
    return project


@pytest.mark.whole
def test_one_command_gives_every_result(finished: Project) -> None:
    for cohort in ("gbsg", "wpbc"):
        results = finished.root / "results"
        for candidate in ("reference", "linear"):
            assert (results / "explain" / cohort / candidate / "beeswarm.svg").is_file()
        assert (results / "package" / cohort / f"relapse-{cohort}.bento").stat().st_size > 10_000
        assert "<html" in (results / "report" / cohort / "report.html").read_text()
        assert (results / "gate" / cohort / "docs" / "index.html").is_file()
    shown = finished.run("dvc", "metrics", "show").stdout
    for cohort, metric in (("gbsg", "harrell_c"), ("wpbc", "average_precision")):
        assert metric in shown
        assert f"results/evaluate/{cohort}/metrics/linear.json" in shown


@pytest.mark.whole
def test_a_second_run_computes_nothing_and_asks_mlflow_whether_all_is_there(finished: Project) -> None:
    start = time.perf_counter()
    again = finished.run("dvc", "repro")
    assert again.returncode == 0
    assert _ran(again.stdout) == {"register@gbsg", "register@wpbc"}
    assert time.perf_counter() - start < 120


def test_a_registered_model_that_was_deleted_comes_back_with_the_next_run(finished: Project) -> None:
    from mlflow import MlflowClient

    from relapse.machinery import own_registry

    # Not by the settings of this process: MLflow leaves the address of the last test's registry in its environment.
    MlflowClient(own_registry(finished.root)).delete_registered_model("relapse-wpbc")
    found = finished.run("relapse", "registry", "verify", "wpbc")
    assert (found.returncode, "M002 relapse-wpbc is not registered" in found.stdout) == (1, True), found.stdout
    again = finished.run("dvc", "repro")
    assert again.returncode == 0, again.stdout
    assert _ran(again.stdout) == {"register@gbsg", "register@wpbc"}
    found = finished.run("relapse", "registry", "verify", "wpbc")
    assert (found.returncode, "1 records checked, 0 faults" in found.stdout) == (0, True), found.stdout


def test_changing_one_candidate_retrains_it_alone(finished: Project) -> None:
    module = finished.root / "src" / "relapse" / "candidates" / "linear.py"
    text = module.read_text()
    module.write_text(text.replace('"C", 1e-3, 10.0', '"C", 1e-4, 10.0'))
    assert module.read_text() != text
    status = finished.run("dvc", "status").stdout
    module.write_text(text)
    changed = {line.rstrip(":") for line in status.splitlines() if line.startswith("train@") and line.endswith(":")}
    assert changed == {"train@gbsg-linear", "train@wpbc-linear"}


def test_losing_mlflow_s_files_publishes_again_and_trains_nothing(finished: Project) -> None:
    import shutil

    shutil.rmtree(finished.root / "mlruns")
    again = finished.run("dvc", "repro")
    assert again.returncode == 0, again.stdout
    ran = _ran(again.stdout)
    assert {"register@gbsg", "register@wpbc"} <= ran
    assert not [stage for stage in ran if stage.startswith(("train", "evaluate", "split", "gate", "ingest"))]


def test_a_killed_run_starts_again_and_ends_with_the_same_predictions(tmp_path: Path, finished: Project) -> None:
    project = Project.copy(tmp_path / "killed")
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    running = project.start("dvc", "repro", "train")
    assert running.stdout is not None
    for line in running.stdout:
        if "Running stage 'train@gbsg-linear'" in line:
            break
    time.sleep(1)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    running.stdout.close()
    assert len(_predictions(project)) < 4
    done = project.run("dvc", "repro", "train")
    assert done.returncode == 0, done.stdout
    expected, found = _predictions(finished), _predictions(project)
    assert expected.keys() == found.keys()
    for name, table in expected.items():
        pd.testing.assert_frame_equal(table, found[name], check_exact=True)


HEADER = "id,relapse,size,grade\n"
GOOD = "".join(f"p{i},{int(i % 3 == 0)},{10 + i},{'I' if i % 2 else 'II'}\n" for i in range(30))

DECLARATION = """
name: mine
title: A table of one's own
source: {csv: data/raw/mine.csv}
licence: none
citation: none
patient: id
endpoint: {kind: binary, event: relapse}
features:
  size: {type: continuous, unit: mm, range: [1, 100]}
  grade: {type: ordinal, levels: [I, II]}
reference: [size]
"""


@pytest.mark.parametrize(
    ("csv", "status", "message"),
    [
        (HEADER + GOOD, 0, "mine: all 8 rules kept"),
        (HEADER.replace("size", "width") + GOOD, 2, "size (feature size)"),
        (HEADER + GOOD.replace(",12,", ",twelve,"), 1, "size: expected a number; 1 row breaks this: data row 3."),
        (HEADER + GOOD.replace("p4,0,14,II", "p4,0,14,V"), 1, "grade: expected one of the levels I, II; 1 row breaks"),
        ("", 2, "data/raw/mine.csv: the file is empty"),
        (None, 2, "data/raw/mine.csv: this is a folder"),
    ],
    ids=["good", "missing column", "wrong type", "unknown level", "empty file", "not a file"],
)
def test_a_table_of_one_s_own_passes_or_gets_one_clear_message(
    tmp_path: Path, csv: str | None, status: int, message: str
) -> None:
    project = Project.copy(tmp_path / "own")
    (project.root / "data" / "cohorts" / "mine.yaml").write_text(DECLARATION)
    target = project.root / "data" / "raw" / "mine.csv"
    target.mkdir() if csv is None else target.write_text(csv)
    checked = project.run("relapse", "check", "data/cohorts/mine.yaml")
    assert checked.returncode == status, checked.stdout
    assert message in checked.stdout
    assert "Traceback" not in checked.stdout
    if status:
        project.set_params(cohorts=["mine"])
        assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
        stopped = project.run("dvc", "repro")
        assert stopped.returncode != 0
        assert message in stopped.stdout
        assert "Traceback" not in stopped.stdout
        assert not (project.root / "results" / "train").exists()
