"""Real Bentos in real processes: one takes over in steps, broken ones are sent back, and nobody misses an answer."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from relapse.deployment.place import Place
from relapse.deployment.record import read
from relapse.serving.audit_log import verify
from tests.deployment.conftest import COHORT
from tests.project import ROOT
from tests.server import free_port

pytestmark = pytest.mark.slow

AUDIT_KEY, TOKEN = "an-audit-key-0123", "a-token-0123456789"


def _plan(folder: Path, **rollout: Any) -> None:
    content = YAML(typ="safe").load(ROOT / "change_plan.yaml")
    content["rollout"] = {
        "shadow": {"requests": 20, "seconds": 60},
        "part": {"share": 0.5, "requests": 20, "seconds": 60},
        "all": {"requests": 20, "seconds": 60},
        "errors": 0.01,
        "milliseconds": 5000,
        **rollout,
    }
    with (folder / "change_plan.yaml").open("w") as stream:
        YAML().dump(content, stream)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "src"),
        "RELAPSE_ACTOR": "a test",
        "RELAPSE_TOKEN": TOKEN,
        "RELAPSE_AUDIT_LOG": str(folder / "audit.jsonl"),
        "RELAPSE_AUDIT_KEY": AUDIT_KEY,
    }


def _command(*words: str) -> list[str]:
    return [str(Path(sys.executable).parent / "relapse"), *words]


@contextmanager
def _door(folder: Path, bento: Path) -> Iterator[str]:
    port = free_port()
    with (folder / "door.log").open("w") as log:
        door = subprocess.Popen(
            _command("deploy", "serve", COHORT, "--bento", str(bento), "--port", str(port)),
            cwd=folder,
            env=_environment(folder),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(900):
                assert door.poll() is None, (folder / "door.log").read_text()
                try:
                    if httpx.get(f"{url}/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                time.sleep(0.1)
            yield url
        finally:
            door.terminate()
            assert door.wait(60) == 0, (folder / "door.log").read_text()
            assert _events(folder)[-1]["event"] == "closed"
            assert _left(folder) == [], "processes of services that nobody looks after"


def _left(folder: Path) -> list[str]:
    """The processes that still work below a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if place.resolve(strict=True).is_relative_to(folder / "deployments"):
                found.append(place.parent.name)
        except OSError:
            continue
    return found


