"""Processor seconds of the default run, this commit against an earlier one, stage by stage in turn.

``python -P benchmarks/pipeline.py`` from the repository root, with git's history of the earlier commit at hand;
``--before COMMIT``, ``--budget quick`` and ``--only train`` (a stage's name, may be repeated; those before it have to
have been run with the same ``--folder``) narrow it down.

Both commits are checked out into folders of their own and run in this environment. Each stage of one is followed by
the same stage of the other, so that a machine whose speed drifts slows both. Time is user and system time of the
stage's process and all those below it; DVC's own is left out, since it is the same.
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]

#: The state that the speed of later ones is held against.
BEFORE = "eb56c96"


def checked_out(commit: str, folder: Path) -> Path:
    """A clone of this repository at a commit."""
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=ROOT, capture_output=True, check=False
    )
    if known.returncode:
        sys.exit(f"{commit}: no such commit here. A shallow clone lacks it (git fetch --unshallow); or name --before.")
    if not folder.exists():
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, folder], check=True)
        subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=folder, check=True)
    return folder


def commands(folder: Path) -> dict[tuple[str, ...], list[str]]:
    """The command of each stage, in the order of ``dvc.yaml``, by the stage's name and its entries of the matrix."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    found = {}
    for name, stage in yaml.safe_load((folder / "dvc.yaml").read_text())["stages"].items():
        axes = {
            axis: params[listed.removeprefix("${").removesuffix("}")]
            for axis, listed in stage.get("matrix", {}).items()
        }
        for entry in itertools.product(*axes.values()):
            command = stage["cmd"]
            for axis, value in zip(axes, entry, strict=True):
                command = command.replace(f"${{item.{axis}}}", value)
            found[(name, *entry)] = [sys.executable, *command.split()[1:]]
    return found


def processor_seconds(command: list[str], folder: Path) -> tuple[float, float]:
    """Processor and wall seconds of a command and of all that it starts."""
    paths = {"PYTHONPATH": str(folder / "src"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # As the Makefile does: bytecode is kept even where a machine switches it off.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=folder, env=kept | paths, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)} in {folder} failed:\n{done.stderr[-2000:]}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, wall


def main() -> None:
    """Run both, print a row a stage and the ratio of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default=BEFORE, metavar="COMMIT")
    parser.add_argument("--budget", default="default")
    parser.add_argument("--only", action="append", metavar="STAGE")
    parser.add_argument("--folder", type=Path, help="where both are checked out (a new temporary folder)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = asked.folder or Path(temporary)
        folders = [checked_out(asked.before, base / "before"), checked_out("HEAD", base / "after")]
        for folder in folders:
            params = folder / "params.yaml"
            params.write_text(params.read_text().replace("budget: default", f"budget: {asked.budget}"))
        sides = [commands(folder) for folder in folders]
        totals = [0.0, 0.0]
        print(f"{'processor seconds':<34}{asked.before:>10}{'now':>10}{'ratio':>8}", flush=True)
        # In the order of now: a stage or candidate that there was not before has its place among the others.
        for stage in [*sides[1], *(stage for stage in sides[0] if stage not in sides[1])]:
            if asked.only and stage[0] not in asked.only:
                continue
            spent = [
                processor_seconds(side[stage], folder)[0] if stage in side else 0.0
                for side, folder in zip(sides, folders, strict=True)
            ]
            totals = [total + one for total, one in zip(totals, spent, strict=True)]
            ratio = f"{spent[1] / spent[0]:8.2f}" if spent[0] else "     new"
            print(f"{' '.join(stage):<34}{spent[0]:10.1f}{spent[1]:10.1f}{ratio}", flush=True)
        print(f"{'all':<34}{totals[0]:10.1f}{totals[1]:10.1f}{totals[1] / totals[0]:8.2f}")


if __name__ == "__main__":
    main()
