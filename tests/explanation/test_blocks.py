"""A block that may be reduced is explained as one, whatever its columns became."""

from dataclasses import asdict

import numpy as np
import pytest

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.risk_model import RiskModel
from relapse.explanation.background import typical_patients
from relapse.explanation.out_of_fold import explain
from relapse.explanation.parts import parts_of
from relapse.explanation.permutation import shuffle
from relapse.explanation.shapley import attribute
from relapse.figures.explanation.files import write_explanation
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.training.splits import outer_folds
from tests.candidates.test_width import REDUCED, SMALL
from tests.wide import wide_cohort, wide_table

from .shuffled import plainly


def _fitted(cohort, table, candidate, choice):
    head = family(candidate).head(cohort)
    params = SMALL[candidate][cohort.survival is not None] | choice
    return RiskModel(head.model(cohort, params, 1).fit(table, outcome(table, cohort)))


@pytest.mark.parametrize("candidate", ["linear", "forest", "catboost", "mlp"])
@pytest.mark.parametrize("method", [*REDUCED, "none"])
def test_values_of_a_block_are_one_and_add_up(candidate, method):
    cohort = wide_cohort(survival=False, harmonise="combat")
    table = wide_table(cohort)
    model = _fitted(cohort, table, candidate, REDUCED.get(method, {}))
    parts = parts_of(model, cohort)
    assert parts.used == ["age", "receptor", "mri_scan"]
    assert len(parts.owner) == parts.matrix(table).shape[1]
    found = attribute(model, table[:10], typical_patients(table, cohort, size=4), cohort)
    assert cohort.explained == ["receptor", "mri_scan", "age"]
    assert found.values.shape == (10, 3)
    np.testing.assert_allclose(found.output, found.base + found.values.sum(axis=1), atol=1e-9)


@pytest.mark.parametrize("harmonise", ["none", "combat"])
@pytest.mark.parametrize("method", [*REDUCED, "none"])
def test_a_block_is_shuffled_whole_as_its_features_are(method, harmonise):
    cohort = wide_cohort(survival=False, harmonise=harmonise)
    table = wide_table(cohort)
    model = _fitted(cohort, table, "linear", REDUCED.get(method, {}))
    assert parts_of(model, cohort).apart == (harmonise == "none")
    players = [[part] for part in cohort.explained] + [["mri_scan", "age"]]
    found = shuffle(model, table, players, cohort, shuffles=2, seed=1)
    np.testing.assert_allclose(found.scores, plainly(model, table, players, cohort, shuffles=2, seed=1), rtol=1e-9)
    assert cohort.explained[1] == "mri_scan"
    assert np.abs(found.scores[1] - found.intact).max() > 0.1


def test_a_wide_block_that_matters_comes_first_and_is_drawn(tmp_path):
    cohort = wide_cohort(survival=True, harmonise="combat")
    table = wide_table(cohort, rows=200)
    folds = outer_folds(table, folds=2, repeats=1, seed=3)
    models = {
        fold: _fitted(
            cohort, table[(folds["fold"] != fold).to_numpy()].reset_index(drop=True), "linear", REDUCED["pca"]
        )
        for fold in (0, 1)
    }
    params = ExplainParams(background=4, shuffles=2, resamples=100, correlated=0.8)
    machine = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")
    found = explain(table, cohort, folds, {"linear": models}, params=params, seed=1, machinery=machine)["linear"]
    by_name = {item.features: asdict(item) for item in found.importance}
    assert list(by_name) == [("receptor",), ("mri_scan",), ("age",)]
    assert max(by_name, key=lambda name: by_name[name]["shap"]) == ("mri_scan",)
    assert by_name["mri_scan",]["loss"]["value"] > 0.1
    write_explanation(tmp_path, found, table, cohort, candidate="linear", title="Linear")
    assert (
        "MRI = as a whole" in (tmp_path / "waterfall.svg").read_text()
        or "MRI" in (tmp_path / "waterfall.csv").read_text()
    )
