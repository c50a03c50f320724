"""What becomes of missing values on the way to the matrix, rule by rule, learnt from the rows fitted on alone."""

from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

from relapse.cohorts.declared.features import Missing
from relapse.cohorts.schema import Cohort
from relapse.preprocessing import iterative
from relapse.preprocessing.iterative import Completing, Iterative, by_columns
from relapse.preprocessing.reduction import Reduction, reducer
from relapse.preprocessing.sampling import oversampler
from relapse.preprocessing.transformers import encoder, expander, ordered_columns
from relapse.preprocessing.treatment import treatments
from tests.gaps import OPEN, RULES, gappy_cohort, gappy_model, gappy_table, whole_table
from tests.wide import wide_cohort, wide_table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return gappy_table(gappy_cohort("median", survival=False))


def _imputer(cohort: Cohort, table: pd.DataFrame) -> Iterative:
    fitted = encoder(cohort, cohort.predictors).fit(table)
    assert isinstance(fitted, Completing)
    return fitted.filled_


def _column(cohort: Cohort, matrix: Any, name: str, **how: bool) -> Any:
    return matrix[:, ordered_columns(cohort, cohort.predictors, **how).index(name)]


def test_median_is_the_default_to_the_byte(table: pd.DataFrame) -> None:
    declared = gappy_cohort("median", survival=False)
    silent = declared.model_copy(
        update={"features": {key: item.model_copy(update={"missing": None}) for key, item in declared.features.items()}}
    )
    found, expected = (encoder(cohort, cohort.predictors) for cohort in (declared, silent))
    assert joblib.hash(found) == joblib.hash(expected)
    assert found.fit_transform(table).tobytes() == expected.fit_transform(table).tobytes()


def test_an_indicator_stands_beside_the_filled_value_whether_or_not_training_lacks_one(table: pd.DataFrame) -> None:
    cohort, plain = (gappy_cohort(rules, survival=False) for rules in ("indicator", "median"))
    order = ordered_columns(cohort, cohort.predictors)
    assert order == [*ordered_columns(plain, plain.predictors), *(f"missing({name})" for name in OPEN)]
    matrix = encoder(cohort, cohort.predictors).fit_transform(table)
    np.testing.assert_array_equal(matrix[:, : -len(OPEN)], encoder(plain, plain.predictors).fit_transform(table))
    for name in OPEN:
        np.testing.assert_array_equal(_column(cohort, matrix, f"missing({name})"), table[name].isna())
    whole = table.dropna()
    fitted = encoder(cohort, cohort.predictors).fit(whole)
    assert fitted.transform(whole).shape == (len(whole), len(order))
    assert _column(cohort, fitted.transform(table), "missing(size)").sum() == table["size"].isna().sum()


def test_what_trees_take_is_left_missing_and_levels_without_an_order_get_one_of_their_own(table: pd.DataFrame) -> None:
    cohort = gappy_cohort("native", survival=False)
    assert set(ordered_columns(cohort, cohort.predictors, native=True)) == set(cohort.predictors)
    matrix = encoder(cohort, cohort.predictors, native=True).fit_transform(table)
    for name in ("size", "nodes", "grade"):
        np.testing.assert_array_equal(np.isnan(_column(cohort, matrix, name, native=True)), table[name].isna())
    grade, subtype = (_column(cohort, matrix, name, native=True) for name in ("grade", "subtype"))
    np.testing.assert_array_equal(grade[table["grade"].notna()], table["grade"].cat.codes[table["grade"].notna()])
    np.testing.assert_array_equal(subtype, table["subtype"].cat.codes.replace(-1, 4))
    expanded = expander(cohort, cohort.predictors, native=True).fit_transform(matrix)
    assert expanded.shape[1] == 4 + 2 + 4, (
        "numbers and grade, one a level of receptor and subtype and none of the first"
    )
    assert (np.isnan(expanded).any(axis=0)).sum() == 3
    size = _column(cohort, matrix, "size", native=True)
    known = table["size"].dropna()
    np.testing.assert_allclose(size[table["size"].notna()], (known - known.mean()) / known.std(ddof=0))


def test_what_takes_no_missing_values_fills_native_features_and_says_so(table: pd.DataFrame) -> None:
    native, indicator = (gappy_cohort(rules, survival=False) for rules in ("native", "indicator"))
    found = encoder(native, native.predictors).fit_transform(table)
    np.testing.assert_array_equal(found, encoder(indicator, indicator.predictors).fit_transform(table))


