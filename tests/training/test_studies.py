"""A run that was killed goes on from its finished trials and ends as one that was not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from relapse.candidates.catalogue import family
from relapse.cohorts.schema import Cohort
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.training.nested import Trained, train
from relapse.training.splits import outer_folds
from relapse.training.studies import Studies, finished
from relapse.training.tuning import tune_and_fit

PARAMS = TrainParams(inner_folds=2, trials=12)
ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from pathlib import Path
from tests.training.test_studies import run_on
run_on(Path("{root}"), sys.argv[1])
"""


def run_on(root: Path, storage: str | None) -> Trained:
    """Train the forest on wpbc; also what the subprocess that is killed does."""
    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.table import ingest, typed

    cohort = read_cohort(root / "data" / "cohorts" / "wpbc.yaml")
    table = typed(ingest(cohort, root=root)[0], cohort)
    folds = outer_folds(table, folds=2, repeats=1, seed=5)
    machine = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork", storage=storage)
    return train(table, cohort, "forest", folds, params=PARAMS, seed=5, machinery=machine)


def _same(first: Trained, second: Trained, table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)
    known = ["repeat", "fold", "number", "state", "value", "params", "error"]
    pd.testing.assert_frame_equal(first.trials[known], second.trials[known], check_exact=True)
    assert first.params == second.params
    assert first.folds == second.folds
    np.testing.assert_array_equal(first.model.predict_score(table), second.model.predict_score(table))


def _trials_in(path: Path) -> int:
    """Trials ever begun in a journal."""
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    return len(optuna.load_study(study_name=path.stem, storage=journal).trials)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(tmp_path: Path, tables: dict[str, pd.DataFrame]) -> None:
    storage = tmp_path / "studies"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(root=ROOT), str(storage)],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while len(list(storage.glob("*.log"))) < 2 and running.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    logs = sorted(storage.glob("*.log"))
    assert 2 <= len(logs) < 3, "killed in the second of three jobs"
    before = {path: _trials_in(path) for path in logs}
    resumed, whole = run_on(ROOT, str(storage)), run_on(ROOT, None)
    _same(resumed, whole, tables["wpbc"])
    # The job that was done before the kill got not one more trial.
    assert sorted(before.values())[-1] == PARAMS.trials
    assert all(_trials_in(path) == PARAMS.trials for path, count in before.items() if count == PARAMS.trials)


def test_trials_that_are_done_are_not_run_again(
    tmp_path: Path, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    studies = Studies(str(tmp_path), "wpbc-linear")
    settings = {"inner_folds": 2, "trials": 4, "seed": 3, "studies": studies}
    first = tune_and_fit(table, cohort, family("linear"), **settings)
    monkeypatch.setattr(optuna.Study, "optimize", lambda *_, **__: pytest.fail("a trial ran again"))
    again = tune_and_fit(table, cohort, family("linear"), **settings)
    assert again.trials == first.trials
    assert again.model.recalibration == first.model.recalibration
    np.testing.assert_array_equal(again.model.predict_score(table), first.model.predict_score(table))


def test_a_trial_left_unfinished_is_run_anew_and_changes_nothing(
    tmp_path: Path, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    studies = Studies(f"sqlite:///{tmp_path / 'trials.db'}", "wpbc-linear")
    tune_and_fit(table, cohort, family("linear"), inner_folds=2, trials=3, seed=3, studies=studies)
    name = optuna.get_all_study_names(studies.storage)[0]
    left = optuna.load_study(study_name=name, storage=studies.storage)
    left.ask()
    settings = {"inner_folds": 2, "trials": 6, "seed": 3}
    resumed = tune_and_fit(table, cohort, family("linear"), **settings, studies=studies)
    whole = tune_and_fit(table, cohort, family("linear"), **settings)
    assert [(item.number, item.params, item.value) for item in resumed.trials if item.state == "complete"] == [
        (item.number, item.params, item.value) for item in whole.trials if item.state == "complete"
    ]
    assert resumed.params == whole.params
    assert len(finished(optuna.load_study(study_name=name, storage=studies.storage))) <= 6


def test_another_table_begins_another_study(
    tmp_path: Path, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    studies = Studies(str(tmp_path), "wpbc-reference")
    for shown in (table, table.assign(event=table["event"].to_numpy()[::-1]), table):
        tune_and_fit(shown, cohort, family("reference"), inner_folds=2, trials=1, seed=3, studies=studies)
    assert len(list(tmp_path.glob("*.log"))) == 2


def test_time_ends_a_search_after_at_least_one_trial(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    tuned = tune_and_fit(
        tables["wpbc"], cohorts["wpbc"], family("linear"), inner_folds=2, trials=50, seed=3, seconds=1e-6
    )
    assert len(tuned.trials) == 1
