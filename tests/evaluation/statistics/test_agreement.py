"""McNemar's test: edges, and the interval of the difference."""

import math

import numpy as np
import pytest
from hypothesis import given

from relapse.evaluation.statistics.agreement import discordant_odds_ratio, mcnemar, mcnemar_table

from .strategies import Binary, binary


@given(binary())
def test_swapping_the_models_turns_the_sign_alone(data: Binary) -> None:
    second = (data.first > 0).astype(int)
    one, two = mcnemar(data.event, second), mcnemar(second, data.event)
    assert (one.difference, one.p) == (-two.difference, two.p)
    assert one.lower == pytest.approx(-two.upper, abs=1e-12)
    assert one.lower <= one.difference <= one.upper


def test_newcombes_example() -> None:
    # Newcombe 1998, table II (h): a=36, b=12, c=2, d=0; method 10
    found = mcnemar_table(both=36, only_first=12, only_second=2, neither=0)
    assert (round(found.lower, 4), round(found.upper, 4)) == (0.0569, 0.3404)


def test_no_disagreement() -> None:
    right = [1, 1, 0]
    for method in ("exact", "midp"):
        assert mcnemar(right, right, method=method).p == 1.0
    for method in ("chi2", "corrected"):
        assert math.isnan(mcnemar(right, right, method=method).p)
    odds = discordant_odds_ratio(0, 0)
    assert math.isnan(odds.value)
    assert (odds.lower, odds.upper) == (0.0, math.inf)


def test_the_correction_never_makes_equal_counts_differ() -> None:
    assert mcnemar_table(both=1, only_first=3, only_second=3, neither=0, method="corrected").statistic == 0


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="only_second: -1 is not allowed"):
        mcnemar_table(both=1, only_first=1, only_second=-1, neither=1)
    with pytest.raises(ValueError, match="only_first: -2 is not allowed"):
        discordant_odds_ratio(-2, 1)
    with pytest.raises(ValueError, match="all are 0"):
        mcnemar_table(both=0, only_first=0, only_second=0, neither=0)
    with pytest.raises(ValueError, match="method: 'yates' is not allowed; one of 'exact', 'midp', 'chi2', 'corrected'"):
        mcnemar([1, 0], [0, 1], method="yates")
    with pytest.raises(ValueError, match="second_correct: 1 values, but 2 rows elsewhere"):
        mcnemar(np.array([1, 0]), np.array([1]))
