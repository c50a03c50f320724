"""Explanations of models that treat missing values in every way: exact, adding up, an indicator's share its feature's."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from relapse.cohorts.schema import Cohort
from relapse.explanation import trees
from relapse.explanation.background import typical_patients
from relapse.explanation.coalitions import exact
from relapse.explanation.out_of_fold import explain
from relapse.explanation.parts import Parts, parts_of
from relapse.explanation.permutation import shuffle
from relapse.explanation.shapley import explainer
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.training.splits import outer_folds
from tests.gaps import OPEN, RULES, SMALL, gappy_cohort, gappy_model, gappy_table

from .shuffled import plainly

Array = NDArray[np.float64]

MACHINE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")


def _forest_output(parts: Parts, cohort: Cohort, matrix: Array) -> Array:
    """The probability of relapse, or the cumulative hazard by the last horizon."""
    if cohort.survival is None:
        return np.asarray(parts.estimator.predict_proba(matrix)[:, 1])
    times = np.array([cohort.survival.horizons[-1].time])
    return np.asarray(parts.estimator.predict_cumulative_hazard(matrix, times)[:, 0])


@pytest.mark.parametrize("survival", [True, False])
@pytest.mark.parametrize("candidate", SMALL)
@pytest.mark.parametrize("rules", RULES)
def test_values_of_rows_with_gaps_add_up_to_the_output(rules: str, candidate: str, survival: bool) -> None:
    cohort = gappy_cohort(rules, survival=survival)
    table = gappy_table(cohort)
    model = gappy_model(cohort, table, candidate)
    found = explainer(model, typical_patients(table, cohort, size=4), cohort)(table.head(25))
    assert table.head(25)[list(OPEN)].isna().any().all()
    assert np.isfinite(found.values).all()
    np.testing.assert_allclose(found.output, found.base + found.values.sum(axis=1))
    parts = parts_of(model, cohort)
    matrix = parts.matrix(table.head(25))
    output = _forest_output(parts, cohort, matrix) if candidate == "forest" else parts.output(matrix)
    # XGBoost's margins are of single precision.
    np.testing.assert_allclose(found.output, output, atol=2e-5)
    unused = [name for name in cohort.predictors if name not in parts.used]
    assert (candidate == "reference") == bool(unused)


def test_trees_with_missing_values_are_explained_as_shap_does_it() -> None:
    shap, xgboost = pytest.importorskip("shap"), pytest.importorskip("xgboost")
    cohort = gappy_cohort("native", survival=False)
    table = gappy_table(cohort)
    model = gappy_model(cohort, table, "xgboost")
    parts = parts_of(model, cohort)
    matrix = parts.matrix(table)
    assert np.isnan(matrix).any()
    booster = xgboost.Booster(model_file=bytearray(parts.estimator.model_json_.encode()))
    by_column = shap.TreeExplainer(booster).shap_values(matrix)
    expected = np.column_stack([by_column[:, parts.owner == place].sum(axis=1) for place in range(len(parts.used))])
    found = explainer(model, typical_patients(table, cohort, size=4), cohort)(table)
    places = [cohort.explained.index(name) for name in parts.used]
    np.testing.assert_allclose(found.values[:, places], expected, atol=1e-5)
    assert np.abs(found.values[table["size"].isna()][:, cohort.explained.index("size")]).max() > 0.01


@pytest.mark.parametrize("survival", [True, False])
@pytest.mark.parametrize("pairs", [1, trees._PAIRS])
def test_leaf_by_leaf_knows_where_a_forest_sends_missing_values(
    survival: bool, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_PAIRS", pairs)
    cohort = gappy_cohort("native", survival=survival)
    table = gappy_table(cohort)
    model = gappy_model(cohort, table, "forest")
    background = typical_patients(table, cohort, size=4)
    parts = parts_of(model, cohort)
    rows, features = parts.matrix(table.head(6)), len(parts.used)
    assert np.isnan(rows).any()

    expected = exact(
        lambda matrix: _forest_output(parts, cohort, matrix),
        rows,
        parts.matrix(background.table),
        weights=background.weights,
        owner=parts.owner,
        features=features,
    )
    found = explainer(model, background, cohort)(table.head(6))
    places = [cohort.explained.index(name) for name in parts.used]
    np.testing.assert_allclose(found.values[:, places], expected, atol=1e-9)


def test_an_indicator_speaks_for_its_feature() -> None:
    """A linear model in which only missing or not matters: all of it is the feature's."""
    cohort = gappy_cohort("indicator", survival=False)
    table = gappy_table(cohort)
    table["event"] = np.where(table["nodes"].isna(), 1.0, 0.0)
    model = gappy_model(cohort, table, "linear", C=10.0)
    found = explainer(model, typical_patients(table, cohort, size=4), cohort)(table)
    mean = dict(zip(cohort.explained, np.abs(found.values).mean(axis=0), strict=True))
    assert mean["nodes"] > 3 * max(size for name, size in mean.items() if name != "nodes")
    lacking = table["nodes"].isna().to_numpy()
    assert (
        found.values[lacking, cohort.explained.index("nodes")].min()
        > found.values[~lacking, cohort.explained.index("nodes")].max()
    )


@pytest.mark.parametrize("rules", RULES)
def test_a_feature_is_shuffled_with_its_gaps(rules: str) -> None:
    cohort = gappy_cohort(rules, survival=True)
    table = gappy_table(cohort)
    model = gappy_model(cohort, table, "xgboost")
    players = [*([name] for name in cohort.predictors), list(cohort.predictors[:2])]
    found = shuffle(model, table, players, cohort, shuffles=3, seed=1)
    assert parts_of(model, cohort).apart == (rules != "iterative")
    np.testing.assert_allclose(found.scores, plainly(model, table, players, cohort, shuffles=3, seed=1), rtol=1e-6)
    used = [not np.allclose(scores, found.intact) for scores in found.scores]
    assert sum(used) >= 4


def test_out_of_fold_explanations_take_gaps_of_trees() -> None:
    cohort = gappy_cohort("native", survival=True)
    table = gappy_table(cohort)
    folds = outer_folds(table, folds=2, repeats=1, seed=1)
    number = folds.set_index("row")["fold"].loc[table["row"]].to_numpy()
    models = {
        name: {fold: gappy_model(cohort, table[number != fold].reset_index(drop=True), name) for fold in (0, 1)}
        for name in ("xgboost", "forest")
    }
    params = ExplainParams(background=4, shuffles=2, resamples=100, correlated=0.8)
    found = explain(table, cohort, folds, models, params=params, seed=1, machinery=MACHINE)
    for one in found.values():
        assert isinstance(one.shap, pd.DataFrame)
        assert one.shap[cohort.explained].notna().all(axis=None)
        assert max(one.importance, key=lambda item: item.shap if len(item.features) == 1 else 0).features[0] in OPEN
