import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from relapse.serving.uncertainty import interval

MANY = {"events": 1e12, "patients": 2e12}


def test_the_interval_of_a_proportion_is_that_of_its_groups():
    rng = np.random.default_rng(1)
    groups = rng.random((5, 40)) < 0.3
    whole, parts = groups.mean(), np.array([np.delete(groups, at, axis=0).mean() for at in range(5)])
    lower, upper = interval(np.array([[whole]]), parts[:, None, None], scale="log-odds", **MANY)
    deviation = logit(parts) - logit(parts).mean()
    half = stats.t.ppf(0.975, 4) * np.sqrt(4 / 5 * (deviation**2).sum())
    np.testing.assert_allclose(
        [lower.item(), upper.item()], expit([logit(whole) - half, logit(whole) + half]), rtol=1e-9
    )


def test_it_covers_as_often_as_it_says_where_the_parts_are_drawn_freely():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(600):
        groups = rng.random((5, 60)) < 0.4
        parts = np.array([np.delete(groups, at, axis=0).mean() for at in range(5)])
        lower, upper = interval(np.array([[groups.mean()]]), parts[:, None, None], scale="log-odds", **MANY)
        covered += bool(lower.item() <= 0.4 <= upper.item())
    assert 0.92 <= covered / 600 <= 0.98


@pytest.mark.parametrize("scale", ["log-odds", "log-hazard"])
def test_refits_that_agree_leave_the_uncertainty_of_the_share_of_events(scale):
    risk = np.array([[0.2, 0.6]])
    lower, upper = interval(risk, np.stack([risk] * 5), scale=scale, events=50, patients=200)
    out = logit if scale == "log-odds" else lambda share: np.log(-np.log1p(-share))
    variance = 1 / 50 + (1 / 150 if scale == "log-odds" else 0)
    np.testing.assert_allclose(out(upper) - out(lower), 2 * stats.t.ppf(0.975, 4) * np.sqrt(variance), rtol=1e-9)


@pytest.mark.parametrize("scale", ["log-odds", "log-hazard"])
def test_risks_of_0_and_1_stay_within_bounds(scale):
    risk, others = np.array([[0.0, 1.0]]), np.array([[[0.0, 1.0]], [[0.5, 0.5]], [[1.0, 0.0]]])
    lower, upper = interval(risk, others, scale=scale, events=10, patients=20)
    assert np.isfinite([lower, upper]).all()
    assert ((lower >= 0) & (lower <= upper) & (upper <= 1)).all()
