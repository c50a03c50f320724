"""DVC's stages, asked through its own command: brought up to date, looked at, and taken as done."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from relapse.ground.console import say
from relapse.ground.declarations import read_yaml
from relapse.ground.errors import DeclarationError, TrainingError

#: Some other command of DVC's may be at work for a moment.
_DVC = (sys.executable, "-m", "dvc", "--wait-for-lock")


def reproduce(*stages: str) -> None:
    """Bring stages up to date with all that they rest on; what DVC says is shown.

    Raises
    ------
    TrainingError
        One failed; what it said stands above.
    """
    if subprocess.run([*_DVC, "repro", *stages], check=False).returncode:
        raise TrainingError(f"dvc repro {' '.join(stages)} failed; the reason stands above.")


def reproduce_side_by_side(stages: Mapping[str, Iterable[str]], *, at_once: int) -> None:
    """Bring several groups of stages up to date, ``at_once`` groups at a time.

    Only the stages named are looked at: where two DVCs come to one stage that both rest on, one of them gives up.

    Parameters
    ----------
    stages
        The stages of each group, in their order, by the name that marks what DVC says of them.

    Raises
    ------
    TrainingError
        Some group failed; what it said stands above. The others were done.
    """
    with ThreadPoolExecutor(at_once) as threads:
        done = dict(zip(stages, threads.map(_relayed, stages, stages.values()), strict=True))
    if failed := [name for name, status in done.items() if status]:
        raise TrainingError(f"{', '.join(failed)}: dvc repro failed; the reason stands above, after its name.")


def _relayed(name: str, stages: Iterable[str]) -> int:
    """The exit status of DVC on some stages, whose lines are passed on behind a name."""
    words = [*_DVC, "repro", "--single-item", *stages]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1) as running:
        for line in running.stdout or ():
            say(f"{name} | {line.rstrip()}")
    return running.returncode


def each_of(cohort: str, candidates: Iterable[str]) -> list[str]:
    """Every stage of a cohort, in the order of dvc.yaml, which is that of the pipeline."""
    found = []
    for name, stage in read_yaml(Path("dvc.yaml"))["stages"].items():
        if "candidate" in stage.get("matrix", {}):
            found += [f"{name}@{cohort}-{candidate}" for candidate in candidates]
        elif "matrix" in stage:
            found.append(f"{name}@{cohort}")
    return found


def stale(stages: Iterable[str]) -> set[str]:
    """Those of ``stages`` that DVC would run."""
    return set(json.loads(_asked("status", "--json", *stages)))


def commit(stage: str) -> None:
    """Have DVC take the files of a stage, as they lie there, for what it makes of its inputs."""
    _asked("commit", "--force", "--quiet", stage)


def _asked(*words: str) -> str:
    done = subprocess.run([*_DVC, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise TrainingError(f"dvc {' '.join(words)}: {said[-1] if said else 'no reason was given'}")
    return done.stdout


def chosen(what: str, asked: list[str] | None, there: tuple[str, ...]) -> list[str]:
    """What was asked for of what params.yaml has, each once; all of it where nothing was.

    Raises
    ------
    DeclarationError
        Something else was asked for; ``what`` is its option.
    """
    if unknown := [name for name in asked or () if name not in there]:
        raise DeclarationError(f"--{what} {unknown[0]}: params.yaml has {', '.join(there)}.")
    return list(dict.fromkeys(asked or there))
