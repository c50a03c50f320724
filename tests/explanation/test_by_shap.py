"""The pipeline explains through the shap package: its explainers are asked, and say what our own methods say."""

import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.explanation import by_shap
from relapse.explanation.background import Background, typical_patients
from relapse.explanation.by_shap import BY_SHAP
from relapse.explanation.coalitions import exact
from relapse.explanation.out_of_fold import explain
from relapse.explanation.parts import parts_of
from relapse.explanation.shapley import OWN, attribute, explainer
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.training.splits import outer_folds
from tests.bundle.making import small_model
from tests.gaps import gappy_cohort, gappy_model, gappy_table

from .conftest import Fitted

Array = NDArray[np.float64]
Tables = dict[str, pd.DataFrame]

ROOT = Path(__file__).resolve().parents[2]

#: The families of which shap has an exact method, and the explainer that is asked.
THROUGH_SHAP = [
    (cohort, candidate, "LinearExplainer" if candidate in ("reference", "linear") else "TreeExplainer")
    for cohort in ("gbsg", "wpbc")
    for candidate in ("reference", "linear", "forest", "xgboost", "catboost")
]

MACHINE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="loky")


@pytest.mark.parametrize(("cohort", "candidate", "asked"), THROUGH_SHAP)
def test_what_the_pipeline_writes_is_what_shaps_explainer_said(
    cohort: str,
    candidate: str,
    asked: str,
    cohorts: dict[str, Cohort],
    tables: Tables,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let shap say the double: whoever goes round it does not."""
    import shap

    declared, table = cohorts[cohort], tables[cohort][:160]
    folds = outer_folds(table, folds=2, repeats=1, seed=3)
    models = {
        fold: small_model(declared, table[(folds["fold"] != fold).to_numpy()].reset_index(drop=True), candidate)
        for fold in (0, 1)
    }
    params = ExplainParams(background=4, shuffles=1, resamples=100, correlated=0.8)

    def values() -> pd.DataFrame:
        found = explain(table, declared, folds, {candidate: models}, params=params, seed=1, machinery=MACHINE)
        return found[candidate].shap[declared.explained]

    plain = values()
    by_shap_itself = getattr(shap, asked).shap_values
    monkeypatch.setattr(
        getattr(shap, asked), "shap_values", lambda self, *given, **more: 2 * by_shap_itself(self, *given, **more)
    )
    assert (plain != 0).any(axis=None)
    pd.testing.assert_frame_equal(values(), 2 * plain)


@pytest.mark.parametrize(("cohort", "candidate", "asked"), THROUGH_SHAP)
def test_without_shap_the_same_is_said(
    cohort: str,
    candidate: str,
    asked: str,
    fitted: Fitted,
    cohorts: dict[str, Cohort],
    tables: Tables,
    backgrounds: dict[str, Background],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that the service says what the report says."""
    import shap

    model, rows, background = fitted(cohort, candidate), tables[cohort][:40], backgrounds[cohort]
    theirs = explainer(model, background, cohorts[cohort], BY_SHAP)(rows)
    monkeypatch.delattr(shap, asked)
    ours = attribute(model, rows, background, cohorts[cohort])
    assert ours.scale == theirs.scale
    assert ours.base == pytest.approx(theirs.base, abs=1e-9)
    # shap keeps the leaves of a forest in single precision.
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-6 if candidate == "forest" else 1e-12)


