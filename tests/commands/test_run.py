"""``relapse run``: two cohorts at a time, with DVC itself on a pipeline of stages that take no time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from relapse.commands.stages import each_of
from tests.project import ROOT

#: Of each cohort's stages one waits until the other cohort's is there, too: done one by one they would never end.
_PIPELINE = """\
stages:
  library:
    cmd: python -c "open('library.txt', 'w').write('x')"
    outs: [library.txt]
  ingest:
    matrix: {cohort: "${cohorts}"}
    cmd: python work.py ingest ${item.cohort}
    outs: ["ingest-${item.cohort}.txt"]
  train:
    matrix: {cohort: "${cohorts}", candidate: "${candidates}"}
    cmd: python work.py ${item.candidate} ${item.cohort}
    deps: [library.txt, "ingest-${item.cohort}.txt"]
    outs: ["${item.candidate}-${item.cohort}.txt"]
  package:
    matrix: {cohort: "${cohorts}"}
    cmd: python work.py package ${item.cohort}
    deps: ["linear-${item.cohort}.txt"]
    outs: ["package-${item.cohort}.txt"]
  report:
    matrix: {cohort: "${cohorts}"}
    cmd: python work.py report ${item.cohort}
    deps: ["reference-${item.cohort}.txt"]
    outs: ["report-${item.cohort}.txt"]
"""
_WORK = """\
import sys, time
from pathlib import Path
stage, cohort = sys.argv[1:]
if cohort in ("bad", "good") and stage == "reference":
    Path(f"seen-{cohort}").touch()
    end = time.monotonic() + 60
    while not (Path("seen-bad").exists() and Path("seen-good").exists()):
        if time.monotonic() > end:
            sys.exit("the other cohort never came")
        time.sleep(0.05)
if (cohort, stage) == ("bad", "linear") and not Path("mended").exists():
    sys.exit("the work cannot be done")
Path(f"{stage}-{cohort}.txt").write_text(stage)
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A folder with ``params.yaml`` of this project and the pipeline above, for three cohorts of two candidates."""
    text = (ROOT / "params.yaml").read_text().splitlines()
    text = [line for line in text if not line.startswith(("cohorts:", "candidates:"))]
    (tmp_path / "params.yaml").write_text(
        "\n".join([*text, "cohorts: [bad, good, third]", "candidates: [reference, linear]"])
    )
    (tmp_path / "dvc.yaml").write_text(_PIPELINE)
    (tmp_path / "work.py").write_text(_WORK)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def _run(folder: Path, *asked: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["relapse", "run", *asked],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_cohorts_run_at_a_time_and_one_that_fails_keeps_no_other(pipeline: Path) -> None:
    done = _run(pipeline)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "bad | the work cannot be done" in done.stdout
    assert done.stderr.strip().endswith("error: bad: dvc repro failed; the reason stands above, after its name.")
    made = {path.name for path in pipeline.glob("report-*.txt")}
    assert made == {"report-good.txt", "report-third.txt"}

    (pipeline / "mended").touch()
    again = _run(pipeline)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "bad | Running stage 'train@bad-linear'" in again.stdout
    assert "Running stage 'train@good-linear'" not in again.stdout
    status = subprocess.run([sys.executable, "-m", "dvc", "status"], cwd=pipeline, capture_output=True, text=True)
    assert "up to date" in status.stdout


def test_a_cohort_alone_is_run_alone(pipeline: Path) -> None:
    done = _run(pipeline, "--cohort", "third")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.stem.partition("-")[2] for path in pipeline.glob("*-*.txt")} == {"third"}


def test_an_unknown_cohort_is_told(pipeline: Path) -> None:
    done = _run(pipeline, "--cohort", "fourth")
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --cohort fourth: params.yaml has bad, good, third."


def test_each_of_names_every_stage_of_a_cohort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    named = each_of("gbsg", ["reference", "linear"])
    said = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"], capture_output=True, text=True, check=True
    )
    known = said.stdout.split()
    assert [name for name in known if "@gbsg" in name and "train@" not in name] == [
        name for name in named if "train@" not in name
    ]
    assert {"train@gbsg-reference", "train@gbsg-linear"} <= set(known)
    assert [name for name in named if "train@" in name] == ["train@gbsg-reference", "train@gbsg-linear"]
