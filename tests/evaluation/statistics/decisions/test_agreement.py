"""McNemar's test and its clustered forms: edges, values by hand, and the interval of the difference."""

import math

import numpy as np
import pytest
from hypothesis import given

from relapse.evaluation.statistics.decisions.agreement import (
    discordant_odds_ratio,
    mcnemar,
    mcnemar_clustered,
    mcnemar_table,
)

from ..strategies import Binary, binary


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


#: Four patients: 2, 3, 1 and 2 rows, of which the first model alone got 2, 1, 0, 0 right, the second alone 0, 0, 0, 1.
PATIENTS = np.array(["a", "a", "b", "b", "b", "c", "d", "d"])
FIRST = np.array([1, 1, 1, 1, 0, 0, 0, 1])
SECOND = np.array([0, 0, 0, 1, 0, 0, 1, 1])


def test_clustered_values_by_hand() -> None:
    # d = 2, 1, 0, -1 of n = 2, 3, 1, 2. Obuchowski: (K-1)/K (sum d)^2 / sum d^2 = 3/4 * 4/6.
    found = mcnemar_clustered(FIRST, SECOND, PATIENTS)
    assert found.statistic == pytest.approx(3 / 4 * 4 / 6)
    assert found.p == pytest.approx(math.erfc(math.sqrt(0.5 / 2)))
    assert found.difference == pytest.approx(2 / 8) == pytest.approx(FIRST.mean() - SECOND.mean())
    # Residues d - n/4 are 1.5, 0.25, -0.25, -1.5: variance K/(K-1) sum / 8^2 = 4/3 * 4.625 / 64.
    reach = 1.959963984540054 * math.sqrt(4 / 3 * 4.625 / 64)
    assert (found.lower, found.upper) == pytest.approx((0.25 - reach, 0.25 + reach))
    # Durkalski: d/n = 1, 1/3, 0, -1/2, so (5/6)^2 / (1 + 1/9 + 1/4).
    weighed = mcnemar_clustered(FIRST, SECOND, PATIENTS, method="durkalski")
    assert weighed.statistic == pytest.approx((5 / 6) ** 2 / (1 + 1 / 9 + 1 / 4))
    assert weighed.difference == pytest.approx(5 / 6 / 4)


@given(binary())
def test_with_a_row_a_patient_the_clustered_forms_are_mcnemars_chi_square(data: Binary) -> None:
    second, size = (data.first > 0).astype(int), data.event.size
    plain = mcnemar(data.event, second, method="chi2")
    durkalski, obuchowski = (
        mcnemar_clustered(data.event, second, np.arange(size), method=method) for method in ("durkalski", "obuchowski")
    )
    assert durkalski.difference == pytest.approx(plain.difference)
    assert obuchowski.difference == pytest.approx(plain.difference)
    expected = plain.statistic if (data.event != second).any() else 0.0
    assert durkalski.statistic == pytest.approx(expected)
    assert obuchowski.statistic == pytest.approx(expected * (size - 1) / size)


@given(binary())
def test_clustered_forms_do_not_mind_the_order_of_rows_and_turn_with_the_models(data: Binary) -> None:
    second, turned = (data.first > 0).astype(int), slice(None, None, -1)
    for method in ("obuchowski", "durkalski"):
        found = mcnemar_clustered(data.event, second, data.patient, method=method)
        back = mcnemar_clustered(second[turned], data.event[turned], data.patient[turned], method=method)
        assert (found.statistic, found.p) == pytest.approx((back.statistic, back.p), nan_ok=True)
        assert (found.difference, found.lower) == pytest.approx((-back.difference, -back.upper), nan_ok=True)


def test_the_same_rows_thrice_are_no_more_evidence() -> None:
    once, thrice = (
        mcnemar_clustered(np.tile(FIRST, times), np.tile(SECOND, times), np.tile(PATIENTS, times)) for times in (1, 3)
    )
    assert (thrice.difference, thrice.lower, thrice.p) == pytest.approx((once.difference, once.lower, once.p))


def test_without_disagreement_between_patients_p_is_1_and_with_one_patient_there_is_none() -> None:
    same = mcnemar_clustered(FIRST, FIRST, PATIENTS)
    assert (same.difference, same.lower, same.upper, same.statistic, same.p) == (0, 0, 0, 0, 1)
    alone = mcnemar_clustered(FIRST, SECOND, np.zeros(8))
    assert alone.difference == 0.25
    assert math.isnan(alone.p)
    assert math.isnan(alone.lower)


def test_impossible_arguments_of_the_clustered_forms_are_refused() -> None:
    with pytest.raises(ValueError, match="method: 'yang' is not allowed; one of 'obuchowski', 'durkalski'"):
        mcnemar_clustered(FIRST, SECOND, PATIENTS, method="yang")
    with pytest.raises(ValueError, match=r"clusters: shape \(3,\), but 8 rows elsewhere"):
        mcnemar_clustered(FIRST, SECOND, PATIENTS[:3])
