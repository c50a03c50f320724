"""Network candidates: together as one by one, patients undivided, plain arrays once fitted."""

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.networks import models
from relapse.candidates.networks.estimators import MEMBERS, NetworkClassifier, _Ensemble
from relapse.cohorts.schema import Cohort

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
        np.testing.assert_allclose(model.predict_score(part), alone.predict_score(part), atol=1e-8)


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
    family("mlp").head(cohort).build(cohort, PARAMS, 0).fit(table, outcome(table, cohort))
    assert len(tasks) == 2
    for task in tasks:
        held = set(table["patient"].to_numpy()[task.held])
        assert held
        assert held & set(table["patient"].to_numpy()[~task.held]) == set()


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
