"""What a user sees and what is left where something around the project fails, and whether it goes on afterwards.

``make faults``, or ``python -m drills.faults`` from the repository root; parts by name: ``full readonly postgres
server clock``. A disk that fills and one that may not be written to are a tmpfs (root alone may mount one), PostgreSQL
and MLflow's server are real and stopped in the middle, and the clock is moved back by Debian's ``faketime``. A part
that is not possible here is skipped, and said to be. The exit status is 1 where a message is not one clear line,
something is lost or half-written, or the same command does not go on afterwards.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from tests import postgres
from tests.project import Project
from tests.server import free_port

from drills.making import (
    COHORT,
    KEY,
    digests,
    fresh,
    kept,
    kill,
    other_policy,
    patients,
    ready,
    second_version,
    start_service,
    whole,
)
from relapse.cohorts.catalogue import read_cohort
from relapse.ground.workspace import Workspace

#: Bytes of the disk that is to fill, and kilobytes left on it: some fail at once, some in the middle of a file.
_SIZE, _LEFT = 500 << 20, (0, 100)

REGISTER = (sys.executable, "pipelines/register.py", "--cohort", COHORT)
TRAIN = (sys.executable, "pipelines/train.py", "--cohort", COHORT, "--candidate", "linear")

MOVES = {
    "promote": ("relapse", "registry", "promote", COHORT, "2"),
    "rollback": ("relapse", "registry", "rollback", COHORT),
}


@dataclass
class Told:
    """What was seen: how often it failed and went on, the messages, and what was not right."""

    failed: int = 0
    through: int = 0
    messages: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def run(self, name: str, project: Project, *asked: str, status: tuple[int, ...] = (0,)) -> bool:
        """Run a command in the fault; whether it failed, which it has to do in one clear line."""
        done = project.run(*asked)
        return self.ended(name, done.returncode, done.stdout, status=status)

    def ended(self, name: str, returncode: int, said: str, *, status: tuple[int, ...] = (0,)) -> bool:
        """Note how a command ended."""
        if returncode in status:
            self.through += 1
            return False
        self.failed += 1
        # DVC writes ERROR.
        errors = [line for line in said.splitlines() if line.lower().startswith("error: ")]
        self.messages.setdefault(name, errors[-1] if errors else "none")
        clear = len(errors) == 1 or (errors and name == "dvc repro")
        self.expect(clear and "Traceback" not in said, f"{name}: no one clear line:\n{said[-2500:]}")
        return True

    def expect(self, right: bool, what: str) -> None:
        """Note what is wrong."""
        if not right:
            self.wrong.append(what)


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path, left: int) -> Iterator[None]:
    """Fill a disk but for some kilobytes."""
    found, ballast = os.statvfs(folder), folder / "ballast"
    with ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(found.f_bavail * found.f_frsize - left * 1024, 1))
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def readonly(folder: Path) -> Iterator[None]:
    """Let nobody write on a disk, root neither."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


def commands(project: Project) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """What is run in a fault of the disk, by name, with the statuses that are no failure."""
    look = ("relapse", "monitor", COHORT, "--table", str(project.root / "patients.csv"), "--until", "2026-12-31")
    stage = {
        name: ((sys.executable, f"pipelines/{name}.py", "--cohort", COHORT), (0,))
        for name in ("ingest", "evaluate", "register", "package", "report")
    }
    return {
        "train": (TRAIN, (0,)),
        **{name: (asked, (0,)) for name, asked in MOVES.items()},
        **stage,
        "monitor": ((*look, "--out", "look"), (0, 3)),
        "backup": (("relapse", "project", "backup", "backup.zip"), (0,)),
        "dvc repro": (("dvc", "repro", "--force", f"split@{COHORT}"), (0,)),
    }


