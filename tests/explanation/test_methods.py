"""The methods behind the Shapley values, against games whose solution is known or can be counted out."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from relapse.cohorts.schema import Cohort
from relapse.explanation.background import CELL, typical_patients
from relapse.explanation.coalitions import exact, sampled
from relapse.explanation.trees import forest_shapley, leaves_of

Array = NDArray[np.float64]

OWNER = np.array([0, 1, 1, 2, 3])
WEIGHTS = np.array([0.2, 0.5, 0.3])


def _output(rows: Array) -> Array:
    return rows[:, 0] * rows[:, 1] * rows[:, 3] + np.maximum(rows[:, 2], rows[:, 3]) ** 2


def _counted_out(row: Array, background: Array) -> Array:
    """The definition: a feature's mean gain over all orders in which features can join."""
    values = np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        mixed = background.copy()
        before = WEIGHTS @ _output(mixed)
        for feature in order:
            mine = np.flatnonzero(np.equal(OWNER, feature))
            mixed[:, mine] = row[mine]
            after = WEIGHTS @ _output(mixed)
            values[feature] += (after - before) / len(orders)
            before = after
    return values


@pytest.fixture
def game() -> tuple[Array, Array]:
    rng = np.random.default_rng(4)
    return rng.normal(size=(6, 5)), rng.normal(size=(3, 5))


def test_all_coalitions_are_what_all_orders_give(game: tuple[Array, Array]) -> None:
    rows, background = game
    found = exact(_output, rows, background, weights=WEIGHTS, owner=OWNER, features=4)
    np.testing.assert_allclose(found, [_counted_out(row, background) for row in rows], atol=1e-12)
    assert (found[:, 3] == 0).all(), "a column that the function does not read gets nothing"


def test_values_that_a_patient_shares_with_the_background_are_not_asked_about(game: tuple[Array, Array]) -> None:
    rows, background = (np.round(part) for part in game)
    background[0], background[1, :3] = rows[0], rows[0, :3]
    asked = []

    def output(mixed: Array) -> Array:
        asked.append(len(mixed))
        return _output(mixed)

    found = exact(output, rows, background, weights=WEIGHTS, owner=OWNER, features=4)
    np.testing.assert_allclose(found, [_counted_out(row, background) for row in rows], atol=1e-12)
    assert asked[0] <= 1 + 4 + 16, "none, two and all four features differ"
    assert max(asked) <= 3 * 16


def test_sampled_orders_come_near_the_exact_values_and_always_add_up(game: tuple[Array, Array]) -> None:
    rows, background = game
    truth = exact(_output, rows, background, weights=WEIGHTS, owner=OWNER, features=4)
    few, many = (
        sampled(_output, rows, background, weights=WEIGHTS, owner=OWNER, features=4, orders=n) for n in (2, 400)
    )
    np.testing.assert_allclose(few.sum(axis=1), truth.sum(axis=1), atol=1e-12)
    assert np.abs(many - truth).max() < 0.1
    assert np.abs(many - truth).mean() < np.abs(few - truth).mean()
    assert (few[:, 3] == 0).all()


def test_an_order_and_its_reverse_are_exact_where_no_more_than_two_features_act_together(
    game: tuple[Array, Array],
) -> None:
    rows, background = game
    pairwise = {"weights": WEIGHTS, "owner": np.arange(5), "features": 5}

    def products(matrix: Array) -> Array:
        return matrix[:, 0] * matrix[:, 1] + matrix[:, 2] * matrix[:, 3] + matrix[:, 4]

    one = sampled(products, rows, background, orders=1, **pairwise)
    np.testing.assert_allclose(one, exact(products, rows, background, **pairwise), atol=1e-12)


def test_leaf_by_leaf_is_what_all_coalitions_give(game: tuple[Array, Array]) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(200, 5))
    forest = RandomForestRegressor(n_estimators=7, random_state=1).fit(matrix, _output(matrix))
    trees = [tree.tree_ for tree in forest.estimators_]
    leaves = leaves_of(trees, [tree.value[:, 0, 0] for tree in trees], columns=5)
    rows, background = game
    patients, others = (leaves.inside(data, owner=OWNER, features=4) for data in (rows, background))
    found = forest_shapley(patients, others, leaves.value, weights=WEIGHTS, features=4)
    expected = exact(forest.predict, rows, background, weights=WEIGHTS, owner=OWNER, features=4)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_typical_patients_are_weighted_means_and_no_real_patient(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    for name, table in tables.items():
        cohort = cohorts[name]
        found = typical_patients(table, cohort, size=6)
        assert found.weights.sum() == pytest.approx(1)
        assert len(found.table) == 6
        number = cohort.numeric(cohort.predictors)[0]
        per_patient = table.groupby("patient").size().nunique() == 1
        if per_patient:
            assert found.weights @ found.table[number] == pytest.approx(table[number].mean(), rel=1e-6)
        real = set(map(str, table[cohort.predictors].itertuples(index=False, name=None)))
        assert not real & set(map(str, found.table[cohort.predictors].itertuples(index=False, name=None)))
        pd.testing.assert_frame_equal(found.table, typical_patients(table, cohort, size=6).table)


def test_no_typical_patient_stands_for_too_few(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["gbsg"][:25]
    found = typical_patients(table, cohorts["gbsg"], size=20)
    assert (found.weights * len(table) >= CELL - 1e-9).all()
    assert len(found.table) == 2
