"""Training on a real cluster: the bytes of this machine, whatever becomes of workers and scheduler."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from joblib import delayed

from relapse.candidates.catalogue import MODULES
from relapse.cluster.session import session
from relapse.cluster.turns import at_once
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import NoTrialError, WorkersError
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.training.nested import Trained, train
from relapse.training.splits import outer_folds
from relapse.training.studies import storage_of
from relapse.workers import shared_out
from tests import postgres
from tests.cluster.running import Cluster, running, until

HERE = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="fork")
DASK = replace(HERE, backend="dask")
PARAMS = TrainParams(inner_folds=2, trials=2)


def _train(cohort: Cohort, table: pd.DataFrame, candidate: str, machine: Machinery, **params: Any) -> Trained:
    folds = outer_folds(table, folds=2, repeats=1, seed=5)
    asked = PARAMS.model_copy(update=params)
    return train(table, cohort, candidate, folds, params=asked, seed=5, machinery=machine)


def _same(first: Trained, second: Trained) -> None:
    """Every byte of the predictions, every hyperparameter, every value of a trial."""
    pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)
    assert first.params == second.params
    assert first.folds == second.folds
    columns = ["repeat", "fold", "number", "state", "value", "params"]
    pd.testing.assert_frame_equal(first.trials[columns], second.trials[columns], check_exact=True)


@pytest.mark.parametrize("candidate", ["linear", pytest.param("mlp", marks=pytest.mark.slow)])
def test_a_cluster_gives_the_bytes_of_this_machine(
    cluster: Cluster, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], candidate: str, tmp_path: Path
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    machine = replace(DASK, storage=str(tmp_path / "kept"))
    _same(_train(cohort, table, candidate, machine), _train(cohort, table, candidate, HERE))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
@pytest.mark.parametrize("candidate", [name for name in MODULES if name not in ("densenet121", "efficientnet_lite0")])
def test_every_candidate_has_the_bytes_of_this_machine(
    cluster: Cluster, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], candidate: str, name: str
) -> None:
    cohort, table = cohorts[name], tables[name]
    _same(_train(cohort, table, candidate, DASK), _train(cohort, table, candidate, HERE))


def test_pieces_of_work_are_on_the_cluster_at_once_and_one_that_fails_lets_the_others_end(
    cluster: Cluster, tmp_path: Path
) -> None:
    def task(mine: str, other: str) -> str:
        (tmp_path / mine).touch()
        deadline = time.monotonic() + 60
        while not (tmp_path / other).exists():
            assert time.monotonic() < deadline, "the other piece of work waits for this one to end"
            time.sleep(0.01)
        if mine == "two":
            raise NoTrialError("two failed")
        return mine

    def work(mine: str, other: str) -> str:
        return str(next(iter(shared_out([delayed(task)(mine, other)], DASK, total=1, label=mine))))

    with session() as opened:
        works = [lambda: work("one", "two"), lambda: work("two", "one")]
        found: list[str] = []
        with pytest.raises(NoTrialError, match="two failed"):
            found.extend(at_once(works, opened.stop))
    assert found == ["one"]


def test_work_that_nobody_waits_for_any_more_is_given_up(cluster: Cluster) -> None:
    def wait(number: int) -> int:
        time.sleep(0.0 if number == 0 else 1.0)
        return number

    def work(number: int) -> int:
        tasks = [delayed(wait)(number) for _ in range(1 if number == 0 else 600)]
        return int(sum(shared_out(tasks, DASK, total=len(tasks), label="work")))

    start = time.monotonic()
    with session() as opened:
        results = at_once([lambda: work(0), lambda: work(1)], opened.stop)
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 300


def _finished(storage: Path) -> int:
    """Trials that are kept."""
    count = 0
    for path in storage.glob("*.log"):
        studies = optuna.get_all_study_summaries(storage_of(str(storage), path.stem))
        count += sum(item.n_trials for item in studies)
    return count


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_trains_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table, storage = cohorts["wpbc"], tables["wpbc"], tmp_path / "kept"
    here = _train(cohort, table, "forest", HERE, trials=5)
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        killed: list[int] = []

        def kill() -> None:
            until(lambda: _finished(storage) >= 3, "three trials")
            found = _worker_processes(own.address)
            os.kill(found[0], signal.SIGKILL)
            killed.append(found[0])

        killer = threading.Thread(target=kill)
        killer.start()
        there = _train(cohort, table, "forest", replace(DASK, storage=str(storage)), trials=5)
        killer.join()
        assert f"Worker process {killed[0]} was killed by signal 9" in own.said()
    _same(there, here)


def _worker_processes(address: str) -> list[int]:
    """Process numbers of the workers themselves: those that a nanny looks after and replaces."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


@pytest.mark.slow
def test_a_run_whose_scheduler_is_lost_goes_on_from_its_finished_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table, storage = cohorts["wpbc"], tables["wpbc"], tmp_path / "kept"
    machine = replace(DASK, storage=str(storage))
    here = _train(cohort, table, "forest", HERE, trials=5)
    with running(tmp_path / "first") as own:
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)

        def kill() -> None:
            until(lambda: _finished(storage) >= 3, "three trials")
            own.scheduler.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(WorkersError, match=r"was lost\. Trials that were finished are kept"):
            _train(cohort, table, "forest", machine, trials=5)
        killer.join()
    before = _complete(storage)
    assert 0 < len(before) < 3 * 5
    with running(tmp_path / "second") as own:
        monkeypatch.setenv("RELAPSE_SCHEDULER", own.address)
        _same(_train(cohort, table, "forest", machine, trials=5), here)
    assert before <= _complete(storage), "what was finished was not made anew"


def _complete(storage: Path) -> set[tuple[str, int, Any]]:
    """Finished trials, with the moment at which each was begun."""
    found = set()
    for path in storage.glob("*.log"):
        store = storage_of(str(storage), path.stem)
        for item in optuna.get_all_study_names(store):
            trials = optuna.load_study(study_name=item, storage=store).get_trials()
            found |= {(item, one.number, one.datetime_start) for one in trials if one.state.name == "COMPLETE"}
    return found


@pytest.mark.slow
def test_trials_are_kept_in_a_database_by_its_url_alone(
    cluster: Cluster, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    with postgres.server() as url:
        machine = replace(DASK, storage=postgres.create(url, "optuna"))
        assert machine.kept_in == ()
        for candidate in ("linear", "mlp"):
            _same(_train(cohort, table, candidate, machine), _train(cohort, table, candidate, HERE))
        assert sum(item.n_trials for item in optuna.get_all_study_summaries(storage_of(str(machine.storage), "")))
