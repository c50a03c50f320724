"""Work is shared out to processes whatever they load, whatever is done with warnings, wherever they stand."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from joblib import delayed

from relapse.ground.errors import NoTrialError, OutsideError, WorkersError
from relapse.machinery import Machinery, machinery
from relapse.workers import shared_out

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


FORK = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="fork")


@pytest.fixture
def left() -> Callable[[], list[Any]]:
    """Gives the processes that were started since the test began and are still there."""
    before = set(multiprocessing.active_children())
    return lambda: [one for one in multiprocessing.active_children() if one not in before]


def shared(tasks: list[Any]) -> list[Any]:
    return list(shared_out(tasks, FORK, total=len(tasks), label="work"))


def test_copies_have_what_is_loaded_and_answer_in_the_order_of_the_tasks() -> None:
    loaded = bytearray(b"only in this process's memory")

    def task(number: int) -> tuple[int, bytes, bool]:
        time.sleep(0.05 if number == 0 else 0.0)
        return number, bytes(loaded), os.getpid() == parent

    parent = os.getpid()
    assert shared([delayed(task)(number) for number in range(9)]) == [(n, bytes(loaded), False) for n in range(9)]


def test_what_a_task_raises_is_raised_here_and_no_worker_stays(left: Callable[[], list[Any]]) -> None:
    def task(number: int) -> int:
        if number == 3:
            raise NoTrialError("none of 3 trials succeeded")
        return number

    with pytest.raises(NoTrialError, match="none of 3 trials succeeded") as found:
        shared([delayed(task)(number) for number in range(9)])
    assert str(found.value) == "none of 3 trials succeeded"
    assert "in task" in found.value.__notes__[0], "where it was raised, for a bug"
    assert left() == []


def test_a_worker_that_is_killed_is_one_message(left: Callable[[], list[Any]]) -> None:
    def task(number: int) -> int:
        if number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(WorkersError, match=r"one of 2 workers was ended from outside.*RELAPSE_WORKERS"):
        shared([delayed(task)(number) for number in range(9)])
    assert left() == []


def test_what_failed_outside_of_a_worker_is_one_message_whatever_a_library_made_of_it(
    left: Callable[[], list[Any]],
) -> None:
    def task(number: int) -> int:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")
        except OSError as error:
            raise RuntimeError("a library's own words") from error

    with pytest.raises(OutsideError, match=r"somewhere: No space left on device\. Make room there"):
        shared([delayed(task)(number) for number in range(9)])
    assert left() == []


def test_results_that_nobody_waits_for_any_more_leave_no_worker(left: Callable[[], list[Any]]) -> None:
    results = shared_out([delayed(abs)(-number) for number in range(9)], FORK, total=9, label="work")
    assert next(iter(results)) == 0
    results.close()  # type: ignore[attr-defined]
    assert left() == []


ORPHANS = """
import os
import time

from joblib import delayed

from relapse.machinery import Machinery
from relapse.workers import shared_out


def sleep(number):
    print(os.getpid(), flush=True)
    time.sleep(600)


machine = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="fork")
list(shared_out((delayed(sleep)(number) for number in range(2)), machine, total=2, label="sleeping"))
"""


def test_workers_end_with_the_process_that_they_work_for(tmp_path: Path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)