def on_a_disk(told: Told, project: Project, faults: list[Callable[[], Any]]) -> None:
    """Every command in every fault, and then once more without it; the end has to be that of an undisturbed run."""
    expected = digests(project)
    patients(project)
    for name, (asked, status) in commands(project).items():
        print(f"  {name}", flush=True)
        for fault in faults:
            before = digests(project)
            if name == "train":
                shutil.rmtree(project.root / ".cache" / "optuna", ignore_errors=True)
            if name == "register":
                other_policy(project)
            if name in MOVES:
                # The other one first, where that is possible: only then there is something to do.
                project.run(*MOVES[{"promote": "rollback", "rollback": "promote"}[name]])
            (project.root / "backup.zip").unlink(missing_ok=True)
            with fault():
                failed = told.run(name, project, *asked, status=status)
            half = [
                path
                for path, digest in digests(project).items()
                if digest not in (before.get(path), expected.get(path))
            ]
            told.expect(not half, f"{name}: half-written: {half}")
            if failed:
                again = project.run(*asked)
                if again.returncode not in status and name in ("promote", "rollback"):
                    # A move that was written down and not made: the message names the command that makes it.
                    told.expect("--repair" in again.stdout, f"{name}: {again.stdout[-1500:]}")
                    again = project.run("relapse", "registry", "verify", COHORT, "--repair")
                if name == "dvc repro" and "Unable to read RWLock-file" in again.stdout:
                    # DVC writes its own lock in place: half of it stays on a full disk (docs/operations.md).
                    told.messages["dvc repro, afterwards"] = again.stdout.strip().splitlines()[-1]
                    (project.root / ".dvc" / "tmp" / "rwlock").unlink()
                    again = project.run(*asked)
                told.expect(again.returncode in status, f"{name} does not go on: {again.stdout[-1500:]}")
    whole(project, "dvc", "repro")
    told.expect(digests(project) == expected, "the end is not that of an undisturbed run")
    verified(told, project)


def verified(told: Told, project: Project, *before: str) -> None:
    """Whether registry, records, files and receipts agree."""
    done = project.run(*before, "relapse", "registry", "verify", COHORT)
    told.expect(done.returncode == 0, f"verify: {done.stdout[-1500:]}")


def served(told: Told, project: Project, folder: Path, fault: Callable[[], Any]) -> None:
    """A service whose log and store are on a disk that fails meanwhile."""
    body = one_patient(project)
    settings = kept(project, folder)
    # The server's own output is not what fails.
    with tempfile.TemporaryDirectory(prefix="relapse-home-") as elsewhere:
        home = Path(elsewhere)
        running, url = start_service(home, settings)
        try:
            told.expect(ready(running, url), f"the service does not start: {(home / 'server.log').read_text()[-800:]}")
            given = [httpx.post(f"{url}/predict", json=body).status_code for _ in range(3)]
            with fault():
                # A full disk still has what is left of a file's last block.
                while (refused := httpx.post(f"{url}/predict", json=body)).status_code == 200 and len(given) < 100:
                    given.append(200)
                alive = httpx.get(f"{url}/readyz").status_code
            told.failed += 1
            told.messages["service"] = f"{refused.status_code} {refused.text[:300]}"
            told.expect(refused.status_code == 503 and alive == 200, f"service: {refused.status_code} {refused.text}")
            given += [httpx.post(f"{url}/predict", json=body).status_code for _ in range(3)]
            told.expect(set(given) == {200}, f"service: {given}")
        finally:
            kill(running)
        said = (home / "server.log").read_text()
        told.messages["service's log"] = next(
            (line for line in said.splitlines() if "audit log cannot" in line), "none"
        )
        told.expect("Traceback" not in said, f"service's log: {said[-2500:]}")
    counted(told, project, settings, len(given), missed=len(given) - 6)


def counted(told: Told, project: Project, settings: dict[str, str], answers: int, *, missed: int = 0) -> None:
    """Whether every answer stands in audit log and store, once."""
    log, store = Path(settings["RELAPSE_AUDIT_LOG"]), Path(settings["RELAPSE_MONITOR"])
    done = Project(project.root, {"RELAPSE_AUDIT_KEY": KEY}).run("relapse", "audit-log", str(log))
    told.expect(f"{answers} lines, none altered" in done.stdout, f"audit log: {done.stdout}")
    lines = sum(len(path.read_text().splitlines()) for path in store.glob("*.jsonl"))
    # What monitoring cannot keep is answered all the same, and said.
    told.expect(answers - missed <= lines <= answers, f"store: {lines} lines for {answers} answers")


def one_patient(project: Project) -> dict[str, Any]:
    """The first patient of the table, as the service takes her."""
    names = read_cohort(project.root / Workspace(COHORT).resolved).predictors
    row = pd.read_parquet(project.root / Workspace(COHORT).table)[names].iloc[0]
    found: dict[str, Any] = json.loads(row.to_json())
    return found


def of_full(told: Told, folder: Path, draw: random.Random) -> None:
    """Disk full."""
    with disk(folder / "disk") as small:
        project = finished(small / "project")
        on_a_disk(told, project, [lambda left=left: full(small, left) for left in _LEFT])  # type: ignore[misc]
        (small / "kept").mkdir()
        served(told, project, small / "kept", lambda: full(small, 0))


