"""A family that sees pictures goes through the protocol; one that does not suit a cohort leaves a record, and no more."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.pictures import PictureBinaryModel, PictureSurvivalModel
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.params import AuditParams, TrainParams, read_params
from relapse.predictions import check_predictions
from relapse.report.material import Material
from relapse.training import rounds
from relapse.training.audit import audit
from relapse.training.nested import Trained, train
from relapse.training.record import write_record
from relapse.training.splits import outer_folds
from relapse.training.studies import digest
from tests.pictured import ALONE, pictured_cohort, pictured_table, tiny_encoder
from tests.project import Project

SMALL = TrainParams(inner_folds=2, trials=5)


def trained(cohort: Cohort, table: pd.DataFrame, machinery=ALONE, *, folds: int = 3) -> Trained:
    made = outer_folds(table, folds=folds, repeats=1, seed=5)
    return train(table, cohort, "densenet121", made, params=SMALL, seed=5, machinery=machinery)


@pytest.mark.parametrize("binary", [False, True], ids=["survival", "binary"])
def test_a_family_with_nothing_to_tune_compares_nothing_and_its_record_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binary: bool
) -> None:
    tiny_encoder(monkeypatch)
    monkeypatch.setattr(rounds, "_compare", lambda *_: pytest.fail("a comparison"))
    cohort = pictured_cohort(binary=binary)
    table = pictured_table(cohort, tmp_path)
    found = trained(cohort, table)
    check_predictions(found.predictions, risks=cohort.endpoint.risk_columns, timed=not binary, where="test")
    assert sorted(found.predictions["row"]) == sorted(table["row"])
    assert ("threshold" in found.predictions) == binary
    assert isinstance(found.model.model, PictureBinaryModel if binary else PictureSurvivalModel)
    assert found.params == {}
    assert list(found.trials["state"]) == ["complete"] * 4
    assert found.trials["value"].isna().all()
    path = tmp_path / "record.json"
    write_record(path, found, table, cohort=cohort, candidate="densenet121", seed=5, settings=SMALL)
    record = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert record["title"] == "DenseNet121 (not pretrained)"
    assert (record["space"], record["params"], record["failed_trials"], record["ended_by_time"]) == ({}, {}, 0, 0)
    assert len(record["folds"]) == 3


def test_a_test_row_s_picture_and_outcome_change_nothing_that_its_fold_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_encoder(monkeypatch)
    cohort = pictured_cohort()
    table = pictured_table(cohort, tmp_path)
    folds = outer_folds(table, folds=2, repeats=1, seed=5)
    victim = table.index[folds["fold"] == 0][:5]
    spoiled = table.copy()
    spoiled.loc[victim, IMAGE] = pictured_table(cohort, tmp_path, seed=9)[IMAGE][:5].to_numpy()
    spoiled.loc[victim, "event"] = 1 - spoiled.loc[victim, "event"]
    scores = []
    for data in (table, spoiled):
        found = train(data, cohort, "densenet121", folds, params=SMALL, seed=5, machinery=ALONE).predictions
        mine = found[(found["fold"] == 0) & ~found["row"].isin(table.loc[victim, "row"])]
        scores.append(mine.set_index("row")["score"])
    # The same numbers but for the rounding of single precision, which hangs on what stands beside a row.
    pd.testing.assert_series_equal(*scores, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_one_and_two_workers_give_the_same_predictions(tmp_path: Path) -> None:
    """With the real network, on pictures as small as it takes: workers are processes of their own."""
    cohort = pictured_cohort()
    one = trained(cohort, pictured_table(cohort, tmp_path / "one", patients=24), folds=2)
    workers = replace(ALONE, workers=2, backend="fork")
    two = trained(cohort, pictured_table(cohort, tmp_path / "two", patients=24), workers, folds=2)
    pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)


def test_the_identity_of_a_search_follows_the_pictures_and_not_the_folder_they_lie_in(tmp_path: Path) -> None:
    cohort = pictured_cohort()
    here, there = (pictured_table(cohort, tmp_path / name, patients=12) for name in ("here", "there"))
    assert here[IMAGE][0] != there[IMAGE][0]
    asked = {"seed": 1, "folds": 2, "startup": 3}
    first = digest("x", here, cohort, **asked)
    assert digest("x", there, cohort, **asked) == first
    there.loc[0, IMAGE] = there[IMAGE][1]
    assert digest("x", there, cohort, **asked) != first
    assert np.array_equal(here["row"], there["row"])


def test_the_audit_leaves_out_what_sees_images(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    params = AuditParams(candidates=("linear", "densenet121"), folds=2, repeats=1, inner_folds=2, draws=2)
    found = audit(tables["wpbc"], cohorts["wpbc"], params=params, seed=1, machinery=ALONE)
    assert set(found.optimism["candidate"]) == {"linear"}


@pytest.mark.slow
def test_a_family_that_is_not_for_a_cohort_leaves_a_record_and_nobody_speaks_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.copy(
        tmp_path,
        cohorts=["gbsg"],
        candidates=["reference", "linear", "densenet121"],
        added_value={"candidates": ["linear", "densenet121"]},
    ).evaluated("gbsg")
    monkeypatch.chdir(project.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for stage in ("register", "report"):
        project.stage(stage, cohort="gbsg")
    at = Workspace("gbsg")
    assert read_json(at.record("densenet121"))["not_for"] == "gbsg has no images"
    assert [path.name for path in at.trained("densenet121").iterdir()] == ["record.json"]
    assert at.succeeded(read_params().candidates) == ["reference", "linear"]
    material = Material.read(at, read_params().candidates, decision=read_json(at.decision))
    assert set(material.titles) == set(material.records) == {"reference", "linear"}
    assert material.failed == {}
    for stage in ("evaluate", "explain", "register", "report"):
        files = [path for path in at.of(stage).rglob("*") if path.suffix in (".html", ".json", ".csv", ".md")]
        assert files
        assert [path for path in files if "densenet" in path.read_text().casefold() or "densenet" in path.name] == []
