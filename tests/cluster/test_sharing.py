"""Work on a real cluster: results in order, data once to each worker, and each fault one message."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from joblib import delayed

from relapse.cluster.session import session
from relapse.ground.errors import DeclarationError, NoTrialError, WorkersError
from relapse.machinery import Machinery
from relapse.workers import shared_out
from tests.cluster.running import Cluster, environment, running, until

DASK = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="dask")


def _data(cluster: Cluster, what: str) -> list[str]:
    """The names of data that a scheduler or worker of a cluster said it was registering, starting or removing."""
    return re.findall(rf"{what} Worker plugin (relapse-data-\S+)", cluster.said())


def test_results_come_in_the_order_of_the_tasks_from_processes_of_their_own(cluster: Cluster) -> None:
    def task(number: int) -> tuple[int, int]:
        time.sleep(0.3 if number == 0 else 0.01)
        return number, os.getpid()

    for ahead in ("2*n_jobs", "n_jobs"):
        tasks = (delayed(task)(number) for number in range(9))
        found = list(shared_out(tasks, DASK, total=9, label="work", ahead=ahead))
        assert [number for number, _ in found] == list(range(9))
        assert os.getpid() not in {process for _, process in found}
        assert len({process for _, process in found}) == 2


def test_data_that_many_tasks_take_go_once_to_each_worker_and_are_forgotten_at_the_end(cluster: Cluster) -> None:
    table = pd.DataFrame({"size": range(50_000)})

    def task(number: int, nested: list[pd.DataFrame]) -> int:
        from relapse.cluster import on_worker

        assert len(on_worker._KEPT) == 1
        return int(nested[0]["size"].iloc[number])

    before = _data(cluster, "Registering")
    with session():
        for _ in range(2):
            tasks = [delayed(task)(number, [table]) for number in range(20)]
            assert list(shared_out(tasks, DASK, total=20, label="work", common=(table,))) == list(range(20))
    (mine,) = set(_data(cluster, "Registering")) - set(before)
    assert _data(cluster, "Starting").count(mine) == 2
    assert _data(cluster, "Removing").count(mine) == 2


def test_what_a_task_raises_is_raised_here_and_no_value_stands_in_a_log(cluster: Cluster) -> None:
    table = pd.DataFrame({"name": ["Ottoline Quux"], "size": [713713]})

    def task(rows: pd.DataFrame, number: int) -> int:
        if number == 1:
            raise NoTrialError(f"none of 3 trials succeeded with {rows['size'].iloc[0]}")
        return number

    for common in ((), (table,)):
        tasks = [delayed(task)(table, number) for number in range(4)]
        with pytest.raises(NoTrialError, match="none of 3 trials succeeded") as found:
            list(shared_out(tasks, DASK, total=4, label="work", common=common))
        assert "in task" in found.value.__notes__[0], "where it was raised, for a bug"
    said = cluster.said()
    assert "Ottoline" not in said
    assert "713713" not in said


def test_what_cannot_be_sent_back_is_one_message(cluster: Cluster) -> None:
    def task() -> object:
        import threading

        return threading.Lock()

    with pytest.raises(WorkersError, match="a task's result cannot be sent"):
        list(shared_out([delayed(task)()], DASK, total=1, label="work"))


@pytest.mark.slow
def test_a_task_that_ends_every_worker_that_takes_it_is_one_message(cluster: Cluster) -> None:
    def task() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkersError, match="one task has ended every worker that took it"):
        list(shared_out([delayed(task)()], DASK, total=1, label="work"))


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    table = pd.DataFrame({"size": range(100)})

    def task(number: int, rows: pd.DataFrame) -> int:
        with (tmp_path / f"{number}").open("a") as runs:
            runs.write(".")
        if number == 3 and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)
        return int(rows["size"].iloc[number])

    tasks = [delayed(task)(number, table) for number in range(12)]
    assert list(shared_out(tasks, DASK, total=12, label="work", common=(table,))) == list(range(12))
    assert (tmp_path / "3").read_text() == ".."


@pytest.mark.slow
def test_a_lost_scheduler_is_one_message_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def task(number: int) -> int:
        (tmp_path / f"begun-{number}").touch()
        time.sleep(1)
        return number

    with running(tmp_path / "own", processes=1) as own:
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        results = shared_out([delayed(task)(number) for number in range(30)], DASK, total=30, label="work")
        assert next(results) == 0
        own.scheduler.kill()
        with pytest.raises(WorkersError, match=rf"the scheduler at {own.address} was lost.*run the same again"):
            list(results)


KILLED = """
import os
import signal

import pandas as pd
from joblib import delayed

from relapse.cluster.session import session

with session() as opened:
    list(opened.results([delayed(abs)(-1)], common=[pd.DataFrame({"size": [1]})]))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_data_of_a_client_that_was_killed_are_forgotten_when_the_next_one_comes(cluster: Cluster) -> None:
    before = set(_data(cluster, "Registering"))
    asked = environment({"RELAPSE_SCHEDULER": cluster.address})
    done = subprocess.run([sys.executable, "-c", KILLED], env=asked, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = set(_data(cluster, "Registering")) - before
    assert left not in _data(cluster, "Removing")
    with session():
        assert _data(cluster, "Removing").count(left) == 2


def test_no_scheduler_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relapse.cluster.reaching.PATIENCE", 1)
    monkeypatch.setenv("RELAPSE_SCHEDULER", "tcp://127.0.0.1:9")
    with pytest.raises(DeclarationError, match=r"no scheduler answers at RELAPSE_SCHEDULER=tcp://127\.0\.0\.1:9"):
        list(shared_out([delayed(abs)(-1)], DASK, total=1, label="work"))


@pytest.mark.slow
def test_a_scheduler_without_workers_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relapse.cluster.reaching.PATIENCE", 3)
    with running(tmp_path / "own", processes=0) as own:
        until(lambda: "Scheduler at" in own.said(), "a scheduler")
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        with pytest.raises(DeclarationError, match=r"has no workers. Start some \(relapse cluster worker tcp"):
            list(shared_out([delayed(abs)(-1)], DASK, total=1, label="work"))


def test_work_on_files_of_this_machine_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAPSE_SCHEDULER", "tcp://127.0.0.1:9")
    tasks = [delayed(abs)(-number) for number in range(3)]
    assert list(shared_out(tasks, DASK, total=3, label="work", here=True)) == [0, 1, 2]


def test_no_page_or_interface_is_served_and_nobody_else_is_listened_to(cluster: Cluster) -> None:
    import httpx

    port = re.search(r"dashboard at:\s+http://127.0.0.1:(\d+)", cluster.said())
    assert port
    for path in ("status", "info/main/workers.html", "metrics", "json/counts.json", "api/v1", "health"):
        assert httpx.get(f"http://127.0.0.1:{port[1]}/{path}").status_code == 404
    assert "0.0.0.0" not in cluster.said()
    assert not re.search(r"(Scheduler|Listening|Start worker) (at|to):\s+tcp://(?!127\.)", cluster.said())
