"""Network candidates: together as one by one, patients undivided, plain arrays once fitted."""

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.networks import models
from relapse.candidates.networks.estimators import MEMBERS, NetworkClassifier, Rows, _Ensemble
from relapse.candidates.networks.validation import validation_rows
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.sampling import oversampler
from relapse.preprocessing.transformers import encoder

PARAMS = {"width": 4, "members": 2, "learning_rate": 0.01}


@pytest.mark.parametrize("candidate", ["mlp", "cnn1d"])
@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_together_is_one_by_one(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, candidate: str
) -> None:
    cohort = cohorts[name]
    head = family(candidate).head(cohort)
    parts = [tables[name][:120], tables[name][30:170], tables[name][60:]]
    targets = [outcome(part, cohort) for part in parts]
    together = [head.build(cohort, PARAMS, seed) for seed in range(3)]
    head.fit_together(together, parts, targets)
    for seed, (model, part, target) in enumerate(zip(together, parts, targets, strict=True)):
        alone = head.build(cohort, PARAMS, seed).fit(part, target)
        np.testing.assert_allclose(model.predict_score(part), alone.predict_score(part), atol=2e-5)  # single precision


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_patients_are_not_divided_by_early_stopping(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, table = cohorts[name], tables[name]
    table["patient"] = (np.arange(len(table)) // 3).astype(str)
    tasks = []

    def spy(*args):
        tasks.extend(_Ensemble._tasks(*args))
        return tasks

    ensemble = models.NetworkCox if cohort.survival else NetworkClassifier
    monkeypatch.setattr(ensemble, "_tasks", spy)
    params = PARAMS if cohort.survival else PARAMS | {"balance": "none"}
    family("mlp").head(cohort).build(cohort, params, 0).fit(table, outcome(table, cohort))
    assert len(tasks) == 2
    for task in tasks:
        held = set(table["patient"].to_numpy()[task.held])
        assert held
        assert held & set(table["patient"].to_numpy()[~task.held]) == set()


def test_synthetic_rows_are_made_from_training_rows_alone_and_never_looked_at_by_early_stopping(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    target, patient = outcome(table, cohort), table["patient"].to_numpy()
    matrix = encoder(cohort, cohort.predictors).fit_transform(table)
    held = validation_rows(target == 1, patient, seed=3)
    matrix[held] += 1000.0  # a synthetic row with a part of these would be seen
    task = Rows(matrix, target, patient, oversampler(cohort, cohort.predictors, seed=0)).task(3)
    np.testing.assert_array_equal(task.matrix[task.held], matrix[held])
    np.testing.assert_array_equal(task.target[task.held], target[held])
    trained, outcomes = task.matrix[~task.held], task.target[~task.held]
    assert (outcomes == 1).sum() == (outcomes == 0).sum() > (target[~held] == 1).sum()
    assert trained.max() < 900


@pytest.mark.parametrize(
    ("balance", "balanced", "sampled"), [("none", False, False), ("weight", True, False), ("smotenc", False, True)]
)
def test_rare_events_are_handled_as_the_search_says(
    cohorts: dict[str, Cohort], balance: str, balanced: bool, sampled: bool
) -> None:
    model = family("cnn1d").head(cohorts["wpbc"]).build(cohorts["wpbc"], PARAMS | {"balance": balance}, 0)
    assert model.classifier.balanced is balanced
    assert (model.sampler is not None) is sampled


def test_a_fitted_ensemble_is_arrays_and_shows_its_spread(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    model = family("cnn1d").head(cohort).build(cohort, {"width": 4}, 0).fit(table, outcome(table, cohort))
    ensemble = model.pipeline_[-1]
    assert all(type(array) is np.ndarray and len(array) == MEMBERS >= 10 for array in ensemble.weights_)
    outputs = ensemble.member_outputs(model.pipeline_[:-1].transform(table))
    assert outputs.shape == (MEMBERS, len(table))
    assert (outputs.std(axis=0) > 0).all()
    np.testing.assert_allclose(model.predict_score(table), outputs.mean(axis=0), atol=1e-9)


def test_an_ensemble_fits_without_patients_too() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(80, 3))
    target = (matrix[:, 0] + rng.normal(size=80) > 0).astype(int)
    fitted = NetworkClassifier(members=3, learning_rate=0.02).fit(matrix, target)
    assert (fitted.predict(matrix) == target).mean() > 0.7
