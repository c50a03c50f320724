"""The kept models of the outer folds are those that made the out-of-fold predictions."""

from pathlib import Path

import pandas as pd
import pytest

from relapse.bundle.model_file import dump_model, load_model
from relapse.cohorts.schema import Cohort
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.training.nested import predict, train
from relapse.training.splits import outer_folds


@pytest.mark.parametrize(("name", "candidate"), [("gbsg", "linear"), ("wpbc", "forest")])
def test_a_kept_model_gives_the_out_of_fold_predictions_of_its_fold(
    name: str, candidate: str, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    cohort, table = cohorts[name], tables[name]
    folds = outer_folds(table, folds=2, repeats=2, seed=5)
    trained = train(
        table,
        cohort,
        candidate,
        folds,
        params=TrainParams(inner_folds=2, trials=1),
        seed=5,
        machinery=Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork"),
    )
    first = trained.predictions[trained.predictions["repeat"] == 0]
    assert sorted(trained.fold_models) == [0, 1]
    for fold, model in trained.fold_models.items():
        dump_model(model, tmp_path / f"{fold}.skops")
        expected = first[first["fold"] == fold].reset_index(drop=True)
        rows = table[table["row"].isin(expected["row"])]
        found = predict(load_model(tmp_path / f"{fold}.skops"), rows, cohort).assign(fold=fold)
        pd.testing.assert_frame_equal(found[expected.columns], expected, check_exact=True, check_dtype=False)
