"""Moves of the champion: recorded, chained, undone exactly, and made by one process at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from relapse.bundle.manifest import CONTENT as FILES
from relapse.bundle.manifest import MANIFEST, SEAL
from relapse.ground.errors import RegistryError
from relapse.ground.files import sha256_of_file
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery, machinery
from relapse.tracking.client import connect
from relapse.tracking.locks import alone
from relapse.tracking.registry import moves
from relapse.tracking.registry.faults import faults
from relapse.tracking.registry.models import fetch_champion
from relapse.tracking.registry.records import history, record_file
from tests import postgres
from tests.project import ROOT, Project
from tests.server import serving
from tests.tracking.conftest import COHORT

pytestmark = pytest.mark.slow

MODEL = f"relapse-{COHORT}"


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres.server() as url:
        yield postgres.create(url, "mlflow")


def _again(project: Project, significance: float) -> None:
    """Register the same predictions under another policy: another content, a model that is no worse."""
    from ruamel.yaml import YAML

    path = project.root / "params.yaml"
    content = YAML().load(path)
    content["register"]["significance"] = significance
    YAML().dump(content, path)
    project.stage("register", cohort=COHORT)


def _aliases(client: MlflowClient) -> dict[str, str]:
    return {name: str(version) for name, version in client.get_registered_model(MODEL).aliases.items()}


def _served(client: MlflowClient, folder: Path) -> tuple[str, dict[str, str]]:
    """The version that a server of the champion gives at ``GET /model``, and the digests of the files served."""
    fetch_champion(client, COHORT, folder)
    settings = {"RELAPSE_BUNDLE": str(folder), "PYTHONPATH": str(ROOT / "src")}
    home = folder.with_name(f"{folder.name}-home")
    with serving("bento/service.py:RelapseService", home, settings=settings, cwd=ROOT) as server:
        model = httpx.get(f"{server.url}/model").json()
    return model["version"], {name: sha256_of_file(folder / name) for name in (*FILES, MANIFEST, SEAL)}


def test_a_champion_is_promoted_replaced_and_rolled_back_and_served_at_each_step(
    project: Project, tmp_path: Path
) -> None:
    project.stage("register", cohort=COHORT)
    client = connect(machinery())
    assert _aliases(client) == {"champion": "1"}
    first = _served(client, tmp_path / "first")
    _again(project, 0.06)
    assert _aliases(client) == {"champion": "2", "previous": "1"}
    second = _served(client, tmp_path / "second")
    assert second[0] != first[0]
    done = project.run("relapse", "registry", "rollback", COHORT, "--reason", "a test")
    assert done.returncode == 0, done.stdout
    assert _aliases(client) == {"champion": "1"}
    assert _served(client, tmp_path / "again") == first
    assert json.loads(Workspace(COHORT).published.read_text())["champion"]["version"] == "1"
    project.stage("register", cohort=COHORT)
    assert json.loads(Workspace(COHORT).decision.read_text())["champion"]["version"] == "1"
    assert _aliases(client) == {"champion": "1"}
    records = history(client, COHORT)
    assert [(item.action, item.from_ and item.from_.version, item.to.version) for item in records] == [
        ("promote", None, "1"),
        ("promote", "1", "2"),
        ("rollback", "2", "1"),
    ]
    assert records[0].decision is not None
    assert records[0].decision["promoted"]
    assert records[2].to == records[0].to
    assert records[2].reason == "a test"
    assert all(item.who and item.when for item in records)
    assert faults(client, COHORT) == []
    with pytest.raises(RegistryError, match="no version with the alias 'previous'"):
        moves.rollback(client, machinery(), COHORT)
    shown = project.run("relapse", "registry", "list").stdout
    assert "not ours" not in shown
    assert shown.count("may be promoted") == 2
    shown = project.run("relapse", "registry", "show", COHORT).stdout
    assert "not externally validated" in shown
    assert "events per parameter" in shown


@pytest.mark.parametrize("planted", ["file", "artifact", "alias", "bundle"])
def test_verify_finds_what_was_altered(project: Project, planted: str) -> None:
    project.stage("register", cohort=COHORT)
    client = connect(machinery())
    done = project.run("relapse", "registry", "verify", COHORT)
    assert (done.returncode, "1 records checked, 0 faults" in done.stdout) == (0, True), done.stdout
    artifacts = project.root / "mlruns" / "artifacts"
    match planted:
        case "file":
            path = record_file(client, COHORT, 1)
            assert path.stat().st_mode & 0o222 == 0
            path.chmod(0o644)
            path.write_text(path.read_text().replace("promote", "demote"))
            message = "record 1: altered in mlruns"
        case "artifact":
            (path,) = artifacts.rglob("moves/0001.json")
            path.write_text(path.read_text().replace('"candidate": "', '"candidate": "x'))
            message = "record 1: altered in MLflow's artifacts"
        case "alias":
            client.delete_registered_model_alias(MODEL, "champion")
            message = "made by another hand"
        case "bundle":
            (path,) = artifacts.rglob("bundle/model.skops")
            path.write_bytes(path.read_bytes()[:-1] + b"x")
            message = "altered since the bundle was written"
    done = project.run("relapse", "registry", "verify", COHORT)
    assert (done.returncode, message in done.stdout) == (1, True), done.stdout
    if planted == "alias":
        with pytest.raises(RegistryError, match="made by another hand"):
            _again(project, 0.06)
        done = project.run("relapse", "registry", "verify", COHORT, "--repair")
        assert (done.returncode, _aliases(client)["champion"]) == (0, "1")


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_of_two_processes_that_promote_at_once_one_wins_and_the_other_is_told(
    project: Project, backend: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    uri = request.getfixturevalue("database") if backend == "postgresql" else ""
    settings = [f"MLFLOW_TRACKING_URI={uri}"] if uri else []
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    project.stage("register", cohort=COHORT)
    monkeypatch.setenv("RELAPSE_PROMOTE", "later")
    for significance in (0.06, 0.07):
        _again(project, significance)
    client = connect(machinery())
    assert _aliases(client) == {"champion": "1", "challenger": "3"}
    running = [project.start("env", *settings, "relapse", "registry", "promote", COHORT, v) for v in ("2", "3")]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert sorted(process.returncode for process in running) == [0, 1], said
    lost = said[[process.returncode for process in running].index(1)]
    winner = "2" if running[0].returncode == 0 else "3"
    assert f"the champion is version {winner}: somebody else was first. Nothing was moved." in lost
    assert "Traceback" not in lost
    assert _aliases(client)["champion"] == winner
    assert len(history(client, COHORT)) == 2
    assert faults(client, COHORT) == []


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_lock_excludes_others_and_ends_with_its_holder_however_that_dies(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db" if backend == "sqlite" else request.getfixturevalue("database")
    code = f"import time\nfrom relapse.tracking.locks import alone\nwith alone({uri!r}, 'x'):\n    print('held', flush=True)\n    time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr("relapse.tracking.locks.PATIENCE", 1)
    with alone(uri, "y"):
        pass
    with pytest.raises(RegistryError, match="has held the lock 'x' for 1 s"), alone(uri, "x"):
        pytest.fail("both hold it")
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    start = time.monotonic()
    monkeypatch.setattr("relapse.tracking.locks.PATIENCE", 30)
    with alone(uri, "x"):
        assert time.monotonic() - start < 10


def test_behind_a_server_a_name_that_can_be_taken_once_excludes_others(project: Project) -> None:
    client = connect(machinery())
    behind = Machinery(1, "http://mlflow.example", None, "loky")
    with (
        moves.lock(client, behind, COHORT),
        pytest.raises(RegistryError, match="somebody else moves its alias right now"),
        moves.lock(client, behind, COHORT),
    ):
        pytest.fail("both hold it")
    with moves.lock(client, behind, COHORT):
        pass


def test_what_the_policy_keeps_out_cannot_be_promoted_by_hand(project: Project) -> None:
    path = project.root / "params.yaml"
    path.write_text(path.read_text().replace("events_per_parameter: 10", "events_per_parameter: 99"))
    project.stage("register", cohort=COHORT)
    done = project.run("relapse", "registry", "promote", COHORT)
    assert done.returncode == 1
    assert "is not promoted: " in done.stdout
    assert "events per parameter" in done.stdout
    assert _aliases(connect(machinery())) == {"challenger": "1"}
