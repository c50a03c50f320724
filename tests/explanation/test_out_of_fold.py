"""Explanations on held-out rows: what matters comes first, what does not loses nothing, any number of workers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.explanation import permutation
from relapse.explanation.out_of_fold import Explained, drawn_patients, explain
from relapse.explanation.parts import parts_of
from relapse.explanation.permutation import correlated_groups, losses, shuffle
from relapse.explanation.stability import stability
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.training.splits import outer_folds
from tests.bundle.making import small_model

from .conftest import Fitted
from .shuffled import plainly

Tables = dict[str, pd.DataFrame]

PARAMS = ExplainParams(background=4, shuffles=3, resamples=100, correlated=0.8)


def _explain(
    cohort: Cohort, table: pd.DataFrame, candidates: list[str], *, workers: int = 1, params: ExplainParams = PARAMS
) -> dict[str, Explained]:
    folds = outer_folds(table, folds=2, repeats=1, seed=3)
    models: dict[str, dict[int, RiskModel]] = {
        name: {
            fold: small_model(cohort, table[(folds["fold"] != fold).to_numpy()].reset_index(drop=True), name)
            for fold in (0, 1)
        }
        for name in candidates
    }
    machinery = Machinery(workers=workers, tracking_uri="", artifact_root=None, backend="fork")
    return explain(table, cohort, folds, models, params=params, seed=11, machinery=machinery)


@pytest.fixture(scope="module")
def explained(cohorts: dict[str, Cohort], _tables: Tables) -> dict[str, Explained]:
    return _explain(cohorts["wpbc"], _tables["wpbc"], ["reference", "xgboost"])


def test_one_and_two_workers_give_the_same(
    explained: dict[str, Explained], cohorts: dict[str, Cohort], tables: Tables
) -> None:
    again = _explain(cohorts["wpbc"], tables["wpbc"], ["reference", "xgboost"], workers=2)
    for name, found in again.items():
        pd.testing.assert_frame_equal(found.shap, explained[name].shap, check_exact=True)
        assert found.importance == explained[name].importance


def test_every_row_is_explained_once_and_adds_up(
    explained: dict[str, Explained], cohorts: dict[str, Cohort], tables: Tables
) -> None:
    for found in explained.values():
        assert list(found.shap["row"]) == sorted(tables["wpbc"]["row"])
        total = found.shap["base"] + found.shap[cohorts["wpbc"].predictors].sum(axis=1)
        np.testing.assert_allclose(total, found.shap["output"], atol=1e-9)
        assert (np.diff(found.typical_values.output) >= 0).all()


def test_of_a_large_table_the_same_patients_are_drawn_for_all_and_explained_as_before(
    explained: dict[str, Explained], cohorts: dict[str, Cohort], tables: Tables
) -> None:
    few = PARAMS.model_copy(update={"patients": 100})
    found = _explain(cohorts["wpbc"], tables["wpbc"], ["reference", "xgboost"], params=few)
    first, second = found["reference"].shap, found["xgboost"].shap
    assert list(first["row"]) == list(second["row"])
    assert 100 <= len(second) <= 103
    of_all = explained["xgboost"].shap.set_index("row").loc[second["row"]].reset_index()
    pd.testing.assert_frame_equal(second, of_all[second.columns], rtol=1e-12)
    names = cohorts["wpbc"].explained
    sizes = [item.shap for item in found["xgboost"].importance[: len(names)]]
    np.testing.assert_allclose(sizes, second[names].abs().mean())


@pytest.mark.parametrize("most", [100, 130, 500])
def test_patients_are_drawn_whole_and_evenly(most: int) -> None:
    """Of 400 patients of two rows in four folds, a tenth with the event in one of them; in one fold a single one."""
    rng = np.random.default_rng(2)
    patient = np.repeat(np.arange(400), 2)
    fold = rng.integers(0, 4, 400)
    event = np.where(fold == 3, 0, rng.random(400) < 0.1).astype(int)
    event[np.flatnonzero(fold == 3)[0]] = 1
    table = pd.DataFrame({"patient": patient, "event": np.column_stack([np.zeros(400, int), event]).ravel()})
    drawn = drawn_patients(table, np.repeat(fold, 2), most=most, seed=3)
    assert (drawn[::2] == drawn[1::2]).all()
    if most >= 400:
        assert drawn.all()
        return
    chosen = drawn[::2]
    assert most <= chosen.sum() <= most + 8
    for one in range(4):
        for kind in (0, 1):
            among = (fold == one) & (event == kind)
            assert 0 <= chosen[among].sum() - among.sum() * most / 400 < 1
    assert (drawn != drawn_patients(table, np.repeat(fold, 2), most=most, seed=4)).any()
    assert (drawn == drawn_patients(table, np.repeat(fold, 2), most=most, seed=3)).all()


def test_a_row_is_explained_by_the_model_that_has_not_seen_it(cohorts: dict[str, Cohort], tables: Tables) -> None:
    """Spoil one fold's rows: models that saw them change, and with them the values of the other fold, not their own."""
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    folds = outer_folds(table, folds=2, repeats=1, seed=3)
    models = {
        fold: small_model(cohort, table[(folds["fold"] != fold).to_numpy()].reset_index(drop=True), "reference")
        for fold in (0, 1)
    }
    machinery = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")

    def shap(given: dict[int, RiskModel]) -> pd.DataFrame:
        return explain(table, cohort, folds, {"r": given}, params=PARAMS, seed=1, machinery=machinery)["r"].shap

    right, swapped = shap(models), shap({0: models[0], 1: models[0]})
    same = (right["output"] == swapped["output"]).to_numpy()
    np.testing.assert_array_equal(same, (right["fold"] == 0).to_numpy())


