"""Fast counting equals counting pair by pair."""

import numpy as np
import pytest
from hypothesis import given

from relapse.evaluation.statistics.ranking.counting import (
    arrange,
    dense_rank,
    ordered_pairs,
    padded_size,
    partners,
    placements,
)
from relapse.evaluation.statistics.ranking.pairs import moments, pair_counts
from relapse.evaluation.statistics.ranking.resampled import resampled_pairs
from relapse.evaluation.statistics.ranking.triples import sign_products

from .. import plain
from ..strategies import Binary, Survival, binary, survival


@given(binary())
def test_placements_are_wins_over_the_reference(data: Binary) -> None:
    wins = plain.wins(data.first, data.second)
    np.testing.assert_array_equal(placements(data.first, data.second), wins.sum(axis=1))
    weights = np.abs(data.first) + 1
    np.testing.assert_allclose(placements(data.first, data.second, weights), wins @ weights, rtol=1e-12)


@given(binary())
def test_ordered_pairs_and_partners_agree_with_every_pair(data: Binary) -> None:
    first, second = dense_rank(data.first), dense_rank(data.second)
    early, late = data.event.astype(np.int64), data.patient.astype(np.int64)
    for ties in (False, True):
        above = first[:, None] < first
        alike = above & ((second[:, None] <= second) if ties else (second[:, None] < second))
        order, rows = arrange(first, second, ties=ties)
        assert ordered_pairs(order, early[rows][None], late[rows][None])[0] == early @ alike @ late
        earlier, later = partners(order, early[rows], late[rows])
        np.testing.assert_array_equal(earlier, (early @ alike)[rows])
        np.testing.assert_array_equal(later, (alike @ late)[rows])


@pytest.mark.parametrize("levels", [7, 100_000])
def test_pairs_of_many_resamples_are_those_of_each(levels: int) -> None:
    """With more rows than a strip has, so that all three kinds of pairs are there."""
    rng = np.random.default_rng(levels)
    size = 700
    first, second = (dense_rank(rng.integers(0, levels, size)) for _ in range(2))
    starting, counts = rng.random(size) < 0.5, rng.integers(0, 4, (5, size)).astype(np.int16)
    for ties in (False, True):
        order, rows = arrange(first, second, ties=ties)
        late = counts[:, rows].astype(np.int64)
        expected = ordered_pairs(order, late * starting[rows], late)
        np.testing.assert_array_equal(resampled_pairs(order, rows, starting, counts), expected)


def test_one_row_has_no_pairs() -> None:
    order, _ = arrange(np.array([0]), np.array([0]), ties=True)
    assert ordered_pairs(order, np.ones((1, 1), dtype=np.int64), np.ones((1, 1), dtype=np.int64)).tolist() == [0]
    assert [padded_size(size) for size in (1, 2, 3, 4, 5)] == [1, 2, 4, 4, 8]


@given(survival())
def test_pairs_of_every_row(data: Survival) -> None:
    pairs = plain.comparable(data.time, data.event)
    concordant = pairs & (data.first[:, None] > data.first)
    tied = pairs & (data.first[:, None] == data.first)
    found = pair_counts(data.time, data.event, data.first)
    for counts, table, as_first in zip(
        (found.concordant, found.tied, found.comparable), (concordant, tied, pairs), found.as_first, strict=True
    ):
        np.testing.assert_array_equal(counts, table.sum(axis=0) + table.sum(axis=1))
        np.testing.assert_array_equal(as_first, table.sum(axis=1))


@given(survival())
def test_sign_products_of_two_scores(data: Survival) -> None:
    moment, event = moments(data.time, data.event)
    signs = [np.sign(score[:, None] - score) for score in (data.first, data.second)]
    expected = (plain.comparable(data.time, data.event) * signs[0] * signs[1]).sum()
    assert sign_products(moment, event, dense_rank(data.first), dense_rank(data.second)) == expected


def test_large_counts_do_not_overflow() -> None:
    size = 70_000  # more than 2**31 pairs
    time = np.arange(size, dtype=float)
    found = pair_counts(time, np.ones(size), -time)
    assert found.index == 1.0
    assert int(found.comparable.sum()) == size * (size - 1)
