"""Early stopping looks at whole patients, of both outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relapse.candidates.networks.validation import validation_rows


@given(seed=st.integers(0, 2**32 - 1), views=st.integers(1, 3))
def test_no_patient_is_divided_and_both_outcomes_stand_on_both_sides(seed: int, views: int) -> None:
    patient = np.repeat([f"p{number}" for number in range(40)], views)
    event = np.repeat(np.arange(40) % 4 == 0, views)
    held = validation_rows(event, patient, seed=seed)
    assert set(patient[held]) & set(patient[~held]) == set()
    assert held.sum() == 8 * views
    assert event[held].sum() == 2 * views


def test_the_seed_says_which() -> None:
    event, patient = np.arange(50) % 3 == 0, np.arange(50)
    np.testing.assert_array_equal(validation_rows(event, patient, seed=1), validation_rows(event, patient, seed=1))
    assert (validation_rows(event, patient, seed=1) != validation_rows(event, patient, seed=2)).any()


def test_one_patient_with_the_event_is_too_few() -> None:
    with pytest.raises(ValueError, match="at least two patients with and two without"):
        validation_rows(np.arange(20) == 3, np.arange(20), seed=0)
