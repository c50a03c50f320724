"""Sample sizes: the worked examples of the papers and of the package pmsampsize, and what has to hold for any."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from relapse.cohorts.schema import Cohort
from relapse.description.sample_size import (
    for_mean_error,
    for_mean_risk,
    for_optimism,
    for_risk_by,
    for_shrinkage,
    largest_r2,
    largest_r2_timed,
    needs,
    shrinkage_of,
)
from relapse.quality.checks.outcome import follow_up


@pytest.mark.parametrize(
    ("parameters", "r2", "needed"),
    [
        (30, 0.05, 5249),  # pre-eclampsia, BMJ 2020;368:m441
        (30, 0.051, 5143),  # recurrent venous thromboembolism, the same
        (24, 0.288, 623),  # Chagas disease, Stat Med 2019;38:1276, and pmsampsize 1.1.3, test 4.1
        (25, 0.051, 4286),  # pmsampsize, tests 3.1 to 3.9
        (25, 0.065, 3335),
        (50, 0.051, 8572),
        (40, 0.06, 5798),
        (10, 0.03, 2950),
        (80, 0.3, 1974),
    ],
)
def test_patients_for_a_shrinkage_of_nine_tenths_are_those_of_the_papers(
    parameters: int, r2: float, needed: int
) -> None:
    assert for_shrinkage(parameters, r2, 0.9) == needed


def test_the_other_steps_for_a_binary_outcome_are_those_of_the_papers() -> None:
    assert for_mean_risk(0.05) == 73  # pre-eclampsia
    assert for_mean_error(0.05, 30) == 544
    assert for_mean_risk(0.174) == 221  # Chagas disease
    # pmsampsize, test 4.1, which rounds the largest R² to two digits and the shrinkage to three.
    assert for_optimism(24, 0.288, largest_r2(0.174)) == pytest.approx(668, rel=0.01)


@pytest.mark.parametrize(
    ("share", "largest"), [(0.5, 0.75), (0.4, 0.74), (0.3, 0.71), (0.2, 0.63), (0.1, 0.48), (0.05, 0.33), (0.01, 0.11)]
)
def test_the_largest_r2_by_the_share_with_the_event_is_that_of_the_paper(share: float, largest: float) -> None:
    assert round(largest_r2(share), 2) == largest


def test_a_time_to_an_event_asks_for_what_pmsampsize_does() -> None:
    # Tests 3.1 and 3.9, which round the largest R² to two digits and the shrinkage to three.
    assert round(largest_r2_timed(0.065 * 2.07), 2) == 0.55
    assert for_optimism(25, 0.051, largest_r2_timed(0.065 * 2.07)) == pytest.approx(875, rel=0.02)
    assert for_optimism(80, 0.3, largest_r2_timed(0.03 * 5)) == pytest.approx(2279, rel=0.02)
    # 4,286 patients followed for 2.07 years: the risk by 2 years, 0.122, is known much better than to 0.05.
    assert for_risk_by(2, 0.065, 2.07) < 4286


def test_the_mean_risk_is_known_to_the_margin_with_the_patients_asked_for_and_not_with_fewer() -> None:
    rate, follow_up_, horizon = 0.1, 3.0, 5.0
    needed = for_risk_by(horizon, rate, follow_up_)

    def widest(patients: int) -> float:
        error = 1.96 * math.sqrt(rate / (patients * follow_up_))
        risk = 1 - math.exp(-rate * horizon)
        return max(abs(1 - math.exp(-(rate + sign * error) * horizon) - risk) for sign in (-1, 1))

    assert widest(needed) <= 0.05 < widest(needed - 2)


@given(st.integers(1, 200), st.floats(0.01, 0.6), st.floats(0.7, 0.97))
def test_shrinkage_and_patients_are_each_others_inverse(parameters: int, r2: float, shrinkage: float) -> None:
    patients = for_shrinkage(parameters, r2, shrinkage)
    assert shrinkage_of(parameters, r2, patients) >= shrinkage - 1e-9
    assert shrinkage_of(parameters, r2, max(patients - 2, 1)) < shrinkage


@given(st.integers(2, 100), st.floats(0.02, 0.5))
def test_more_parameters_or_less_to_be_explained_ask_for_more_patients(parameters: int, r2: float) -> None:
    assert for_shrinkage(parameters + 1, r2, 0.9) >= for_shrinkage(parameters, r2, 0.9)
    assert for_shrinkage(parameters, r2 / 2, 0.9) > for_shrinkage(parameters, r2, 0.9)


def test_so_few_patients_that_nothing_would_be_left_are_a_shrinkage_of_zero_or_near() -> None:
    assert shrinkage_of(50, 0.1, 20) < 0.3


@pytest.mark.parametrize(("r2", "shrinkage"), [(0.95, 0.9), (0.0, 0.9), (0.1, 1.0)])
def test_impossible_wishes_are_refused(r2: float, shrinkage: float) -> None:
    with pytest.raises(ValueError, match="needed is 0 < R² < shrinkage < 1"):
        for_shrinkage(5, r2, shrinkage)


def test_needs_say_what_there_is_and_what_is_wanted(
    tables: dict[str, pd.DataFrame], cohorts: dict[str, Cohort]
) -> None:
    everything, reference = needs(tables["gbsg"], cohorts["gbsg"])
    assert (everything.patients, everything.events, everything.parameters, reference.parameters) == (686, 299, 8, 3)
    assert [item.criterion for item in everything.criteria] == [
        "shrinkage of 0.9",
        "R² no more than 0.05 better than it is",
        "mean risk by 3 y to 0.05",
        "mean risk by 5 y to 0.05",
    ]
    assert everything.needed.patients == max(item.patients for item in everything.criteria)
    assert everything.expected_shrinkage < reference.expected_shrinkage
    all_, _ = needs(tables["wpbc"], cohorts["wpbc"])
    assert "mean risk to 0.05" in [item.criterion for item in all_.criteria]
    assert all_.needed.patients > all_.patients


def test_the_follow_up_is_the_kaplan_meier_curve_of_being_censored(tables: dict[str, pd.DataFrame]) -> None:
    time, event = tables["gbsg"]["time"].to_numpy(), tables["gbsg"]["event"].to_numpy() == 1
    curve = KaplanMeierFitter().fit(time, ~event)
    assert follow_up(time, event, still=0.5) == pytest.approx(curve.median_survival_time_, abs=15)
    assert follow_up(time, event, still=0.75) < follow_up(time, event, still=0.5) < follow_up(time, event, still=0.25)
