"""Workers that are not like this process are refused before any work, and it is said in what they differ."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from joblib import delayed

from relapse.cluster.likeness import CODE, WHERE, Terms, differences, facts, marked, unseen
from relapse.cluster.session import session
from relapse.ground.errors import DeclarationError, WorkersError
from relapse.ground.versions import VERSIONED
from relapse.machinery import Machinery
from relapse.workers import shared_out
from tests.cluster.running import RELAPSE, ROOT, Cluster, environment, running, until

DASK = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="dask")

#: Starts a command that sees an empty folder where the one named first is.
ELSEWHERE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"')


def test_every_fact_is_known_and_the_library_s_own_code_and_all_versions_are_among_them() -> None:
    found = facts()
    assert {"Python", "system", CODE, WHERE, *VERSIONED, "distributed"} <= set(found)
    assert "absent" not in found.values()
    assert differences(Terms(tuple(found.items())), found) == []
    other = {**found, "numpy": "1.0"}
    assert differences(Terms(tuple(found.items())), other) == [f"numpy is 1.0, not {found['numpy']}"]


def test_a_folder_is_known_by_what_its_mark_holds_and_not_by_its_name(tmp_path: Path) -> None:
    here, mark = marked(tmp_path)
    assert marked(tmp_path) == (here, mark)
    assert unseen(Terms((), ((here, mark),))) == []
    assert unseen(Terms((), ((here, "of another folder"),))) == [f"it does not see the folder {tmp_path}"]
    assert unseen(Terms((), ((str(tmp_path / "none"), mark),))) == [f"it does not see the folder {tmp_path / 'none'}"]


def _another_commit(folder: Path) -> Path:
    shutil.copytree(ROOT / "src", folder, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "relapse" / "candidates" / "linear.py"
    module.write_text(module.read_text() + "\n# edited\n")
    return folder


@pytest.mark.slow
def test_workers_of_another_commit_are_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = _another_commit(tmp_path / "src")
    with running(tmp_path / "own", processes=1) as own:
        own.add(PYTHONPATH=str(other))
        until(lambda: own.said().count("Register worker addr") == 2, "two workers")
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        with pytest.raises(DeclarationError, match=r"1 of the cluster's workers are not like") as found:
            list(shared_out([delayed(abs)(-1)], DASK, total=1, label="work"))
    said = str(found.value)
    assert f", not {facts()[CODE]}" in said
    assert "Install the same commit there" in said
    assert "numpy" not in said, "what is the same is not named"


@pytest.mark.slow
def test_a_worker_of_another_commit_that_comes_later_ends_the_work_and_changes_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task(number: int) -> int:
        import time

        time.sleep(0.2)
        return number

    other = _another_commit(tmp_path / "src")
    with running(tmp_path / "own", processes=1) as own:
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        results = shared_out([delayed(task)(number) for number in range(900)], DASK, total=900, label="work")
        assert next(results) == 0
        own.add(PYTHONPATH=str(other))
        with pytest.raises(WorkersError, match="a worker that came later is not like this process: relapse's code is"):
            list(results)


@pytest.mark.slow
def test_a_worker_that_has_another_folder_in_the_place_of_the_finished_trials_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    if subprocess.run([*ELSEWHERE, kept, "true"], capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    with running(tmp_path / "own", processes=0) as own:
        own.add(before=(*ELSEWHERE, str(kept)))
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        with session() as opened, pytest.raises(DeclarationError) as found:
            opened.require([kept])
    said = str(found.value)
    assert f"it does not see the folder {kept}" in said
    assert "Share that folder with every worker under the same path" in said
    assert "Install the same commit" not in said


@pytest.mark.slow
def test_another_kind_of_processor_is_said_and_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"OPENBLAS_CORETYPE": "Nehalem", "ATEN_CPU_CAPABILITY": "default"}
    with running(tmp_path / "own", processes=1, **other) as own:
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        assert list(shared_out([delayed(abs)(-1)], DASK, total=1, label="work")) == [1]
    said = capsys.readouterr().out
    assert "workers have other processors (Nehalem, DEFAULT) than this machine" in said


def _relapse(cluster: Cluster, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    asked = environment({"RELAPSE_BACKEND": "dask", "RELAPSE_SCHEDULER": cluster.address, **settings})
    return subprocess.run([*RELAPSE, *words], env=asked, capture_output=True, text=True, timeout=120, check=False)


def test_check_names_every_worker(cluster: Cluster, tmp_path: Path) -> None:
    done = _relapse(cluster, "cluster", "check", RELAPSE_OPTUNA_STORAGE=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("tcp://127.0.0.1:") >= 3


def test_where_the_extra_is_absent_every_way_to_a_cluster_is_one_message(tmp_path: Path) -> None:
    # An interpreter that finds everything but these packages.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "found = PathFinder.find_spec\n"
        "def find_spec(name, path=None, target=None):\n"
        "    return None if name in ('dask', 'distributed') else found(name, path, target)\n"
        "PathFinder.find_spec = find_spec\n"
    )
    settings = environment({"RELAPSE_SCHEDULER": "tcp://127.0.0.1:9", "PYTHONPATH": f"{hidden}{os.pathsep}{ROOT}/src"})
    for words, dask in (
        (("check",), ""),
        (("scheduler",), ""),
        (("worker", "tcp://127.0.0.1:9"), ""),
        (("train",), "dask"),
    ):
        asked = settings | ({"RELAPSE_BACKEND": dask} if dask else {})
        done = subprocess.run([*RELAPSE, "cluster", *words], env=asked, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "Dask is not installed here. Install it" in done.stderr
        assert "pip install 'relapse[cluster]'" in done.stderr
