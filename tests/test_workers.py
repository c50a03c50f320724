"""Work is shared out to processes whatever they load, whatever is done with warnings, wherever they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

from relapse.machinery import machinery

#: As a library's import does, a task leaves its worker larger than loky lets it grow between two tasks.
GROWS = """
import time
import warnings

from joblib import delayed

from relapse.machinery import Machinery
from relapse.workers import shared_out

warnings.simplefilter("error")


def grow(number):
    import builtins

    if number > 1:
        builtins.kept = bytearray(400_000_000)
        time.sleep(1.2)
    return number


machine = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="loky")
print(list(shared_out((delayed(grow)(number) for number in range(8)), machine, total=8, label="growing"))[-1])
"""


@pytest.mark.slow
def test_a_worker_that_is_replaced_loses_nothing_also_where_warnings_are_errors(tmp_path: Path) -> None:
    script = tmp_path / "grows.py"
    script.write_text(GROWS)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "7"), done.stderr


def test_trials_are_kept_where_this_process_stands_and_not_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELAPSE_OPTUNA_STORAGE", raising=False)
    assert machinery().storage == str(tmp_path / ".cache" / "optuna")
    monkeypatch.setenv("RELAPSE_OPTUNA_STORAGE", "kept/here")
    assert machinery().storage == str(tmp_path / "kept" / "here")
    monkeypatch.setenv("RELAPSE_OPTUNA_STORAGE", "postgresql+psycopg://host/optuna")
    assert machinery().storage == "postgresql+psycopg://host/optuna"
