"""What is left where processes are killed (SIGKILL) at random points: pipeline, promotion, rollback, monitor, service.

``make kills``, or ``python -m drills.kills`` from the repository root; ``--kills 5`` of each kind, ``--seed 2``,
parts by name: ``pipeline moves monitor service``. Each part runs on real files in a temporary copy of the project with
a small budget. After every kill what a user would look at is looked at: the registry's faults, the chain of the audit
log, the files of the look; at the end all of it has to equal a run that nobody disturbed. The exit status is 1 where it
does not.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from tests.project import Project

from drills.making import (
    COHORT,
    KEY,
    Count,
    digests,
    fresh,
    kept,
    kill,
    patients,
    ready,
    second_version,
    seconds_of,
    start_service,
    whole,
)
from relapse.cohorts.catalogue import read_cohort
from relapse.ground.files import read_json, sha256_of_file
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.tracking.client import connect
from relapse.tracking.registry.faults import faults

PARTS = ["pipeline", "moves", "monitor", "service"]


def pipeline(project: Project, undisturbed: Project, kills: int, draw: random.Random) -> Count:
    """Kill ``dvc repro`` again and again, from the beginning in another copy once it is through."""
    count, copy = Count(), project
    while count.killed < kills:
        if not count.kill(copy.start("dvc", "repro"), draw.uniform(1.0, 15.0)):
            _as_undisturbed(count, copy, undisturbed)
            copy = fresh(project.root.with_name(f"killed-{count.ended}"))
    for each in {copy.root: copy, project.root: project}.values():
        whole(each, "dvc", "repro")
        _as_undisturbed(count, each, undisturbed)
    return count


def _as_undisturbed(count: Count, project: Project, undisturbed: Project) -> None:
    expected, found = digests(undisturbed), digests(project)
    for name in sorted(expected.keys() | found.keys()):
        count.expect(expected.get(name) == found.get(name), f"results/{name} differs from the undisturbed run's")
    champions = [_champion(one) for one in (undisturbed, project)]
    count.expect(champions[0] == champions[1], f"{champions[1]} instead of {champions[0]}")
    said = [one.run("dvc", "status").stdout for one in (undisturbed, project)]
    count.expect(said[0] == said[1], f"dvc status: {said[1][-600:]}")
    _verify(count, project)


def _champion(project: Project) -> dict[str, Any]:
    decision = read_json(project.root / Workspace(COHORT).decision)
    manifest = read_json(project.root / Workspace(COHORT).bundle / "manifest.json")
    return {key: decision[key] for key in ("challenger", "promoted", "champion", "content_hash")} | {
        "served": (manifest["candidate"], manifest["version"], manifest["content_hash"])
    }


def _verify(count: Count, project: Project) -> None:
    done = project.run("relapse", "registry", "verify", COHORT)
    count.expect(done.returncode == 0, f"verify: {done.stdout[-600:]}")


def moves(project: Project, kills: int, draw: random.Random) -> tuple[Count, Count]:
    """Kill promotions to version 2 and rollbacks from it, in turn; each is then carried out to its end.

    A move that was cut short is put right by the command that the registry names.
    """
    second_version(project)
    ways = {
        "promote": ("2", ("relapse", "registry", "promote", COHORT, "2")),
        "rollback": ("1", ("relapse", "registry", "rollback", COHORT)),
    }
    client = connect(machinery(project.root))
    takes = {name: seconds_of(lambda asked=asked: whole(project, *asked)) for name, (_, asked) in ways.items()}  # type: ignore[misc]
    counts = {name: Count() for name in ways}
    while min(count.killed for count in counts.values()) < kills:
        for name, (version, asked) in ways.items():
            count = counts[name]
            # Most of the time is Python's start, which nothing can happen to.
            count.kill(project.start(*asked), draw.uniform(0.6, 1.05) * takes[name])
            if faults(client, COHORT, root=project.root):
                whole(project, "relapse", "registry", "verify", COHORT, "--repair")
                count.repaired += 1
            if _alias(client) != version:
                whole(project, *asked)
            found = [str(fault) for fault in faults(client, COHORT, root=project.root)]
            count.expect(not found, f"after {name}: {'; '.join(found)}")
            count.expect(_alias(client) == version, f"after {name} the champion is version {_alias(client)}")
    for count in counts.values():
        _verify(count, project)
    return counts["promote"], counts["rollback"]


def _alias(client: Any) -> str:
    return str(client.get_registered_model(f"relapse-{COHORT}").aliases.get("champion"))


def monitor(project: Project, kills: int, draw: random.Random) -> Count:
    """Kill looks that write into one folder; each file in it is then the one before or the whole new one."""
    count = Count()
    asked = ("relapse", "monitor", COHORT, "--table", str(patients(project)), "--until", "2026-12-31")
    alone = project.root / "looks" / "alone"
    takes = seconds_of(lambda: whole(project, *asked, "--out", str(alone), status=(0, 3)))
    expected, folder = _look(alone), project.root / "looks" / "killed"
    while count.killed < kills:
        count.kill(project.start(*asked, "--out", str(folder)), draw.uniform(0.4, 1.05) * takes)
        for name, digest in _look(folder).items():
            count.expect(digest == expected.get(name), f"monitor: {name} is half-written")
    whole(project, *asked, "--out", str(folder), status=(0, 3))
    count.expect(_look(folder) == expected, "monitor: the look differs from the undisturbed one")
    return count


def _look(folder: Path) -> dict[str, str]:
    """The digest of each file of a look; a hidden one was being written beside the real one when its writer died."""
    return {
        str(path.relative_to(folder)): sha256_of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def service(project: Project, kills: int, draw: random.Random) -> Count:
    """Kill a service that answers: what it answered stands in log and store, and the chain holds and goes on."""
    count, answered = Count(), 0
    settings, home = kept(project, project.root), project.root / "home"
    log, store = Path(settings["RELAPSE_AUDIT_LOG"]), Path(settings["RELAPSE_MONITOR"])
    table = pd.read_parquet(project.root / Workspace(COHORT).table)
    names = read_cohort(project.root / Workspace(COHORT).resolved).predictors
    bodies = [json.loads(row.to_json()) for _, row in table[names].head(20).iterrows()]
    checked = Project(project.root, {"RELAPSE_AUDIT_KEY": KEY})
    while count.killed < kills:
        running, url = start_service(home, settings)
        if not ready(running, url):
            count.expect(False, f"the service did not start: {(home / 'server.log').read_text()[-600:]}")
            return count
        done = [0, 0]
        threads = [threading.Thread(target=_ask, args=(url, bodies, done, place)) for place in range(2)]
        for thread in threads:
            thread.start()
        count.kill(running, draw.uniform(0.1, 2.0))
        for thread in threads:
            thread.join()
        answered += sum(done)
        found = checked.run("relapse", "audit-log", str(log))
        # Killed in the middle of a line, whose answer was not given: the next start sets the half aside.
        count.expect(found.returncode == 0 or "cut short" in found.stdout, f"audit log: {found.stdout[-400:]}")
        for kind, lines in (("audit log", _lines(log)), ("store", sum(map(_lines, store.glob("*.jsonl"))))):
            count.expect(lines >= answered, f"{answered} answers, {lines} lines in the {kind}")
    running, url = start_service(home, settings)
    count.expect(ready(running, url), "the service does not start after the last kill")
    kill(running)
    whole(checked, "relapse", "audit-log", str(log))
    whole(checked, "relapse", "monitor", COHORT, "--store", str(store), status=(0, 3))
    said: dict[str, set[str]] = {}
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        said.setdefault(entry["input"], set()).add(json.dumps(entry["output"]))
    count.expect(all(len(outputs) == 1 for outputs in said.values()), "a patient was answered in two ways")
    print(f"  {answered} answers given, {_lines(log)} lines in the audit log", flush=True)
    return count


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


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
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="part", help=", ".join(PARTS))
    parser.add_argument("--kills", type=int, default=22, help="of each of the five kinds")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    draw, start = random.Random(asked.seed), time.perf_counter()
    counts: dict[str, Count] = {}

    def told(run: Callable[[], tuple[Count, ...]], *names: str) -> None:
        began = time.perf_counter()
        for name, count in zip(names, run(), strict=True):
            counts[name] = count
            verdict = "as undisturbed" if not count.faults else f"{len(count.faults)} faults"
            print(
                f"{name:<10}{count.killed:>4} killed{count.ended:>4} ended before{count.repaired:>4} repaired   "
                f"{verdict}, {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            for fault in count.faults[:5]:
                print(f"  {fault}", flush=True)

    with tempfile.TemporaryDirectory(prefix="relapse-kills-") as temporary:
        folder = Path(temporary)
        project = undisturbed = fresh(folder / "undisturbed")
        print(f"undisturbed run: {seconds_of(lambda: whole(undisturbed, 'dvc', 'repro')):.0f} s", flush=True)
        if "pipeline" in asked.parts:
            project = fresh(folder / "killed")
            told(lambda: (pipeline(project, undisturbed, asked.kills, draw),), "pipeline")
        if "moves" in asked.parts:
            told(lambda: moves(project, asked.kills, draw), "promote", "rollback")
        if "monitor" in asked.parts:
            told(lambda: (monitor(project, asked.kills, draw),), "monitor")
        if "service" in asked.parts:
            told(lambda: (service(project, asked.kills, draw),), "service")
    total = sum(count.killed for count in counts.values())
    wrong = sum(len(count.faults) for count in counts.values())
    print(f"{total} processes killed in {(time.perf_counter() - start) / 60:.0f} min, {wrong} faults")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
