"""The sandwich of a Cox regression, held against derivatives of the likelihood by the weight of each row."""

import numpy as np
import pytest

from relapse.evaluation.statistics.calibration.regression import cox


def _gradient(
    beta: np.ndarray, rows: np.ndarray, time: np.ndarray, event: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Gradient of Efron's log partial likelihood with case weights, as R's survival has it: relapses share their mean."""
    total = np.zeros(beta.size)
    hazard = weight * np.exp(rows @ beta)
    for moment in np.unique(time[event]):
        tied = event & (time == moment)
        count = tied.sum()
        total += (weight * tied) @ rows
        for turn in range(count):
            share = hazard * ((time >= moment) - turn / count * tied)
            total -= (weight[tied].mean()) * (share @ rows) / share.sum()
    return total


@pytest.mark.parametrize("months", [False, True])
def test_the_sandwich_sums_the_influence_of_a_patients_rows(months: bool) -> None:
    rng = np.random.default_rng(0)
    rows, patient = rng.normal(size=(60, 2)), np.arange(60) // 2
    time = rng.exponential(size=60) * np.exp(-rows[:, 0])
    time = np.ceil(4 * time) if months else time
    event = rng.random(60) < 0.6
    found = cox(rows, time, event, codes=patient)
    plain = cox(rows, time, event)
    assert found is not None
    assert plain is not None
    beta, step = plain.fit.coefficients, 1e-6
    influence = np.zeros((30, 2))
    for row in range(60):
        ends = [_gradient(beta, rows, time, event, np.where(np.arange(60) == row, 1 + by, 1)) for by in (step, -step)]
        influence[patient[row]] += (ends[0] - ends[1]) / (2 * step)
    expected = plain.fit.covariance @ influence.T @ influence @ plain.fit.covariance
    np.testing.assert_allclose(found.fit.covariance, expected, rtol=1e-6)
    np.testing.assert_array_equal(found.fit.coefficients, beta)


def test_who_left_before_the_first_relapse_says_nothing_however_far_out() -> None:
    rng = np.random.default_rng(1)
    rows, time = rng.normal(size=(40, 1)), rng.exponential(size=40) + 1
    event, codes = rng.random(40) < 0.6, np.arange(40)
    time[0], event[0] = 0.5, False
    for far in (-1e5, 0.0, 1e5):
        rows[0] = far
        found = cox(rows, time, event, codes=codes)
        alone = cox(rows[1:], time[1:], event[1:], codes=codes[1:])
        assert found is not None
        assert alone is not None
        np.testing.assert_allclose(found.fit.coefficients, alone.fit.coefficients, rtol=1e-12)
        np.testing.assert_allclose(found.fit.covariance, alone.fit.covariance, rtol=1e-9)
