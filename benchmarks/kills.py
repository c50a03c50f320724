"""What is left where processes are killed (SIGKILL) at random points: pipeline, promotion, rollback, monitor, service.

``python -P benchmarks/kills.py`` from the repository root; ``--kills 5`` of each kind, ``--seed 2``. Each part runs on
real files in a temporary copy of the project with a small budget. After every kill what a user would look at is looked
at: ``relapse registry verify``, the chain of the audit log, the files of the look; at the end all of it has to equal a
run that nobody disturbed. The exit status is 1 where it does not.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.project import Project  # noqa: E402
from tests.server import command, environment, free_port  # noqa: E402

from relapse.cohorts.catalogue import read_cohort  # noqa: E402
from relapse.ground.files import sha256_of_file  # noqa: E402
from relapse.ground.workspace import Workspace  # noqa: E402

COHORT = "wpbc"

#: What a second run may write otherwise: stages that name times and drawn numbers, and files that tell seconds.
_OTHERWISE = {"gate", "package", "register", "report"}, {"trials.parquet", "record.json"}


@dataclass
class Count:
    """Of one kind: processes killed while they ran, those that ended before, and what was not right."""

    killed: int = 0
    ended: int = 0
    faults: list[str] = field(default_factory=list)

    def kill(self, running: "subprocess.Popen[str]", after: float) -> bool:
        """Kill a process and all of its group after some seconds; whether it was still running."""
        try:
            running.wait(after)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()
            self.killed += 1
            return True
        running.communicate()
        self.ended += 1
        return False

    def expect(self, right: bool, what: str) -> None:
        """Note what is wrong."""
        if not right:
            self.faults.append(what)


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


def pipeline(folder: Path, undisturbed: Project, kills: int, draw: random.Random) -> tuple[Count, Project]:
    """Kill ``dvc repro`` again and again, from the beginning once it is through."""
    count, number = Count(), 0
    project = fresh(folder / "killed-0")
    while count.killed < kills:
        if not count.kill(project.start("dvc", "repro"), draw.uniform(1.0, 15.0)):
            _as_undisturbed(count, project, undisturbed)
            number += 1
            project = fresh(folder / f"killed-{number}")
    whole(project, "dvc", "repro")
    _as_undisturbed(count, project, undisturbed)
    return count, project


def _as_undisturbed(count: Count, project: Project, undisturbed: Project) -> None:
    expected, found = digests(undisturbed), digests(project)
    for name in sorted(expected.keys() | found.keys()):
        count.expect(expected.get(name) == found.get(name), f"results/{name} differs from the undisturbed run's")
    champions = [_champion(one) for one in (undisturbed, project)]
    count.expect(champions[0] == champions[1], f"champion {champions[1]} instead of {champions[0]}")
    _verify(count, project)


def _champion(project: Project) -> dict[str, Any]:
    said = json.loads((project.root / Workspace(COHORT).decision).read_text())
    return {"candidate": said["candidate"]} | {"champion": said["champion"] and said["champion"]["version"]}


def _verify(count: Count, project: Project) -> None:
    done = project.run("relapse", "registry", "verify", COHORT)
    count.expect(done.returncode == 0, f"verify: {done.stdout[-600:]}")


def moves(project: Project, kills: int, draw: random.Random) -> tuple[Count, Count]:
    """Kill promotions to version 2 and rollbacks from it, in turn; each is then carried out to its end."""
    later = Project(project.root, project.settings | {"RELAPSE_PROMOTE": "later"})
    later.set_params(register=_policy(project) | {"significance": 0.06})
    whole(later, sys.executable, "pipelines/register.py", "--cohort", COHORT)
    ways = {
        "promote": ("relapse", "registry", "promote", COHORT, "2"),
        "rollback": ("relapse", "registry", "rollback", COHORT),
    }
    takes = {name: seconds_of(lambda asked=asked: whole(project, *asked)) for name, asked in ways.items()}  # type: ignore[misc]
    counts = {name: Count() for name in ways}
    versions = {"promote": "2", "rollback": "1"}
    while min(count.killed for count in counts.values()) < kills:
        for name, asked in ways.items():
            # Most of the time is Python's start, which nothing can happen to.
            running = project.start(*asked)
            counts[name].kill(running, draw.uniform(0.4, 1.05) * takes[name])
            # Carried out already, or refused since nothing is left to do; anything else shows below.
            project.run(*asked)
            _verify(counts[name], project)
            at = _alias(project)
            counts[name].expect(at == versions[name], f"after {name} the champion is version {at}")
    return counts["promote"], counts["rollback"]


def _policy(project: Project) -> dict[str, Any]:
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load((project.root / "params.yaml").read_text())["register"])


def _alias(project: Project) -> str:
    from mlflow import MlflowClient

    from relapse.machinery import own_registry

    found = MlflowClient(own_registry(project.root)).get_registered_model(f"relapse-{COHORT}")
    return str(found.aliases.get("champion"))


def monitor(project: Project, kills: int, draw: random.Random) -> Count:
    """Kill looks that write into one folder; the folder then holds the look before or the whole new one."""
    count, at = Count(), Workspace(COHORT)
    table = pd.read_parquet(project.root / at.table).drop(columns=["event"])
    patients = project.root / "patients.csv"
    table.assign(day=pd.date_range("2026-01-01", periods=len(table)).strftime("%Y-%m-%d")).to_csv(patients, index=False)
    asked = ("relapse", "monitor", COHORT, "--table", str(patients), "--until", "2026-12-31")
    alone = project.root / "looks" / "alone"
    takes = seconds_of(lambda: whole(project, *asked, "--out", str(alone), status=(0, 3)))
    expected = {path.name: sha256_of_file(path) for path in alone.iterdir()}
    folder = project.root / "looks" / "killed"
    while count.killed < kills:
        count.kill(project.start(*asked, "--out", str(folder)), draw.uniform(0.4, 1.05) * takes)
        for path in folder.iterdir() if folder.is_dir() else []:
            # A name that no look has is a file that was being written beside the real one.
            right = path.name not in expected or sha256_of_file(path) == expected[path.name]
            count.expect(right, f"monitor: {path.name} is half-written")
    whole(project, *asked, "--out", str(folder), status=(0, 3))
    found = {path.name: sha256_of_file(path) for path in folder.iterdir() if path.name in expected}
    count.expect(found == expected, "monitor: the look differs from the undisturbed one")
    return count


def service(project: Project, kills: int, draw: random.Random) -> Count:
    """Kill a service that answers: what it answered stands in the audit log, whose chain holds and goes on."""
    count, answered = Count(), 0
    log, key = project.root / "audit.jsonl", "a key of at least thirty-two letters"
    table = pd.read_parquet(project.root / Workspace(COHORT).table)
    names = read_cohort(project.root / Workspace(COHORT).resolved).predictors
    bodies = [json.loads(row.to_json()) for _, row in table[names].head(20).iterrows()]
    settings = {
        "RELAPSE_BUNDLE": str(project.root / Workspace(COHORT).bundle),
        "PYTHONPATH": str(ROOT / "src"),
        "RELAPSE_AUDIT_LOG": str(log),
        "RELAPSE_AUDIT_KEY": key,
        "RELAPSE_MONITOR": str(project.root / "store"),
        "RELAPSE_MONITOR_KEY": key,
    }
    home = project.root / "home"
    home.mkdir()
    while count.killed < kills:
        port = free_port()
        with (home / "server.log").open("w") as said:
            running = subprocess.Popen(
                command("bento/service.py:RelapseService", port=port),
                cwd=ROOT,
                env=environment(home) | settings,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        while not _ready(url):
            if running.poll() is not None:
                count.expect(False, f"the service did not start: {(home / 'server.log').read_text()[-600:]}")
                return count
            time.sleep(0.1)
        done = [0, 0]
        threads = [threading.Thread(target=_ask, args=(url, bodies, done, place)) for place in range(2)]
        for thread in threads:
            thread.start()
        count.kill(running, draw.uniform(0.1, 2.0))
        for thread in threads:
            thread.join()
        answered += sum(done)
        checked = Project(project.root, {"RELAPSE_AUDIT_KEY": key}).run("relapse", "audit-log", str(log))
        count.expect(checked.returncode == 0, f"audit log: {checked.stdout[-400:]}")
        lines = len(log.read_text().splitlines()) if log.exists() else 0
        count.expect(lines >= answered, f"{answered} answers, {lines} lines in the audit log")
    print(f"  {answered} answers given, all in the log", flush=True)
    return count


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _ask(url: str, bodies: list[dict[str, Any]], done: list[int], place: int) -> None:
    """Ask until nobody answers."""
    with httpx.Client(base_url=url, timeout=5) as client:
        for number in range(100_000):
            try:
                answer = client.post("/predict", json=bodies[number % len(bodies)])
            except httpx.HTTPError:
                return
            done[place] += answer.status_code == 200


def main() -> None:
    """Run every part, print a row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=22, help="of each of the five kinds")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    draw, start = random.Random(asked.seed), time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        undisturbed = fresh(folder / "undisturbed")
        print(f"undisturbed run: {seconds_of(lambda: whole(undisturbed, 'dvc', 'repro')):.0f} s", flush=True)
        counts: dict[str, Count] = {}

        def told(**found: Count) -> None:
            for name, count in found.items():
                counts[name] = count
                verdict = "as undisturbed" if not count.faults else f"{len(count.faults)} faults"
                print(f"{name:<10}{count.killed:>4} killed{count.ended:>4} ended before   {verdict}", flush=True)
                for fault in count.faults[:5]:
                    print(f"  {fault}", flush=True)

        count, killed = pipeline(folder, undisturbed, asked.kills, draw)
        told(pipeline=count)
        promoted, back = moves(killed, asked.kills, draw)
        told(promote=promoted, rollback=back)
        told(monitor=monitor(killed, asked.kills, draw))
        told(service=service(killed, asked.kills, draw))
        shutil.rmtree(folder / "undisturbed")
    total = sum(count.killed for count in counts.values())
    faults = sum(len(count.faults) for count in counts.values())
    print(f"{total} processes killed in {(time.perf_counter() - start) / 60:.0f} min, {faults} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
