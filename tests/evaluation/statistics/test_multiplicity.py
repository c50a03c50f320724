"""Holm's adjustment and Kendall's tau-b matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relapse.evaluation.statistics.multiplicity import holm, kendall_tau_b_matrix


def test_holms_example_in_the_order_given() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_values_keep_the_order_and_never_fall_below_the_raw(values: list[float]) -> None:
    raw = np.array(values)
    adjusted = holm(raw)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(raw * raw.size, 1) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_a_missing_test_stays_missing_and_does_not_count() -> None:
    adjusted = holm([0.01, float("nan"), 0.04])
    np.testing.assert_allclose(adjusted, [0.02, np.nan, 0.04])
    assert holm([]).size == 0


def test_p_values_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"p_values: 1 of 2 values lie outside \[0, 1\]"):
        holm([0.5, 1.5])
    with pytest.raises(ValueError, match="p_values: expected one dimension"):
        holm([[0.5]])


def test_kendall_matrix_is_symmetric_and_skips_what_it_cannot_tell() -> None:
    columns = np.array([[1, 2, 5, np.nan], [2, 1, 5, 1], [3, 4, 5, 2], [4, 3, 5, 3]], dtype=float)
    tau, p = kendall_tau_b_matrix(columns)
    np.testing.assert_array_equal(tau, tau.T)
    assert tau[0, 0] == 1.0
    assert tau[0, 1] == pytest.approx(1 / 3)
    assert tau[0, 3] == pytest.approx(1.0)  # rows 2 to 4 only
    assert np.isnan(tau[2]).all()
    assert np.isnan(p[2]).all()
    with pytest.raises(ValueError, match="columns: expected two dimensions"):
        kendall_tau_b_matrix([1.0, 2.0])
