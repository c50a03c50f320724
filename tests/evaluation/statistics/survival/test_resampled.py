"""A curve drawn in a resample is the curve of the rows that stand in it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relapse.evaluation.statistics.replicates import ipcw_auc, ipcw_brier
from relapse.evaluation.statistics.survival import horizon as plain
from relapse.evaluation.statistics.survival.kaplan_meier import StepFunction, censoring_survival, kaplan_meier
from relapse.evaluation.statistics.survival.resampled import ResampledCurve

from ..strategies import Survival, survival


def _counts(size: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (6, size)).astype(np.int16)


@pytest.mark.parametrize(("of_censoring", "curve"), [(False, kaplan_meier), (True, censoring_survival)])
@given(data=survival(), upto=st.floats(0.1, 15.0), seed=st.integers(0, 99))
def test_it_is_the_curve_of_the_repeated_rows(
    of_censoring: bool, curve: Callable[..., StepFunction], data: Survival, upto: float, seed: int
) -> None:
    counts, some = _counts(len(data.time), seed), data.first > 0
    drawn = ResampledCurve(data.time, data.event == 1, upto=upto, of_censoring=of_censoring, rows=some)
    found = drawn(counts)
    assert (drawn.moments <= upto).all()
    for once, values in zip(counts, found, strict=True):
        rows = np.repeat(np.flatnonzero(some), once[some])
        expected = curve(data.time[rows], data.event[rows])(drawn.moments) if rows.size else np.ones(values.size - 1)
        np.testing.assert_allclose(values, [1.0, *expected], atol=1e-12)


@given(data=survival(), at=st.floats(0.5, 12.0), seed=st.integers(0, 99))
def test_auc_and_brier_score_of_a_resample_are_those_of_its_rows(data: Survival, at: float, seed: int) -> None:
    counts, risk = _counts(len(data.time), seed), (data.first - data.first.min()) / 4000
    for drawn, once in ((ipcw_auc, plain.time_dependent_auc), (ipcw_brier, plain.ipcw_brier)):
        values = drawn(data.time, data.event, risk, horizon=at, weights=counts)
        for row, value in zip(counts, values, strict=True):
            rows = np.repeat(np.arange(row.size), row)
            followed = rows.size > 1 and (data.time[rows] > at).any()
            expected = once(data.time[rows], data.event[rows], risk[rows], at).value if followed else np.nan
            if np.isfinite(expected):
                assert value == pytest.approx(expected, abs=1e-12)
            elif drawn is ipcw_auc:
                assert np.isnan(value)
