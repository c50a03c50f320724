"""Patients are counted as patients, and what folds need is what they are given."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import Counts, Folds, Sized, counts, for_parameters, parameters


@dataclass
class _Record(Sized):
    rows: int
    patients: int
    events: int
    patients_with_event: int | None


def test_a_patient_with_several_rows_counts_once() -> None:
    table = pd.DataFrame({"patient": list("aaabbbccc"), "event": [1, 1, 1, 0, 0, 0, 0, 1, 0]})
    found = counts(table)
    assert found == Counts(rows=9, patients=3, rows_with_event=4, with_event=2)
    assert (found.without_event, found.fewer) == (1, 1)


def test_a_record_without_patients_with_the_event_has_them_in_proportion() -> None:
    assert _Record(270, 90, 135, None).size.with_event == 45
    assert _Record(270, 90, 135, 40).size == Counts(270, 90, 135, 40)


@pytest.mark.parametrize(
    ("outer", "inner", "needed"),
    [(5, 3, 5), (3, 2, 6), (2, 2, 8), (5, 5, 7), (10, 1, 10)],
)
def test_folds_need_one_of_both_in_each_test_part_and_two_in_each_inner_training_part(
    outer: int, inner: int, needed: int
) -> None:
    folds = Folds(outer, inner, "split.folds")
    assert folds.needed == needed
    assert not folds.lacking(Counts(100, 100, needed, needed))
    lacking = folds.lacking(Counts(100, 100, needed - 1, needed - 1))
    assert f"at least {needed} patients with and {needed} without the event; found {needed - 1} with" in lacking
    assert lacking.endswith("Lower split.folds, or bring more patients.")


@settings(deadline=None)
@given(st.integers(2, 20), st.integers(2, 10))
def test_what_is_needed_is_enough_when_patients_are_dealt_evenly(outer: int, inner: int) -> None:
    needed = Folds(outer, inner).needed
    parts = np.bincount(np.arange(needed) % outer)
    assert parts.min() >= 1
    for training in needed - parts:
        inside = np.bincount(np.arange(training) % inner, minlength=inner)
        assert inside.min() >= 1
        assert (training - inside).min() >= 2


def test_parameters_are_the_columns_of_the_matrix(cohorts: dict[str, Cohort]) -> None:
    assert parameters(cohorts["wpbc"], cohorts["wpbc"].predictors) == 32
    assert parameters(cohorts["gbsg"], ["menostat", "tgrade", "age"]) == 3


def test_of_an_endpoint_without_time_the_rarer_outcome_counts(cohorts: dict[str, Cohort]) -> None:
    mostly = Counts(100, 100, 80, 80)
    assert for_parameters(cohorts["wpbc"], mostly) == 20
    assert for_parameters(cohorts["gbsg"], mostly) == 80