def _start(folder: Path, bento: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _command("deploy", "start", COHORT, "--bento", str(bento), "--keep-champion"),
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class _Patients(threading.Thread):
    """Somebody who goes on asking, for one patient after the other."""

    def __init__(self, url: str, patients: list[dict[str, Any]]) -> None:
        super().__init__()
        self.url, self.patients, self.done = url, patients, threading.Event()
        self.answers: list[tuple[str, int, str]] = []

    def run(self) -> None:
        number = 0
        with httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
            while not self.done.is_set():
                name = f"MARKEDNAME{number % len(self.patients)}"
                patient = self.patients[number % len(self.patients)]
                answer = client.post("/predict", json=patient, headers={"relapse-patient": name})
                version = answer.json()["model"]["version"] if answer.status_code == 200 else ""
                self.answers.append((name, answer.status_code, version))
                number += 1
                time.sleep(0.02)


@pytest.fixture
def patients(tables, cohorts) -> list[dict[str, Any]]:
    rows = tables[COHORT][cohorts[COHORT].predictors].dropna().head(40).to_dict("records")
    # Values that no time in milliseconds and no name of a trace looks like.
    return [
        {**row, "pnodes": number % 12, "mean_texture": round(number + 1.62951, 5)} for number, row in enumerate(rows)
    ]


def _events(folder: Path) -> list[dict[str, Any]]:
    return read(Place(COHORT, folder).record)


def _names(events: list[dict[str, Any]]) -> list[str]:
    return [item["event"] for item in events]


def test_a_new_model_takes_over_in_steps_and_broken_ones_are_sent_back_while_patients_are_answered(
    tmp_path: Path, bentos: dict[str, Path], patients: list[dict[str, Any]]
) -> None:
    _plan(tmp_path)
    with _door(tmp_path, bentos["old"]) as url:
        served = httpx.get(f"{url}/model", headers={"authorization": f"Bearer {TOKEN}"}).json()
        assert served["manifest"]["candidate"] == "reference"
        assert httpx.get(f"{url}/model").status_code == 401
        asking = _Patients(url, patients)
        asking.start()
        try:
            # Its known example is another's: it is sent back before anybody is answered by it.
            done = _start(tmp_path, bentos["mixed"])
            assert (done.returncode, "known example: another answer" in done.stderr) == (1, True), (
                done.stdout + done.stderr
            )
            events = _events(tmp_path)
            assert _names(events)[1:] == ["begin", "smoke test in the shadow", "rolled back"]

            # It passes every smoke test and fails one patient in twelve: the shadow finds it.
            done = _start(tmp_path, bentos["ill"])
            assert (done.returncode, "shadow: it failed" in done.stderr) == (1, True), done.stdout + done.stderr
            assert _names(_events(tmp_path)[len(events) :])[-2:] == ["shadow begun", "rolled back"]
            assert set(version for _, _, version in asking.answers) == {served["version"]}

            before = len(_events(tmp_path))
            done = _start(tmp_path, bentos["new"])
            assert done.returncode == 0, done.stdout + done.stderr
            assert _names(_events(tmp_path)[before:]) == [
                "begin",
                "smoke test in the shadow",
                "shadow begun",
                "shadow passed",
                "smoke test before it answers",
                "part begun",
                "part passed",
                "all begun",
                "all passed",
                "smoke test through the door",
                "done",
            ]
            again = _start(tmp_path, bentos["new"])
            assert (again.returncode, "is served already" in again.stdout) == (0, True), again.stderr
        finally:
            asking.done.set()
            asking.join()
        card = httpx.get(f"{url}/model", headers={"authorization": f"Bearer {TOKEN}"}).json()
        assert card["manifest"]["candidate"] == "linear"
    assert {status for _, status, _ in asking.answers} == {200}
    # While a part was answered by the new one, every patient kept hers.
    by_patient: dict[str, list[str]] = {}
    for name, _, version in asking.answers:
        by_patient.setdefault(name, []).append(version)
    for versions in by_patient.values():
        turns = [one != other for one, other in pairwise(versions)]
        assert sum(turns) <= 1, "once given to the new model, a patient is not given back"
    # Every answer that was given stands in the audit log, and none of the shadow's.
    log = (tmp_path / "audit.jsonl").read_text()
    assert verify(tmp_path / "audit.jsonl", AUDIT_KEY.encode()).lines == len(log.splitlines())
    predicted = [line for line in map(json.loads, log.splitlines()) if line["endpoint"] == "predict"]
    assert len(predicted) == len(asking.answers)
    shown = subprocess.run(
        _command("deploy", "show", COHORT), cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True
    )
    assert (shown.returncode, "rolled back" in shown.stdout) == (0, True), shown.stderr
    place = Place(COHORT, tmp_path).folder
    files = [tmp_path / "door.log", *place.glob("*.jsonl"), *place.glob("services/*/service.log")]
    assert len(files) > 6
    written = "".join(path.read_text(errors="replace") for path in files)
    assert "MARKEDNAME" not in written
    assert ".62951" not in written


def test_a_model_that_fails_once_it_has_a_part_is_sent_back_and_the_door_opens_again_with_the_old_one(
    tmp_path: Path, bentos: dict[str, Path], patients: list[dict[str, Any]]
) -> None:
    # Nobody asks while it is in the shadow.
    _plan(tmp_path, shadow={"requests": 20, "seconds": 1})
    with _door(tmp_path, bentos["old"]) as url:
        started: list[Any] = []
        rolling = threading.Thread(target=lambda: started.append(_start(tmp_path, bentos["ill"])))
        rolling.start()
        for _ in range(1200):
            if "part begun" in _names(_events(tmp_path)):
                break
            time.sleep(0.1)
        asking = _Patients(url, [{**patient, "pnodes": 7} for patient in patients])
        asking.start()
        rolling.join()
        asking.done.set()
        asking.join()
        assert (started[0].returncode, "part: it failed" in started[0].stderr) == (1, True), started[0].stderr
        assert {status for _, status, _ in asking.answers} == {200}
    with _door(tmp_path, bentos["new"]) as url:
        card = httpx.get(f"{url}/model", headers={"authorization": f"Bearer {TOKEN}"}).json()
        assert card["manifest"]["candidate"] == "reference", "what was served last is served again"


def test_without_a_door_there_is_nothing_to_take_over_from(tmp_path: Path, bentos: dict[str, Path]) -> None:
    _plan(tmp_path)
    done = _start(tmp_path, bentos["new"])
    assert (done.returncode, "nothing is served there" in done.stderr) == (1, True), done.stderr
