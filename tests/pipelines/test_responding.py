"""A drift is found in what is served, answered under the plan of changes, and brought into service: all on one machine.

The targets are those of the Makefile, the services real ones. Then a model that does not answer as it was packaged is
sent back without anybody asking.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from ruamel.yaml import YAML

from relapse.deployment.record import read
from tests.deployment.conftest import other_answer, rewritten
from tests.pipelines.test_retraining import DECLARATION
from tests.project import ROOT, Project
from tests.server import free_port

pytestmark = pytest.mark.slow

KEY = "a-store-key-01234"


def _patient(number: int, *, moved: float = 0.0) -> dict[str, float]:
    rng = np.random.default_rng(number)
    size, grade = rng.normal(size=2)
    return {"size": round(size + moved, 4), "grade": round(grade, 4)}


def _rows(first: int, last: int, *, moved: float = 0.0) -> str:
    lines = []
    for number in range(first, last):
        patient = _patient(number, moved=moved)
        chance = 1 / (1 + np.exp(1 - 2 * patient["size"]))
        relapse = int(np.random.default_rng([number, 1]).random() < chance)
        lines.append(f"p{number},{relapse},{patient['size']},{patient['grade']}\n")
    return "".join(lines)


def _project(root: Path) -> Project:
    project = Project.copy(root, cohorts=["mine"], candidates=["reference", "linear"])
    shutil.copyfile(ROOT / "Makefile", root / "Makefile")
    (root / "data" / "cohorts" / "mine.yaml").write_text(DECLARATION)
    assert project.run("dvc", "init", "--no-scm", "--quiet").returncode == 0
    plan = YAML(typ="safe").load(ROOT / "change_plan.yaml")
    plan["rollout"] = {
        "shadow": {"requests": 10, "seconds": 3},
        "part": {"share": 0.5, "requests": 10, "seconds": 3},
        "all": {"requests": 10, "seconds": 3},
        "errors": 0.01,
        "milliseconds": 5000,
    }
    with (root / "change_plan.yaml").open("w") as stream:
        YAML().dump(plan, stream)
    store = {"RELAPSE_MONITOR": str(root / "kept"), "RELAPSE_MONITOR_KEY": KEY, "RELAPSE_ACTOR": "a test"}
    return Project(root, settings=store)


def _bring(project: Project, text: str) -> None:
    (project.root / "data" / "raw" / "mine.csv").write_text("id,relapse,size,grade\n" + text)
    added = project.run("dvc", "add", "--quiet", "data/raw/mine.csv")
    assert added.returncode == 0, added.stdout


def _make(project: Project, target: str, *more: str) -> tuple[int, str]:
    done = project.run("make", "-o", ".venv/.done", "-o", "setup", target, "COHORT=mine", *more)
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


def _champion(project: Project) -> str:
    found: dict[str, Any] = json.loads((project.root / "mlruns" / "published" / "mine.json").read_text())
    return str(found["champion"]["version"])


def _events(project: Project) -> list[str]:
    return [item["event"] for item in read(project.root / "deployments" / "mine" / "record.jsonl")]


@dataclass(frozen=True)
class Served:
    """A project whose first champion is served behind a door."""

    project: Project
    port: int

    @property
    def version(self) -> str:
        """What the door says that it serves."""
        return str(httpx.get(f"http://127.0.0.1:{self.port}/model").json()["version"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What happens to it in one test has happened in the next: a model lives through them in their order."""
    project, port = _project(tmp_path_factory.mktemp("played") / "project"), free_port()
    _bring(project, _rows(0, 300))
    first = project.run("dvc", "repro", "package@mine")
    assert first.returncode == 0, first.stdout
    assert _champion(project) == "1"
    door = project.start("relapse", "deploy", "serve", "mine", "--port", str(port))
    try:
        _until_ready(port)
        yield Served(project, port)
    finally:
        os.killpg(door.pid, signal.SIGTERM)
        said, _ = door.communicate(timeout=90)
        assert "Traceback" not in said, said


def test_patients_like_those_of_the_training_start_nothing(served: Served) -> None:
    _ask(served.port, 120, moved=0.0)
    status, said = _make(served.project, "respond")
    assert (status, "No alarm: nothing is trained." in said) == (0, True), said
    assert _events(served.project) == ["opened"]


def test_an_alarm_leads_to_a_new_model_in_service_within_the_plan(served: Served) -> None:
    # Patients with larger tumours come, and after them the table in which they stand with their outcomes.
    project, before = served.project, served.version
    _ask(served.port, 200, moved=1.0)
    _bring(project, _rows(0, 300) + _rows(300, 440, moved=1.0))
    status, said = _make(project, "respond")
    assert status == 0, said
    assert "W001" in said
    assert "data_appended" in said
    assert "all within the plan" in said
    assert "relapse-mine: version 2 is champion (record 2)" in said
    assert _events(project)[-1] == "done"
    packaged = json.loads((project.root / "results/package/mine/bundle/manifest.json").read_text())
    assert before != served.version == packaged["version"]
    changes = json.loads((project.root / "results/monitor/mine/changes.json").read_text())
    assert changes["needs_review"] is False


def test_a_model_that_does_not_answer_as_it_was_packaged_is_sent_back_in_service_and_registry(
    served: Served, tmp_path: Path
) -> None:
    project, before = served.project, served.version
    _bring(project, _rows(0, 300) + _rows(300, 470, moved=1.0))
    done = project.run("dvc", "repro", "package@mine")
    assert (done.returncode, _champion(project)) == (0, "3"), done.stdout
    bento = project.root / "results" / "package" / "mine" / "relapse-mine.bento"
    shutil.copyfile(rewritten(bento, tmp_path / "broken.bento", other_answer), bento)
    sent = project.run("relapse", "deploy", "start", "mine")
    assert (sent.returncode, "known example: another answer" in sent.stdout) == (1, True), sent.stdout
    assert "relapse-mine: version 2 is champion again (record 4)" in sent.stdout
    assert _events(project)[-1] == "rolled back"
    assert served.version == before
    assert _champion(project) == "2"
    verified = project.run("relapse", "registry", "verify", "mine")
    assert (verified.returncode, "4 records checked, 0 faults" in verified.stdout) == (0, True), verified.stdout


def test_another_policy_is_not_carried_out_without_a_person(served: Served) -> None:
    project = served.project
    assert project.run("dvc", "repro", "package@mine").returncode == 0
    content = YAML().load(project.root / "params.yaml")
    content["register"]["margin"] = 0.1
    YAML().dump(content, project.root / "params.yaml")
    _ask(served.port, 200, moved=-3.0)
    status, said = _make(project, "respond")
    assert (status != 0, "policy_changed" in said, "relapse change review mine" in said) == (True, True, True), said
    assert _champion(project) == "2"


def _until_ready(port: int) -> None:
    for _ in range(900):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the door was not open after a minute and a half")


def _ask(port: int, count: int, *, moved: float) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for number in range(count):
            patient = _patient(10_000 + number, moved=moved)
            answer = client.post("/predict", json=patient, headers={"relapse-patient": f"{moved}-{number}"})
            assert answer.status_code == 200, answer.text
