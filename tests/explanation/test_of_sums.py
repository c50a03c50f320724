"""Models taken apart into sums over their columns: the same output, and along random orders the same Shapley values."""

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.networks import estimators
from relapse.candidates.svm import SurvivalMargin
from relapse.cohorts.schema import Cohort
from relapse.explanation import shapley
from relapse.explanation.background import Background
from relapse.explanation.coalitions import sampled
from relapse.explanation.parts import Parts, parts_of
from relapse.explanation.shapley import attribute

from .conftest import Fitted

Tables = dict[str, pd.DataFrame]


def _ranked(kernel: str) -> tuple[SurvivalMargin, np.ndarray]:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(150, 12))
    time, event = rng.exponential(np.exp(-X[:, 0] * X[:, 1])), rng.random(150) < 0.7
    y = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    return SurvivalMargin(kernel=kernel).fit(X, y), X


@pytest.mark.parametrize("cohort", ["gbsg", "wpbc"])
@pytest.mark.parametrize("candidate", ["mlp", "cnn1d"])
def test_networks_say_the_same_and_are_explained_alike(
    cohort: str,
    candidate: str,
    fitted: Fitted,
    cohorts: dict[str, Cohort],
    tables: Tables,
    backgrounds: dict[str, Background],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(estimators, "FEW", 1)
    model, rows = fitted(cohort, candidate), tables[cohort][:6]
    parts = parts_of(model, cohorts[cohort])
    matrix, of_sums = parts.matrix(rows), parts.of_sums()
    assert of_sums is not None
    said = of_sums.output(np.stack([of_sums.terms(row).sum(axis=0) for row in matrix]))
    np.testing.assert_allclose(said, parts.output(matrix), atol=2e-6)
    monkeypatch.setattr(shapley, "EXACT", 1)
    apart = attribute(model, rows, backgrounds[cohort], cohorts[cohort]).values
    assert (apart != 0).any()
    monkeypatch.setattr(Parts, "of_sums", lambda self: None)
    asked = attribute(model, rows, backgrounds[cohort], cohorts[cohort]).values
    np.testing.assert_allclose(apart, asked, atol=5e-6)


def test_a_radial_kernel_says_the_same_and_is_explained_alike() -> None:
    machine, X = _ranked("rbf")
    of_sums = machine.taken_apart()
    assert of_sums is not None
    said = of_sums.output(np.stack([of_sums.terms(row).sum(axis=0) for row in X]))
    np.testing.assert_allclose(said, machine.predict(X), atol=1e-12)
    rows, background, owner = X[:5].copy(), X[5:8], np.repeat(np.arange(10), [1, 2, 1, 1, 2, 1, 1, 1, 1, 1])
    # A feature that the patient has as all of the background have it.
    rows[:, 4] = background[:, 4] = 0.3
    asked = {"weights": np.array([0.5, 0.3, 0.2]), "owner": owner, "features": 10}
    apart = sampled(machine.predict, rows, background, **asked, of_sums=of_sums)
    np.testing.assert_allclose(apart, sampled(machine.predict, rows, background, **asked), atol=1e-12)
    assert (apart[:, 3] == 0).all()
    assert (apart[:, [0, 1]] != 0).all()


def test_a_linear_machine_and_a_network_of_few_columns_are_not_taken_apart(fitted: Fitted) -> None:
    assert _ranked("linear")[0].taken_apart() is None
    assert fitted("gbsg", "mlp").model.regressor_.taken_apart() is None
