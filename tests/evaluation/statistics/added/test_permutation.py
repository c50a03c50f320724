"""A p-value among permutations: its counts, and runs without a value."""

import math

import pytest

from relapse.evaluation.statistics.added.permutation import permutation_p


def test_it_counts_the_observed_among_the_permuted() -> None:
    assert permutation_p(2.0, [1, 2, 3, 0]) == 3 / 5
    assert permutation_p(9.0, [1, 2, 3, 0]) == 1 / 5
    assert permutation_p(-9.0, [1, 2, 3, 0]) == 1


def test_a_run_without_a_value_does_not_make_it_smaller() -> None:
    assert permutation_p(9.0, [1, math.nan]) == 2 / 3
    assert math.isnan(permutation_p(math.nan, [1, 2]))


def test_no_permutation_is_refused() -> None:
    with pytest.raises(ValueError, match=r"permuted: shape \(0,\) is not allowed"):
        permutation_p(1.0, [])