@pytest.mark.filterwarnings("ignore:.*Early stopping criterion not reached")
def test_numbers_are_imputed_as_scikit_learn_does_it(table: pd.DataFrame) -> None:
    """Without features of several unordered levels, which it has nothing for, the chain is scikit-learn's own."""
    cohort = gappy_cohort("iterative", survival=False)
    names = [name for name in cohort.predictors if name != "subtype"]
    fitted = encoder(cohort, names).fit(table[:160])
    values = fitted.filled_.positions(table)
    mean, spread = np.nanmean(values[:160], axis=0), np.nanstd(values[:160], axis=0)
    scaled = (values - mean) / spread
    reference = IterativeImputer(
        BayesianRidge(),
        skip_complete=True,
        initial_strategy="median",
        min_value=np.nanmin(scaled[:160], axis=0),
        max_value=np.nanmax(scaled[:160], axis=0),
        random_state=0,
    ).fit(scaled[:160])
    expected = reference.transform(scaled) * spread + mean
    found = fitted.filled_.complete(values)
    for place, name in enumerate(names):
        rounded = np.rint(expected[:, place]) if name in ("grade", "receptor") else expected[:, place]
        np.testing.assert_allclose(found[:, place], np.where(np.isnan(values[:, place]), rounded, values[:, place]))


def test_imputed_values_are_nearer_the_truth_than_typical_ones(table: pd.DataFrame) -> None:
    cohort, truth = gappy_cohort("iterative", survival=False), whole_table()
    done = _imputer(cohort, table).transform(table)
    for name in ("size", "nodes"):
        lacking = table[name].isna()
        error = (done[name] - truth[name])[lacking].abs().mean()
        assert error < 0.8 * (table[name].median() - truth[name])[lacking].abs().mean()
        assert done[name].between(table[name].min(), table[name].max()).all()
        pd.testing.assert_series_equal(done[name][~lacking], table[name][~lacking])
    for name in ("grade", "receptor", "subtype"):
        lacking = table[name].isna()
        assert set(done[name].dropna()) <= set(cohort.features[name].names)
        assert done[name].notna().all()
        right = (done[name].astype(str) == truth[name])[lacking].mean()
        assert right > (truth[name][lacking] == table[name].mode()[0]).mean() + 0.1


def test_imputing_hangs_on_no_chance_no_outcome_and_nobody_else(table: pd.DataFrame) -> None:
    cohort = gappy_cohort("iterative", survival=False)
    done = _imputer(cohort, table).transform(table)
    other = table.assign(event=1 - table["event"], patient="X")
    again = _imputer(cohort, other).transform(other)
    pd.testing.assert_frame_equal(done[cohort.predictors], again[cohort.predictors], check_exact=True)
    imputer = _imputer(cohort, table)
    alone = pd.concat([imputer.transform(table.iloc[[row]]) for row in range(30)])
    numbers = cohort.numeric(cohort.predictors)
    np.testing.assert_allclose(alone[numbers], done[numbers][:30], rtol=1e-9)
    assert (alone["subtype"].astype(str) == done["subtype"][:30].astype(str)).all()


@pytest.mark.parametrize("spoilt", ["empty", "constant", "never missing", "one level"])
def test_a_column_that_teaches_nothing_does_no_harm(table: pd.DataFrame, spoilt: str) -> None:
    cohort = gappy_cohort("iterative", survival=False)
    seen = table[:160].copy()
    if spoilt != "one level":
        seen["size"] = {"empty": np.nan, "constant": 20.0}.get(spoilt, whole_table()["size"])
    if spoilt in ("empty", "one level"):
        level = {"empty": None, "one level": "HER2"}[spoilt]
        seen["subtype"] = pd.Categorical([level] * len(seen), cohort.features["subtype"].names)
    done = _imputer(cohort, seen.astype({"size": float})).transform(table[160:])
    assert np.isfinite(done["size"]).all()
    assert done[list(OPEN)].notna().all(axis=None)
    if spoilt == "constant":
        assert set(done["size"][table["size"][160:].isna()]) == {20.0}
    if spoilt == "one level":
        assert set(done["subtype"][table["subtype"][160:].isna()]) == {"HER2"}


def test_one_predictor_alone_is_filled_with_its_median(table: pd.DataFrame) -> None:
    cohort = gappy_cohort("iterative", survival=False)
    done = encoder(cohort, ["size"]).fit(table).filled_.transform(table)
    assert set(done["size"][table["size"].isna()].round(9)) == {round(float(table["size"].median()), 9)}


def _fitted_state(rules: str, table: pd.DataFrame, native: bool) -> str:
    cohort = gappy_cohort(rules, survival=False)
    fitted = encoder(cohort, cohort.predictors, native=native).fit(table)
    return str(joblib.hash({key: value for key, value in vars(fitted).items() if key.endswith("_")}))


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("rules", RULES)
def test_rows_held_out_change_nothing_that_is_learnt(table: pd.DataFrame, rules: str, native: bool) -> None:
    spoilt = table.copy()
    spoilt.loc[160:, "size"] = 250.0
    spoilt.loc[160:, "nodes"] = np.nan
    spoilt.loc[160:, "subtype"] = "HER2"
    spoilt.loc[160:, "receptor"] = "negative"
    assert _fitted_state(rules, table[:160], native) == _fitted_state(rules, spoilt[:160], native)
    # Planted: were they seen, it would show.
    assert _fitted_state(rules, table, native) != _fitted_state(rules, spoilt, native)


