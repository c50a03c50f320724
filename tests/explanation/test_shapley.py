"""Shapley values of every candidate: they add up, agree with what is known, and give nothing to what is not used."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.explanation.background import Background, typical_patients
from relapse.explanation.coalitions import exact
from relapse.explanation.parts import parts_of
from relapse.explanation.shapley import attribute
from tests.bundle.making import PAIRS, small_model

from .conftest import Fitted

Tables = dict[str, pd.DataFrame]


@pytest.mark.parametrize(("cohort", "candidate"), PAIRS)
def test_values_add_up_to_the_models_output(
    cohort: str,
    candidate: str,
    fitted: Fitted,
    cohorts: dict[str, Cohort],
    tables: Tables,
    backgrounds: dict[str, Background],
) -> None:
    model, rows = fitted(cohort, candidate), tables[cohort][:12]
    found = attribute(model, rows, backgrounds[cohort], cohorts[cohort])
    np.testing.assert_allclose(found.output, found.base + found.values.sum(axis=1), atol=1e-12)
    if candidate != "forest":
        parts = parts_of(model, cohorts[cohort])
        expected = parts.output(parts.matrix(rows))
    elif cohorts[cohort].survival:
        expected = np.exp(model.predict_score(rows))
    else:
        expected = model.model.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(found.output, expected, atol=2e-6)
    assert found.values.shape == (12, len(cohorts[cohort].predictors))


@pytest.mark.parametrize(("cohort", "candidate"), PAIRS)
def test_base_is_the_output_averaged_over_the_background(
    cohort: str, candidate: str, fitted: Fitted, cohorts: dict[str, Cohort], backgrounds: dict[str, Background]
) -> None:
    """Explaining the background itself, the averaged values are nothing; boosted trees have a base of their own."""
    if candidate in ("xgboost", "catboost"):
        return
    background = backgrounds[cohort]
    found = attribute(fitted(cohort, candidate), background.table, background, cohorts[cohort])
    rounding = 1e-6 if candidate in ("mlp", "cnn1d") else 1e-9  # networks are asked in single precision
    assert background.weights @ found.output == pytest.approx(found.base, abs=rounding)


@pytest.mark.parametrize("cohort", ["gbsg", "wpbc"])
def test_the_reference_model_rests_on_its_features_alone(
    cohort: str, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables, backgrounds: dict[str, Background]
) -> None:
    declared = cohorts[cohort]
    found = attribute(fitted(cohort, "reference"), tables[cohort], backgrounds[cohort], declared)
    used = [name for name, values in zip(declared.predictors, found.values.T, strict=True) if (values != 0).any()]
    assert set(used) == set(declared.reference)


def test_a_linear_model_has_its_closed_form(
    fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables, backgrounds: dict[str, Background]
) -> None:
    """Against the definition: all coalitions of the reference model, and coefficient times distance from the mean."""
    model, cohort, background = fitted("gbsg", "reference"), cohorts["gbsg"], backgrounds["gbsg"]
    parts = parts_of(model, cohort)
    rows = parts.matrix(background.table)
    found = attribute(model, tables["gbsg"][:20], background, cohort)
    by_definition = exact(
        parts.output,
        parts.matrix(tables["gbsg"][:20]),
        rows,
        weights=background.weights,
        owner=parts.owner,
        features=len(parts.used),
    )
    mine = found.values[:, [cohort.predictors.index(name) for name in parts.used]]
    np.testing.assert_allclose(mine, by_definition, atol=1e-12)
    size = cohort.predictors.index("tsize")
    slope = np.diff(found.values[:, size]) / np.diff(tables["gbsg"]["tsize"][:20])
    assert np.nanmax(slope[np.isfinite(slope)]) == pytest.approx(np.nanmin(slope[np.isfinite(slope)]), rel=1e-6)


@pytest.mark.parametrize("candidate", ["linear", "forest", "catboost", "mlp"])
def test_indicators_of_a_feature_are_summed_into_it(candidate: str, cohorts: dict[str, Cohort], tables: Tables) -> None:
    """Three unordered levels are two columns of the matrix, and one of the explanation."""
    unordered = cohorts["gbsg"].features["tgrade"].model_copy(update={"type": "nominal"})
    cohort = cohorts["gbsg"].model_copy(update={"features": cohorts["gbsg"].features | {"tgrade": unordered}})
    table = typed(tables["gbsg"], cohort)
    background = typical_patients(table, cohort, size=4)
    model = small_model(cohort, table, candidate)
    if candidate == "catboost":  # the small one does not split on the grade
        head = family(candidate).head(cohort)
        assert head is not None
        model = RiskModel(head.build(cohort, {"iterations": 80, "depth": 4}, 1).fit(table, outcome(table, cohort)))
    parts = parts_of(model, cohort)
    columns = 1 if candidate == "catboost" else 2
    assert np.bincount(parts.owner)[parts.used.index("tgrade")] == columns
    one = table[:1]
    other = one.assign(tgrade=pd.Categorical(["I" if one["tgrade"].iloc[0] != "I" else "II"], unordered.names))
    first, second = (attribute(model, row, background, cohort) for row in (one, other))
    change = np.exp if candidate == "forest" else np.asarray
    expected = change(model.predict_score(other)) - change(model.predict_score(one))
    assert (second.values - first.values).sum() == pytest.approx(expected[0], abs=1e-6)
    at = cohort.predictors.index("tgrade")
    assert second.values[0, at] != first.values[0, at]
    if candidate == "linear":
        np.testing.assert_allclose(np.delete(second.values - first.values, at), 0, atol=1e-12)


@pytest.mark.parametrize(("cohort", "candidate"), [("gbsg", "forest"), ("gbsg", "xgboost"), ("gbsg", "catboost")])
def test_a_feature_without_information_that_trees_never_split_on_gets_nothing(
    cohort: str, candidate: str, cohorts: dict[str, Cohort], tables: Tables, backgrounds: dict[str, Background]
) -> None:
    declared, table = cohorts[cohort], tables[cohort][:200].copy()
    table["estrec"] = 7.0
    head = family(candidate).head(declared)
    assert head is not None
    small = {"forest": {"n_estimators": 10}, "xgboost": {"n_estimators": 5}, "catboost": {"iterations": 5}}[candidate]
    model = RiskModel(head.build(declared, small, 1).fit(table, outcome(table, declared)))
    found = attribute(model, tables[cohort][200:230], backgrounds[cohort], declared)
    at = declared.predictors.index("estrec")
    assert (found.values[:, at] == 0).all()
    assert (found.values != 0).any()


@pytest.mark.parametrize("candidate", ["reference", "svm", "forest", "mlp"])
def test_a_row_is_explained_alike_alone_and_among_others(
    candidate: str, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables, backgrounds: dict[str, Background]
) -> None:
    for cohort in ("gbsg", "wpbc"):
        model, rows = fitted(cohort, candidate), tables[cohort][:5]
        together = attribute(model, rows, backgrounds[cohort], cohorts[cohort])
        alone = attribute(model, rows[3:4], backgrounds[cohort], cohorts[cohort])
        rounding = 1e-6 if candidate == "mlp" else 1e-9  # networks are asked in single precision
        np.testing.assert_allclose(together.values[3], alone.values[0], atol=rounding)


def test_a_missing_value_is_explained_as_the_model_fills_it(
    fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables, backgrounds: dict[str, Background]
) -> None:
    rows = tables["gbsg"][:3].copy()
    rows["tsize"] = np.nan
    found = attribute(fitted("gbsg", "mlp"), rows, backgrounds["gbsg"], cohorts["gbsg"])
    assert np.isfinite(found.values).all()


def test_explaining_loads_neither_torch_nor_mlflow_nor_training() -> None:
    code = (
        "import sys, relapse.explanation.shapley, relapse.explanation.background\n"
        "heavy = {'torch', 'mlflow', 'matplotlib', 'shap', 'relapse.training'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(("cohort", "candidate"), [("wpbc", "forest"), ("gbsg", "svm"), ("gbsg", "mlp")])
def test_values_are_those_that_the_shap_package_finds(
    cohort: str, candidate: str, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables
) -> None:
    import shap

    model, rows = fitted(cohort, candidate), tables[cohort][:3]
    background = Background(tables[cohort][20:28], np.full(8, 1 / 8))
    parts = parts_of(model, cohorts[cohort])
    around, matrix = parts.matrix(background.table), parts.matrix(rows)
    assert np.unique(parts.owner).size == matrix.shape[1], "a column a feature, so that both speak of the same"
    if candidate == "forest":
        explained = shap.TreeExplainer(parts.estimator, data=around, feature_perturbation="interventional")
        expected = explained.shap_values(matrix, check_additivity=False)[..., 1]
    else:
        masker = shap.maskers.Independent(around, max_samples=len(around))
        expected = shap.explainers.Exact(parts.output, masker)(matrix).values
    found = attribute(model, rows, background, cohorts[cohort]).values
    used = [cohorts[cohort].predictors.index(parts.used[owner]) for owner in parts.owner]
    np.testing.assert_allclose(found[:, used], expected, atol=1e-6)
