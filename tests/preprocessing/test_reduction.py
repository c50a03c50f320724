"""Wide blocks: fixed widths, nothing learnt from rows not fitted on, the methods do what their names say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relapse.candidates.base import outcome
from relapse.preprocessing.reduction import MISSING, Reducer, Reduction, UsableColumns, reducer
from relapse.preprocessing.screening import association, cox_scores
from relapse.preprocessing.transformers import encoder, expander, ordered_columns
from tests.wide import wide_cohort, wide_table

METHODS = ("clusters", "screen", "pca")

matrices = st.tuples(st.integers(4, 25), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-3, 3).map(float))
)


@pytest.mark.parametrize("method", METHODS)
@given(X=matrices, size=st.integers(1, 15), survival=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_matrix_becomes_exactly_as_many_columns_as_asked_for(method, X, size, survival):
    y = np.arange(len(X)) % 2
    if survival:
        y = np.array(
            [(bool(value), 1.0 + place % 4) for place, value in enumerate(y)], dtype=[("event", bool), ("time", float)]
        )
    X = X - X.mean(axis=0)
    X[:, np.abs(X).max(axis=0) < 1e-9] = 0.0
    fitted = Reducer(method, size).fit(X, y)
    found = fitted.transform(X)
    assert found.shape == (len(X), size)
    assert np.isfinite(found).all()
    again = Reducer(method, size).fit(X, y).transform(X)
    np.testing.assert_array_equal(found, again)
    np.testing.assert_allclose(fitted.transform(X[:1]), found[:1], atol=1e-9)


def test_columns_that_rise_or_fall_together_become_one():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 80))
    X = np.column_stack([first, second, -first, second + 0.01 * rng.normal(size=80), first])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    found = Reducer("clusters", 2).fit(X).transform(X)
    assert np.abs(np.corrcoef(found[:, 0], X[:, 0])[0, 1]) > 0.999
    assert np.abs(np.corrcoef(found[:, 1], X[:, 1])[0, 1]) > 0.999
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=0.01)


def test_components_have_variance_one_and_no_rounding_is_blown_up():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 20))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    found = Reducer("pca", 6).fit(X).transform(X)
    np.testing.assert_allclose(found.std(axis=0, ddof=1), [1, 1, 1, 0, 0, 0], atol=1e-9)


def test_screening_keeps_the_columns_with_the_strongest_association():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(100, 30))
    y = (X[:, 7] - X[:, 21] + 0.5 * rng.normal(size=100) > 0).astype(int)
    np.testing.assert_array_equal(Reducer("screen", 2).fit(X, y).transform(X), X[:, [7, 21]])


def test_the_score_test_is_what_the_partial_likelihood_says():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 4)) + 5.0
    time, event = np.ceil(rng.exponential(size=40) * 6), rng.random(40) < 0.6

    def log_likelihood(beta: float, x: np.ndarray) -> float:
        return sum(beta * x[at] - np.log(np.exp(beta * x[time >= time[at]]).sum()) for at in np.flatnonzero(event))

    step = 1e-4
    for column, score in zip(X.T, cox_scores(X, event, time), strict=True):
        x = column - column.mean()
        low, middle, high = (log_likelihood(beta, x) for beta in (-step, 0.0, step))
        slope, bend = (high - low) / (2 * step), -(high - 2 * middle + low) / step**2
        assert score == pytest.approx(slope**2 / bend, rel=1e-4)


def test_an_outcome_that_says_nothing_screens_nothing():
    X = np.random.default_rng(0).normal(size=(10, 3))
    y = np.array([(place == 0, 1.0 if place else 9.0) for place in range(10)], dtype=[("event", bool), ("time", float)])
    np.testing.assert_array_equal(association(X, y), 0.0)


def test_what_is_mostly_missing_or_nearly_constant_becomes_zeros():
    rows = 100
    X = pd.DataFrame(
        {
            "kept": np.arange(rows, dtype=float),
            "holes": np.where(np.arange(rows) < (MISSING + 0.02) * rows, np.nan, np.arange(rows)),
            "flat": np.r_[np.zeros(rows - 4), np.arange(4.0)],
            "empty": np.nan,
        }
    )
    found = UsableColumns().fit(X).transform(X)
    np.testing.assert_array_equal(found[:, 0], X["kept"])
    np.testing.assert_array_equal(found[:, 1:], 0.0)


@pytest.mark.parametrize("survival", [False, True])
@pytest.mark.parametrize(
    "reduction", [Reduction("none"), Reduction("filter"), *(Reduction(name, 6) for name in METHODS)]
)
def test_only_the_block_is_reduced_and_only_by_rows_fitted_on(survival, reduction):
    cohort = wide_cohort(survival=survival)
    table = wide_table(cohort)
    encode = encoder(cohort, cohort.predictors)
    plain = encoder(cohort, cohort.predictors).fit(table[:80])
    step = reducer(encode, {"mri_scan": reduction})
    assert ordered_columns(cohort, cohort.predictors)[:3] == ["age", "receptor", "texture_0"]
    target = outcome(table, cohort)

    def reduced(rows, unseen):
        matrix = encode.fit(rows, target[:80]).transform(rows)
        if step is None:
            return matrix, encode.transform(unseen)
        step.fit(matrix, target[:80])
        return step.transform(matrix), step.transform(encode.transform(unseen))

    seen, unseen = reduced(table[:80], table[80:])
    assert seen.shape[1] == 2 + (reduction.size or 40)
    np.testing.assert_array_equal(unseen[:, :2], plain.transform(table[80:])[:, :2])
    spoiled = table[80:].copy()
    spoiled[cohort.block_features("mri_scan")] *= 50
    again, _ = reduced(table[:80], spoiled)
    np.testing.assert_array_equal(again, seen)
    if reduction.method == "filter":
        np.testing.assert_array_equal(seen[:, [3, 4]], 0.0)
    assert expander(cohort, cohort.predictors).fit_transform(seen).shape == seen.shape
