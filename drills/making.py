"""What the drills share: a small project that has run nothing, commands in it, and the count of what was not right."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
from ruamel.yaml import YAML
from tests.project import Project
from tests.server import command, environment, free_port

from relapse.ground.files import sha256_of_file
from relapse.ground.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]

COHORT = "wpbc"

#: Of audit log and monitoring store.
KEY = "a key of at least thirty-two letters"

#: What a second run may write otherwise: stages that name times and drawn numbers, and files that tell seconds.
_OTHERWISE = {"gate", "package", "register", "report"}, {"trials.parquet", "record.json"}


@dataclass
class Count:
    """Of one kind: processes killed while they ran, those that ended before, repairs, and what was not right."""

    killed: int = 0
    ended: int = 0
    repaired: int = 0
    faults: list[str] = field(default_factory=list)

    def kill(self, running: "subprocess.Popen[str]", after: float) -> bool:
        """Kill a process and all below it after some seconds; whether it was still running."""
        try:
            running.wait(after)
        except subprocess.TimeoutExpired:
            kill(running)
            self.killed += 1
            return True
        running.communicate()
        self.ended += 1
        return False

    def expect(self, right: bool, what: str) -> None:
        """Note what is wrong."""
        if not right:
            self.faults.append(what)


def kill(running: "subprocess.Popen[str]") -> None:
    """Kill a process and all below it: BentoML's workers leave its group, and would go on answering."""
    below = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGKILL)
    for process in below:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    running.communicate()
    psutil.wait_procs(below, timeout=10)


def whole(project: Project, *asked: str, status: tuple[int, ...] = (0,)) -> str:
    """What a command says that has to end well."""
    done = project.run(*asked)
    if done.returncode not in status:
        sys.exit(f"{' '.join(asked)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return str(done.stdout)


def seconds_of(call: Callable[[], object]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fresh(folder: Path) -> Project:
    """A copy of the project that has run nothing."""
    project = Project.copy(folder, cohorts=[COHORT])
    whole(project, "dvc", "init", "--no-scm", "--quiet")
    return project


def digests(project: Project) -> dict[str, str]:
    """The digest of each result that two runs have alike, models and predictions among them."""
    results = project.root / "results"
    stages, names = _OTHERWISE
    return {
        str(path.relative_to(results)): sha256_of_file(path)
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.relative_to(results).parts[0] not in stages and path.name not in names
    }


def other_policy(project: Project) -> None:
    """Ask for a little more or less, so that ``register`` has another state to publish."""
    policy = dict(YAML(typ="safe").load((project.root / "params.yaml").read_text())["register"])
    project.set_params(register=policy | {"significance": round(policy["significance"] + 0.01, 2)})


def second_version(project: Project, *before: str) -> None:
    """Register another version, which may be promoted and was not yet; ``before`` stands in front of the command."""
    other_policy(project)
    later = Project(project.root, project.settings | {"RELAPSE_PROMOTE": "later"})
    whole(later, *before, sys.executable, "pipelines/register.py", "--cohort", COHORT)


def patients(project: Project) -> Path:
    """The cohort's patients as a table to monitor, one a day."""
    table = pd.read_parquet(project.root / Workspace(COHORT).table).drop(columns=["event"])
    path = project.root / "patients.csv"
    table.assign(day=pd.date_range("2026-01-01", periods=len(table)).strftime("%Y-%m-%d")).to_csv(path, index=False)
    return path


def kept(project: Project, folder: Path) -> dict[str, str]:
    """Settings of a service that keeps audit log and monitoring store in a folder."""
    return {
        "RELAPSE_BUNDLE": str(project.root / Workspace(COHORT).bundle),
        "PYTHONPATH": str(ROOT / "src"),
        "RELAPSE_AUDIT_LOG": str(folder / "audit.jsonl"),
        "RELAPSE_AUDIT_KEY": KEY,
        "RELAPSE_MONITOR": str(folder / "store"),
        "RELAPSE_MONITOR_KEY": KEY,
    }


def start_service(home: Path, settings: dict[str, str], *before: str) -> "tuple[subprocess.Popen[str], str]":
    """Start the service, in a process group of its own; what it says goes to ``home``/server.log."""
    port = free_port()
    home.mkdir(exist_ok=True)
    with (home / "server.log").open("w") as said:
        running = subprocess.Popen(
            [*before, *command("bento/service.py:RelapseService", port=port)],
            cwd=ROOT,
            env=environment(home) | settings,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    return running, f"http://127.0.0.1:{port}"


def ready(running: "subprocess.Popen[Any]", url: str) -> bool:
    """Wait until a service answers; False where it ended before."""
    while running.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False
