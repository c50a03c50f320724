"""DVC's stages, asked through its own command: brought up to date, looked at, and taken as done."""

import json
import subprocess
import sys
from collections.abc import Iterable

from relapse.ground.errors import TrainingError

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
        raise TrainingError(f"dvc repro {' '.join(stages)} failed; the reason stands above. Nothing was trained.")


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