def test_synthetic_rows_keep_indicators_indicators(table: pd.DataFrame) -> None:
    cohort = gappy_cohort("indicator", survival=False, imbalance="smotenc")
    matrix = encoder(cohort, cohort.predictors).fit_transform(table)
    sampler = oversampler(cohort, cohort.predictors, seed=0)
    assert sampler is not None
    few = np.flatnonzero((table["event"] == 0) | (np.arange(len(table)) % 3 == 0))
    grown, target = sampler.fit_resample(matrix[few], table["event"].to_numpy(int)[few])
    assert np.ptp(np.bincount(target)) == 0
    assert len(grown) > len(few)
    order = ordered_columns(cohort, cohort.predictors)
    said = grown[:, [order.index(f"missing({name})") for name in OPEN]]
    assert set(np.unique(said)) == {0.0, 1.0}
    assert not np.isin(grown[len(few) :, order.index("size")], matrix[:, order.index("size")]).all(), "sizes are new"


def test_a_reduced_block_shares_one_column_that_says_how_much_is_missing() -> None:
    cohort = wide_cohort(survival=True).model_copy(update={"missing": Missing.INDICATOR})
    table = wide_table(cohort)
    made = encoder(cohort, cohort.predictors)
    assert ordered_columns(cohort, cohort.predictors)[2] == "share(missing in mri-scan)"
    reduce = reducer(made, {"mri_scan": Reduction("pca", 4)})
    assert reduce is not None
    matrix = reduce.fit_transform(made.fit_transform(table))
    assert matrix.shape[1] == 2 + 1 + 4
    lacking = table[cohort.block_features("mri_scan")].isna().mean(axis=1)
    np.testing.assert_allclose(matrix[:, 2], lacking)


def test_a_wide_table_is_imputed_in_bounded_work() -> None:
    cohort = wide_cohort(survival=True, columns=120).model_copy(update={"missing": Missing.ITERATIVE})
    table, rng = wide_table(cohort), np.random.default_rng(0)
    textures = cohort.block_features("mri_scan")
    holes = rng.random((len(table), len(textures))) < 0.1
    gappy = table.assign(**{name: table[name].mask(hole) for name, hole in zip(textures, holes.T, strict=True)})
    imputer = _imputer(cohort, gappy)
    assert imputer.neighbours_.shape[1] == iterative.NEIGHBOURS
    assert len(imputer.column_) <= iterative.WIDE_ROUNDS * len(textures)
    done = imputer.transform(gappy)
    assert done[textures].notna().all(axis=None)
    cells = holes & table[textures].notna().to_numpy()
    typical = gappy[textures].fillna(gappy[textures].median())
    errors = [np.abs((frame[textures] - table[textures]).to_numpy()[cells]).mean() for frame in (done, typical)]
    assert errors[0] < 0.75 * errors[1]
    again = _imputer(cohort, gappy).transform(gappy)
    pd.testing.assert_frame_equal(done, again, check_exact=True)


def test_an_encoder_that_imputes_is_cloned_and_reduced_like_any_other() -> None:
    cohort = wide_cohort(survival=True, harmonise="combat").model_copy(update={"missing": Missing.ITERATIVE})
    table = wide_table(cohort)
    made = encoder(cohort, cohort.predictors)
    reduce = reducer(made, {"mri_scan": Reduction("clusters", 5)})
    assert reduce is not None
    fitted = clone(made).fit(table)
    assert by_columns(fitted) is not by_columns(made)
    matrix = reduce.fit_transform(fitted.transform(table))
    assert matrix.shape == (len(table), 7)
    assert np.isfinite(matrix).all()


@pytest.mark.parametrize(
    ("candidate", "rules", "params", "done", "because"),
    [
        ("reference", "median", {}, "filled with the median", ""),
        ("linear", "indicator", {}, "filled with the median, with an indicator", ""),
        ("linear", "iterative", {}, "imputed from the others", ""),
        ("linear", "native", {}, "filled with the median, with an indicator", "takes no missing values"),
        ("xgboost", "native", {}, "left missing", ""),
        ("catboost", "native", {"balance": "none"}, "left missing", ""),
        ("forest", "native", {"balance": "weight"}, "left missing", ""),
        ("xgboost", "native", {"balance": "smotenc"}, "filled with the median, with an indicator", "synthetic rows"),
    ],
)
def test_a_model_tells_what_it_does(
    candidate: str, rules: str, params: dict[str, Any], done: str, because: str
) -> None:
    cohort = gappy_cohort(rules, survival=False, imbalance="smotenc" if params else "none")
    model = gappy_model(cohort, gappy_table(cohort), candidate, **params).model
    found = treatments(model, cohort)
    assert list(found) == [name for name in OPEN if candidate != "reference" or name in cohort.reference]
    assert (str(found["size"]), found["size"].declared) == (done, rules)
    assert because in found["size"].because
    assert bool(because) == bool(found["size"].because)
