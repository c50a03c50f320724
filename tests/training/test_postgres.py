"""Trials kept in a real PostgreSQL database, by URL alone: the same models, and nothing is run twice."""

from collections.abc import Iterator

import optuna
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.machinery import Machinery
from relapse.params import SplitParams, TrainParams
from relapse.training.nested import Trained, train
from relapse.training.splits import outer_folds
from relapse.training.studies import storage_of
from tests import postgres

pytestmark = pytest.mark.slow

PARAMS = TrainParams(inner_folds=2, trials=3)
SPLIT = SplitParams(folds=2, repeats=1)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres.server() as url:
        yield postgres.create(url, "optuna")


def _train(cohort: Cohort, table: pd.DataFrame, candidate: str, storage: str | None) -> Trained:
    folds = outer_folds(table, folds=SPLIT.folds, repeats=SPLIT.repeats, seed=1)
    machine = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="fork", storage=storage)
    return train(table, cohort, candidate, folds, params=PARAMS, seed=1, machinery=machine)


@pytest.mark.parametrize("candidate", ["linear", "mlp"])
def test_two_workers_on_one_database_give_the_predictions_of_none_and_then_only_read(
    database: str, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], candidate: str
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    plain = _train(cohort, table, candidate, None)
    kept = _train(cohort, table, candidate, database)
    pd.testing.assert_frame_equal(kept.predictions, plain.predictions, check_exact=True)
    assert kept.params == plain.params

    def trials() -> dict[str, int]:
        found = optuna.get_all_study_summaries(storage_of(database, ""))
        return {item.study_name: item.n_trials for item in found if candidate in item.study_name}

    before = trials()
    assert before
    again = _train(cohort, table, candidate, database)
    pd.testing.assert_frame_equal(again.predictions, plain.predictions, check_exact=True)
    assert trials() == before