def of_readonly(told: Told, folder: Path, draw: random.Random) -> None:
    """Read-only folder."""
    with disk(folder / "disk") as small:
        project = finished(small / "project")
        on_a_disk(told, project, [lambda: readonly(small)])
        (small / "kept").mkdir()
        served(told, project, small / "kept", lambda: readonly(small))


def finished(folder: Path) -> Project:
    """A project that has run, with a second version to move to."""
    project = fresh(folder)
    whole(project, "dvc", "repro")
    second_version(project)
    return project


def evaluated(project: Project) -> None:
    """Run everything before ``register``."""
    whole(project, "dvc", "repro", *(f"{stage}@{COHORT}" for stage in ("evaluate", "audit", "explain", "describe")))


def cut(
    told: Told,
    name: str,
    project: Project,
    asked: tuple[str, ...],
    wait: "Callable[[subprocess.Popen[str]], Any]",
    stop: Callable[[], Any],
) -> bool:
    """Run a command, wait, take something away from it, and note how it ended; whether it failed."""
    running = project.start(*asked)
    wait(running)
    stop()
    said, _ = running.communicate(timeout=600)
    return told.ended(name, running.returncode, said)


def of_postgres(told: Told, folder: Path, draw: random.Random) -> None:
    """PostgreSQL down for a while: Optuna's trials, MLflow and the registry in it."""
    with postgres.stoppable() as server:
        own = {
            "RELAPSE_OPTUNA_STORAGE": postgres.create(server.url, "optuna"),
            "MLFLOW_TRACKING_URI": postgres.create(server.url, "mlflow"),
        }
        plain = fresh(folder / "undisturbed")
        whole(plain, "dvc", "repro")
        project = Project(fresh(folder / "project").root, own)
        whole(project, "dvc", "repro", f"split@{COHORT}")
        asked = {"train": TRAIN, "register": REGISTER, "promote": ("relapse", "registry", "promote", COHORT, "2")}
        for name, command in asked.items():
            if name == "register":
                evaluated(project)
            if name == "promote":
                second_version(project)
            server.stop()
            told.run(f"{name}, down before", project, *command)
            server.start()
            for after in (draw.uniform(2, 5), draw.uniform(4, 8), draw.uniform(6, 14)):
                cut(told, name, project, command, lambda _, after=after: time.sleep(after), server.stop)  # type: ignore[misc]
                server.start()
            if name == "promote":
                whole(project, "relapse", "registry", "verify", COHORT, "--repair")
                if "champion" not in project.run("relapse", "registry", "show", COHORT, "2").stdout:
                    project.run(*command)
            else:
                whole(project, *command)
        whole(project, "dvc", "repro")
        told.expect(digests(project) == digests(plain), "the end is not that of an undisturbed run")
        verified(told, project)


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """MLflow's own server, until the end of the block."""
    folder.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    words += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with (folder / "log").open("a") as log:
        running = subprocess.Popen(
            words,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            start_new_session=True,
            text=True,
        )
    try:
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield running
    finally:
        if running.poll() is None:
            kill(running)


