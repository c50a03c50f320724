"""The commands `relapse cluster …` as people type them, on a project of their own with a table of their own."""

import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.running import RELAPSE, certificates, environment, running
from tests.pipelines.test_retraining import DECLARATION, _rows
from tests.project import Project


def _predictions(project: Project) -> dict[str, pd.DataFrame]:
    folder = project.root / "results" / "train"
    return {
        str(path.relative_to(folder)): pd.read_parquet(path) for path in sorted(folder.rglob("predictions.parquet"))
    }


def _project(root: Path, **settings: str) -> Project:
    """Two cohorts, one of them nobody knows, and three candidates of which one is for neither."""
    project = Project.copy(root, cohorts=["mine", "wpbc"], candidates=["reference", "xgboost", "densenet121"])
    (root / "data" / "cohorts" / "mine.yaml").write_text(DECLARATION)
    (root / "data" / "raw" / "mine.csv").write_text("id,relapse,size,grade\n" + _rows(0, 150))
    project.settings.update(settings)
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    return project


@pytest.mark.slow
def test_the_whole_training_of_a_project_is_one_command_and_dvc_takes_it_for_its_own(tmp_path: Path) -> None:
    tls = certificates(tmp_path / "tls")
    project = _project(tmp_path / "project")
    with running(tmp_path / "own", scheme="tls", PYTHONPATH=str(project.root / "src"), **tls) as own:
        project.settings.update(tls | {"RELAPSE_BACKEND": "dask", "RELAPSE_SCHEDULER": own.address})
        done = project.run(*RELAPSE, "cluster", "train")
        assert done.returncode == 0, done.stdout
        assert "6 of 6 candidates are to be trained, by 2 workers" in done.stdout
        for cohort in ("mine", "wpbc"):
            assert f"{cohort} xgboost: " in done.stdout
            assert (project.root / "results" / "train" / cohort / "densenet121" / "record.json").is_file()
        status = project.run("dvc", "status", "train").stdout
        assert "up to date" in status, status
        again = project.run(*RELAPSE, "cluster", "train")
        assert "0 of 6 candidates are to be trained" in again.stdout, again.stdout
        # No certificate, no answer; and a scheduler that speaks TLS is not reached without it.
        for name in tls:
            del project.settings[name]
        refused = project.run(*RELAPSE, "cluster", "check")
        assert refused.returncode == 2, refused.stdout
        assert "no scheduler answers at RELAPSE_SCHEDULER=tls://" in refused.stdout
        assert "certificates (docs/cluster.md)" in refused.stdout
        assert "Traceback" not in refused.stdout
        said = own.said()
    assert "p149" not in said, "no patient is named in a log"
    for name in ("RELAPSE_BACKEND", "RELAPSE_SCHEDULER"):
        del project.settings[name]
    there = _predictions(project)
    assert len(there) == 4
    repeated = project.run("dvc", "repro", "--force", "--no-run-cache", "train")
    assert repeated.returncode == 0, repeated.stdout
    here = _predictions(project)
    assert there.keys() == here.keys()
    for name, table in here.items():
        pd.testing.assert_frame_equal(table, there[name], check_exact=True)


def _relapse(*words: str, cwd: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*RELAPSE, "cluster", *words],
        cwd=cwd,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scheduler", "--host", "0.0.0.0"), "--host 0.0.0.0: whoever reaches a scheduler without TLS can run code"),
        (("worker", "tcp://10.0.0.7:8786"), "tcp://10.0.0.7:8786: whoever reaches a worker without TLS can run code"),
        (("worker", "tls://10.0.0.7:8786"), "Dask knows no certificate for workers of this machine"),
        (("train",), "RELAPSE_BACKEND is fork: this command needs dask"),
    ],
)
def test_what_would_be_open_to_all_or_cannot_be_is_one_message(words: tuple[str, ...], said: str, root: Path) -> None:
    done = _relapse(*words, cwd=root)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert said in done.stderr


def test_what_params_yaml_does_not_have_is_one_message(root: Path) -> None:
    settings = {"RELAPSE_BACKEND": "dask", "RELAPSE_SCHEDULER": "tcp://127.0.0.1:9"}
    done = _relapse("train", "--cohort", "nowhere", cwd=root, **settings)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --cohort nowhere: params.yaml has gbsg, wpbc.")