def test_a_feature_that_a_model_does_not_use_loses_exactly_nothing(
    explained: dict[str, Explained], cohorts: dict[str, Cohort]
) -> None:
    cohort = cohorts["wpbc"]
    for item in explained["reference"].importance[: len(cohort.predictors)]:
        if item.features[0] not in cohort.reference:
            assert item.shap == 0
            assert (item.loss.value, item.loss.lower, item.loss.upper) == (0, 0, 0)
            assert set(item.loss_by_fold) == {0.0}
        else:
            assert item.loss.lower <= item.loss.value <= item.loss.upper


def test_a_planted_informative_feature_comes_first_and_noise_loses_about_nothing(
    cohorts: dict[str, Cohort], tables: Tables
) -> None:
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    rng = np.random.default_rng(8)
    table["estrec"] = np.where(table["event"] == 1, 300.0, 100.0) + rng.normal(0, 60, len(table))
    table["progrec"] = rng.permutation(table["progrec"].to_numpy())
    found = _explain(cohort, table, ["xgboost"])["xgboost"]
    by_name = {item.features[0]: item for item in found.importance[: len(cohort.predictors)]}
    assert max(by_name, key=lambda name: by_name[name].shap) == "estrec"
    assert max(by_name, key=lambda name: by_name[name].loss.value) == "estrec"
    assert by_name["estrec"].loss.lower > 0.05
    assert abs(by_name["progrec"].loss.value) < 0.02
    assert found.shap_stability.best[cohort.predictors.index("estrec")] == 1
    assert found.shap_stability.worst[cohort.predictors.index("estrec")] == 1


@pytest.mark.parametrize("cells", [1, 100_000])
def test_players_shuffled_a_few_at_a_time_have_the_scores_of_all_at_once(
    cells: int, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    players = [[name] for name in cohort.predictors] + [["tsize", "pnodes"]]
    whole = shuffle(fitted("wpbc", "linear"), table, players, cohort, shuffles=3, seed=1)
    monkeypatch.setattr(permutation, "_CELLS", cells)
    parts = shuffle(fitted("wpbc", "linear"), table, players, cohort, shuffles=3, seed=1)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-12)


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
@pytest.mark.parametrize("candidate", ["reference", "linear", "svm", "forest", "xgboost", "catboost", "mlp", "cnn1d"])
def test_columns_exchanged_in_the_matrix_are_features_exchanged_in_the_table(
    name: str, candidate: str, fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables
) -> None:
    cohort, table, model = cohorts[name], tables[name][:80], fitted(name, candidate)
    players = [*([feature] for feature in cohort.predictors), list(cohort.predictors[1:3])]
    found = shuffle(model, table, players, cohort, shuffles=2, seed=5)
    expected = plainly(model, table, players, cohort, shuffles=2, seed=5)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5 if candidate in ("mlp", "cnn1d") else 1e-9)
    unused = [not (set(player) & set(parts_of(model, cohort).used)) for player in players]
    assert (found.scores[unused] == found.intact).all()


def test_copies_hide_each_other_until_they_are_shuffled_together(
    fitted: Fitted, cohorts: dict[str, Cohort], tables: Tables
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    groups = correlated_groups(table, cohort, threshold=0.8)
    assert ["mean_radius", "mean_perimeter", "mean_area", "worst_radius", "worst_perimeter", "worst_area"] in groups
    related = table[cohort.predictors].corr(method="spearman").abs()
    for group in groups:
        assert related.loc[group, group].to_numpy().min() >= 0.8 - 1e-6
    assert correlated_groups(table, cohort, threshold=1.0) == []
    model = fitted("wpbc", "reference")
    players = [["tsize"], ["pnodes"], ["tsize", "pnodes"]]
    shuffled = shuffle(model, table, players, cohort, shuffles=20, seed=1)
    alone, other, both = losses(shuffled, table, cohort, resamples=100, seed=1)
    assert both.value > max(alone.value, other.value)
    # Without both of its features the reference model ranks by chance.
    intact = losses(replace(shuffled, scores=shuffled.scores[2:]), table, cohort, resamples=100, seed=1)[0]
    assert intact == both


def test_stability_is_kendalls_w() -> None:
    same = stability(np.array([[3.0, 2.0, 1.0, 0.0], [6.0, 5.0, 4.0, 0.0]]))
    assert same.agreement == pytest.approx(1)
    assert same.best == same.worst == (1.0, 2.0, 3.0, 4.0)
    assert stability(np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])).agreement == pytest.approx(0)
    # W and the mean Spearman correlation of m judges: W = (1 + (m - 1) mean) / m.
    scores = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]], dtype=float)
    pairs = [spearmanr(scores[i], scores[j]).statistic for i, j in ((0, 1), (0, 2), (1, 2))]
    assert stability(scores).agreement == pytest.approx((1 + 2 * np.mean(pairs)) / 3)
    assert np.isnan(stability(np.array([[1.0, 0.0], [2.0, 0.0]])).agreement)