@pytest.mark.parametrize("kind", ["linear", "rbf"])
def test_a_support_vector_machine_goes_through_shap_where_it_is_linear(
    kind: str,
    cohorts: dict[str, Cohort],
    tables: Tables,
    backgrounds: dict[str, Background],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import shap

    asked: list[object] = []
    monkeypatch.setattr(
        shap,
        "LinearExplainer",
        lambda fitted, masker, inner=shap.LinearExplainer: (asked.append(fitted), inner(fitted, masker))[1],
    )
    model = _fit(
        cohorts["gbsg"], tables["gbsg"][:150], "svm", {"kernel": kind} | ({"gamma": 0.05} if kind == "rbf" else {})
    )
    explainer(model, backgrounds["gbsg"], cohorts["gbsg"], BY_SHAP)
    assert bool(asked) == (kind == "linear")


@pytest.mark.parametrize("cohort", ["gbsg", "wpbc"])
def test_background_rows_count_by_their_weights(
    cohort: str, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables
) -> None:
    """To shap they all count alike: those of one weight are compared with together."""
    model, rows = fitted(cohort, "forest"), tables[cohort][:6]
    background = Background(tables[cohort][20:24], np.array([0.4, 0.1, 0.1, 0.4]))
    theirs = explainer(model, background, cohorts[cohort], BY_SHAP)
    ours = explainer(model, background, cohorts[cohort], OWN)(rows)
    np.testing.assert_allclose(theirs(rows).values, ours.values, atol=1e-6)
    even = explainer(model, Background(background.table, np.full(4, 0.25)), cohorts[cohort], BY_SHAP)
    assert np.abs(even(rows).values - ours.values).max() > 1e-4


def _grid_forest() -> tuple[RandomForestClassifier, Array, Array]:
    """A forest whose thresholds lie at values like 0.1 and 0.2, and rows that have them."""
    rng = np.random.default_rng(0)
    matrix = np.round(rng.normal(size=(420, 4)), 1)
    event = (matrix[:, 0] * matrix[:, 1] + matrix[:, 2] + rng.normal(size=420) > 0).astype(int)
    forest = RandomForestClassifier(20, random_state=0).fit(matrix[:400], event[:400])
    return forest, matrix[400:410], matrix[410:413]


def _of_forest(forest: RandomForestClassifier, rows: Array, background: Array, owner: Array) -> Array:
    from relapse.explanation import shapley

    parts: Any = SimpleNamespace(estimator=forest, owner=owner, used=[str(name) for name in np.unique(owner)])
    taken = shapley._forest(parts, None)  # type: ignore[arg-type]
    assert taken is not None
    method = BY_SHAP.forest(parts, taken, background, np.full(len(background), 1 / len(background)))
    assert method is not None
    return method(rows)[0]


def _by_definition(forest: RandomForestClassifier, rows: Array, background: Array, owner: Array) -> Array:
    weights, features = np.full(len(background), 1 / len(background)), len(np.unique(owner))
    return exact(
        lambda matrix: forest.predict_proba(matrix)[:, 1],
        rows,
        background,
        weights=weights,
        owner=owner,
        features=features,
    )


def test_values_at_a_threshold_stay_on_their_side() -> None:
    forest, rows, background = _grid_forest()
    found = _of_forest(forest, rows, background, np.arange(4))
    np.testing.assert_allclose(found, _by_definition(forest, rows, background, np.arange(4)), atol=1e-6)


def test_shaps_own_reader_of_forests_still_lets_them_change_sides() -> None:
    """Why forests are handed over in shap's own form. Once this fails, shap.TreeExplainer(forest, background) will do."""
    import shap

    forest, rows, background = _grid_forest()
    masker = shap.maskers.Independent(background.astype(np.float32))
    found = shap.TreeExplainer(forest, masker).shap_values(rows, check_additivity=False)[..., 1]
    assert np.abs(found - _by_definition(forest, rows, background, np.arange(4))).max() > 1e-3


def test_a_forests_feature_of_several_columns_is_one_player(monkeypatch: pytest.MonkeyPatch) -> None:
    """What shap says of its columns does not add up to it; leaf by leaf it is exact."""
    forest, rows, background = _grid_forest()
    owner = np.array([0, 0, 1, 2])
    expected = _by_definition(forest, rows, background, owner)
    np.testing.assert_allclose(_of_forest(forest, rows, background, owner), expected, atol=1e-9)
    columns = _of_forest(forest, rows, background, np.arange(4))
    summed = np.column_stack([columns[:, owner == feature].sum(axis=1) for feature in range(3)])
    assert np.abs(summed - expected).max() > 1e-3


@pytest.mark.parametrize("limit", ["_MOST_NODES", "_DEEPEST"])
def test_trees_beyond_what_shap_counts_are_explained_leaf_by_leaf(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import shap

    forest, rows, background = _grid_forest()
    expected = _of_forest(forest, rows, background, np.arange(4))
    monkeypatch.setattr(by_shap, limit, 3)
    monkeypatch.delattr(shap, "TreeExplainer")
    np.testing.assert_allclose(_of_forest(forest, rows, background, np.arange(4)), expected, atol=1e-6)


@pytest.mark.parametrize("cohort", ["gbsg", "wpbc"])
def test_explaining_a_forest_leaves_it_as_it_is(
    cohort: str, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables, backgrounds: dict[str, Background]
) -> None:
    """Although shap writes into what it is given."""
    model = fitted(cohort, "forest")
    estimator = parts_of(model, cohorts[cohort]).estimator
    trees = [tree.tree_ for tree in getattr(estimator, "forest_", estimator).estimators_]
    before = [(tree.weighted_n_node_samples.copy(), tree.value.copy(), tree.threshold.copy()) for tree in trees]
    explainer(model, backgrounds[cohort], cohorts[cohort], BY_SHAP)(tables[cohort][:3])
    for tree, kept in zip(trees, before, strict=True):
        for now, then in zip((tree.weighted_n_node_samples, tree.value, tree.threshold), kept, strict=True):
            np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("survival", [True, False])
@pytest.mark.parametrize("candidate", ["forest", "xgboost", "catboost"])
def test_gaps_that_trees_take_as_they_are_go_the_same_way_in_shap(candidate: str, survival: bool) -> None:
    cohort = gappy_cohort("native", survival=survival)
    table = gappy_table(cohort)
    model = gappy_model(cohort, table, candidate)
    background = typical_patients(table, cohort, size=4)
    theirs, ours = (explainer(model, background, cohort, methods)(table.head(20)) for methods in (BY_SHAP, OWN))
    assert np.isnan(parts_of(model, cohort).matrix(table.head(20))).any()
    np.testing.assert_allclose(theirs.values, ours.values, atol=1e-6)


def test_catboosts_levels_come_back_at_their_own_features(cohorts: dict[str, Cohort], tables: Tables) -> None:
    """CatBoost holds numbers first and levels last, whatever the matrix's order."""
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    model = _fit(cohort, table, "catboost", {"iterations": 80, "depth": 4})
    background = typical_patients(table, cohort, size=4)
    columns = parts_of(model, cohort).estimator.library_columns(8)
    assert columns != sorted(columns)
    theirs, ours = (explainer(model, background, cohort, methods)(table[:30]) for methods in (BY_SHAP, OWN))
    np.testing.assert_allclose(theirs.values, ours.values, atol=1e-12)


def test_an_install_without_extras_brings_shap_at_a_fixed_version() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert any(line.startswith("shap") for line in named)
    fixed = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {"shap", "numba", "llvmlite", "cloudpickle", "slicer"} <= fixed


def _fit(cohort: Cohort, table: pd.DataFrame, candidate: str, params: dict[str, Any]) -> RiskModel:
    from relapse.candidates.base import outcome
    from relapse.candidates.catalogue import family

    head = family(candidate).head(cohort)
    assert head is not None
    return RiskModel(head.build(cohort, params, 1).fit(table, outcome(table, cohort)))