def of_server(told: Told, folder: Path, draw: random.Random) -> None:
    """MLflow's server gone in the middle of ``register``: for good, and for a few seconds."""
    port, home = free_port(), folder / "server"
    project = Project(fresh(folder / "project").root, {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
    evaluated(project)

    def asked_for(times: int) -> "Callable[[subprocess.Popen[str]], Any]":
        """Wait until the server was asked so often: what comes before that is loading."""
        before = (home / "log").read_text().count("/api/")

        def wait(running: "subprocess.Popen[str]") -> None:
            while running.poll() is None and (home / "log").read_text().count("/api/") < before + times:
                time.sleep(0.02)

        return wait

    for times in (draw.randint(5, 40), draw.randint(40, 120)):
        with mlflow_server(home, port) as running:
            start = time.perf_counter()
            cut(told, "register", project, REGISTER, asked_for(times), lambda running=running: kill(running))  # type: ignore[misc]
            print(f"  gone after {times} requests, told after {time.perf_counter() - start:.0f} s", flush=True)
    told.run("register, down before", project, *REGISTER)
    with mlflow_server(home, port) as running:
        wait, work = asked_for(draw.randint(20, 80)), project.start(*REGISTER)
        wait(work)
        kill(running)
        with mlflow_server(home, port):
            said, _ = work.communicate(timeout=600)
            back = told.ended("register, back after seconds", work.returncode, said)
            print(f"  back after seconds: {'failed' if back else 'went on by itself'}", flush=True)
            whole(project, "dvc", "repro", f"package@{COHORT}")
            verified(told, project)
            second_version(project)
            whole(project, "relapse", "registry", "promote", COHORT, "2")
            verified(told, project)


def of_clock(told: Told, folder: Path, draw: random.Random) -> None:
    """The clock moved back by a day each time: registry, look, service."""

    def at(days: int) -> tuple[str, ...]:
        return ("env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", f"-{days}d") if days else ()

    project = fresh(folder / "project")
    whole(project, "dvc", "repro")
    # It is run always, and publishes what is not published.
    ran = set(re.findall("Running stage '(.+?)'", whole(project, *at(1), "dvc", "repro")))
    told.expect(ran <= {f"register@{COHORT}"}, f"with another clock dvc runs {ran}")
    second_version(project, *at(1))
    whole(project, *at(2), "relapse", "registry", "promote", COHORT, "2")
    verified(told, project, *at(2))
    whole(project, *at(3), "relapse", "registry", "rollback", COHORT)
    whole(project, *at(3), "relapse", "registry", "verify", COHORT, "--repair")
    records = [json.loads(path.read_text()) for path in sorted((project.root / "mlruns/moves" / COHORT).glob("*.json"))]
    told.expect([item["number"] for item in records] == [1, 2, 3], f"records: {records}")
    told.expect(records[2]["when"] < records[1]["when"] < records[0]["when"], "the clock was not moved")
    whole(project, "dvc", "repro")
    verified(told, project)
    settings, body = kept(project, folder), one_patient(project)
    for days in (0, 1, 2):
        with tempfile.TemporaryDirectory(prefix="relapse-home-") as home:
            running, url = start_service(Path(home), settings, *at(days))
            told.expect(ready(running, url), f"the service does not start: {(Path(home) / 'server.log').read_text()}")
            given = [httpx.post(f"{url}/predict", json=body).status_code for _ in range(3)]
            told.expect(given == [200] * 3, f"service: {given}")
            kill(running)
    counted(told, project, settings, 9)
    look = (*at(2), "relapse", "monitor", COHORT, "--store", settings["RELAPSE_MONITOR"])
    said = whole(project, *look, status=(0, 3))
    told.messages["monitor"] = next((line for line in said.splitlines() if "later look" in line), "none")
    told.expect("6 answers are of days after" in said, f"monitor: {said}")
    told.through += 1


PARTS: dict[str, tuple[str, Callable[[Told, Path, random.Random], None]]] = {
    "full": ("disk full", of_full),
    "readonly": ("read-only folder", of_readonly),
    "postgres": ("PostgreSQL down for a while", of_postgres),
    "server": ("MLflow's server gone", of_server),
    "clock": ("clock moved back", of_clock),
}


def lacking(part: str) -> str:
    """Why a part is not possible here; empty where it is."""
    if part in ("full", "readonly") and os.geteuid() != 0:
        return "only root may mount a tmpfs"
    if part == "clock" and not shutil.which("faketime"):
        return "faketime is not installed (Debian package faketime)"
    if part == "postgres" and not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin"))):
        return "PostgreSQL is not installed (Debian package postgresql)"
    return ""


def main() -> None:
    """Run the parts that are asked for, print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="part", help=", ".join(PARTS))
    parser.add_argument("--seed", type=int, default=1)
    asked, wrong, start = parser.parse_args(), 0, time.perf_counter()
    if unknown := set(asked.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(unknown)}")
    for part in asked.parts:
        name, run = PARTS[part]
        if why := lacking(part):
            print(f"{name}: skipped, {why}")
            continue
        told, began = Told(), time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="relapse-faults-") as temporary:
            try:
                run(told, Path(temporary), random.Random(asked.seed))
            except SystemExit as error:
                told.wrong.append(str(error))
        verdict = "nothing lost" if not told.wrong else f"{len(told.wrong)} wrong"
        seconds = time.perf_counter() - began
        print(f"{name}: {told.failed} failed, {told.through} came through, {verdict}, {seconds:.0f} s", flush=True)
        for command, message in told.messages.items():
            print(f"  {command}: {message}")
        for what in told.wrong:
            print(f"  WRONG {what}")
        wrong += len(told.wrong)
    print(f"{(time.perf_counter() - start) / 60:.0f} min, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
