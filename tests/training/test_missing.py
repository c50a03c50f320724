"""Missing values under the real protocol: every rule, several families, and no held-out row behind what is filled in."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.predictions import check_predictions
from relapse.training import nested
from relapse.training.nested import train
from relapse.training.record import write_record
from relapse.training.splits import outer_folds
from tests.gaps import OPEN, RULES, gappy_cohort, gappy_table

SMALL = TrainParams(inner_folds=2, trials=1)
FAMILIES = ("reference", "linear", "forest", "xgboost", "catboost")
MACHINE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")


@pytest.mark.parametrize("candidate", FAMILIES)
@pytest.mark.parametrize(("rules", "survival"), [*((one, True) for one in RULES), ("native", False)])
def test_what_a_fold_fills_in_hangs_on_no_held_out_row(rules: str, survival: bool, candidate: str) -> None:
    """Change test rows, their gaps included: what is predicted for the fold's other test rows stays."""
    cohort = gappy_cohort(rules, survival=survival, imbalance="none" if survival else "smotenc")
    table = gappy_table(cohort, rows=150)
    folds = outer_folds(table, folds=3, repeats=1, seed=5)
    spoilt, victims = table.copy(), table.index[folds["fold"] == 0][:15]
    spoilt.loc[victims, "size"] = 290.0
    spoilt.loc[victims, ["nodes", "grade"]] = np.nan
    spoilt.loc[victims, ["receptor", "subtype"]] = ["negative", "HER2"]
    job = nested._Job(0, 0, 11)
    (tuned, honest, _), (other_tuned, other, _) = (
        nested._run(job, data, cohort, candidate, folds, SMALL) for data in (table, spoilt)
    )
    assert tuned.params == other_tuned.params
    assert np.isfinite(honest["score"]).all()
    untouched = ~honest["row"].isin(table.loc[victims, "row"])
    pd.testing.assert_frame_equal(honest[untouched], other[untouched], check_exact=True)


@pytest.mark.parametrize("rules", RULES)
def test_a_fold_that_saw_its_test_rows_would_be_found_out(rules: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leak planted: the imputer is taught on all rows, as a careless pipeline does before it splits."""
    honest_parts = nested._parts

    def leaking(job: nested._Job, table: pd.DataFrame, folds: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        _, unseen = honest_parts(job, table, folds)
        return table, unseen

    monkeypatch.setattr(nested, "_parts", leaking)
    with pytest.raises(AssertionError):
        test_what_a_fold_fills_in_hangs_on_no_held_out_row(rules, True, "linear")


def test_a_record_tells_feature_by_feature_what_was_done(tmp_path: Path) -> None:
    rules = dict(zip(OPEN, ("native", "median", "iterative", "indicator", "native"), strict=True))
    cohort = gappy_cohort(rules, survival=False, imbalance="smotenc")
    table = gappy_table(cohort, rows=150)
    folds = outer_folds(table, folds=3, repeats=1, seed=5)
    found = {}
    for candidate in ("reference", "xgboost"):
        trained = train(table, cohort, candidate, folds, params=SMALL, seed=5, machinery=MACHINE)
        check_predictions(trained.predictions, risks=["risk"], timed=False, where="test")
        path = tmp_path / f"{candidate}.json"
        write_record(path, trained, table, cohort=cohort, candidate=candidate, seed=5, settings=SMALL)
        found[candidate] = {item["feature"]: item for item in json.loads(path.read_text())["missing"]}
        smote = trained.model.model.sampler is not None
        folds_with = [model.model.sampler is not None for model in trained.fold_models.values()]
    assert list(found["reference"]) == ["size", "receptor"]
    assert found["reference"]["size"] == {
        "feature": "size",
        "declared": "native",
        "done": "filled with the median, with an indicator",
        "because": "takes no missing values",
        "share": float(table["size"].isna().mean()),
        "folds": 3,
        "of": 3,
    }
    trees = found["xgboost"]
    assert list(trees) == list(OPEN)
    assert [trees[name]["done"] for name in ("nodes", "grade", "receptor")] == [
        "filled with the median",
        "imputed from the others",
        "filled with the most frequent level, with an indicator",
    ]
    assert (trees["size"]["done"] == "left missing") != smote
    assert trees["size"]["folds"] == folds_with.count(smote)
