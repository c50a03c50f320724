"""The closed test keeps a model that is right, and takes the smallest update that new patients ask for."""

import numpy as np
import pytest
from scipy.special import expit

from relapse.evaluation.statistics.calibration.regression import logistic
from relapse.evaluation.statistics.calibration.updating import (
    AS_IT_IS,
    IN_THE_LARGE,
    REVISED,
    WITH_SLOPE,
    Update,
    update_asked_for,
)


def _patients(
    seed: int, *, size: int, shift: float = 0.0, slope: float = 1.0, other: float = 0.0, timed: bool = False
) -> Update:
    """New patients whose truth differs from the model in the intercept, the slope, or the weight of a column."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(size, 4))
    score = -1.0 + columns @ [0.8, 0.5, 0.0, 0.3]
    truth = shift + slope * (score + 1.0) - 1.0 + other * columns[:, 2]
    if not timed:
        event = rng.random(size) < expit(truth)
        return update_asked_for(event, score, columns)
    relapse, censored = rng.exponential(size=size) / np.exp(truth), rng.uniform(0.2, 2.0, size)
    time = np.minimum(relapse, censored)
    # The model's cumulative hazard over the follow-up of each, and at one year.
    return update_asked_for(relapse <= censored, score, columns, exposure=np.exp(score) * time)


@pytest.mark.parametrize("timed", [False, True])
def test_a_model_that_is_right_is_left_alone_in_all_but_one_of_twenty(timed: bool) -> None:
    changed = [_patients(seed, size=300, timed=timed).chosen != AS_IT_IS for seed in range(400)]
    # Three standard errors of a share of 5% of 400.
    assert np.mean(changed) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize(
    ("differs", "expected"),
    [({"shift": 0.8}, IN_THE_LARGE), ({"slope": 0.4}, WITH_SLOPE), ({"other": 0.9}, REVISED)],
)
def test_the_smallest_update_that_is_enough_is_taken(differs: dict[str, float], expected: str, timed: bool) -> None:
    chosen = [_patients(seed, size=1500, timed=timed, **differs).chosen for seed in range(40)]
    assert chosen.count(expected) >= 34


def test_few_patients_ask_for_less_than_many() -> None:
    few, many = ([_patients(seed, size=size, other=0.4).chosen for seed in range(60)] for size in (60, 1500))
    assert few.count(AS_IT_IS) > 30
    assert many.count(REVISED) > 50


def test_the_statistics_are_those_of_nested_regressions_done_by_hand() -> None:
    rng = np.random.default_rng(8)
    columns = rng.normal(size=(200, 2))
    score, event = columns[:, 0] - 0.5, rng.random(200) < expit(columns[:, 0] + 0.5 * columns[:, 1])
    found = update_asked_for(event, score, columns)
    ones = np.ones((200, 1))
    # The score is one of the columns' sums: the largest update has an intercept, the score and one column more.
    largest = logistic(np.column_stack([ones, columns]), event, score)
    plain = float(np.sum(event * score - np.logaddexp(0, score)))
    assert largest is not None
    first = found.steps[0]
    assert (first.against, first.freedom) == (AS_IT_IS, 3)
    assert first.statistic == pytest.approx(2 * (largest.log_likelihood - plain), rel=1e-8)
    sloped = logistic(np.column_stack([ones, score]), event, np.zeros(200))
    assert sloped is not None
    assert found.slope == pytest.approx(sloped.coefficients[1], rel=1e-6)


def test_without_columns_the_slope_is_the_largest_update() -> None:
    rng = np.random.default_rng(2)
    score = rng.normal(size=500)
    found = update_asked_for(rng.random(500) < expit(0.3 * score - 1), score)
    assert found.largest == WITH_SLOPE
    assert found.chosen == WITH_SLOPE


def test_a_score_that_does_not_vary_has_no_slope() -> None:
    event = np.arange(60) % 3 == 0
    found = update_asked_for(event, np.zeros(60))
    assert found.chosen == IN_THE_LARGE
    assert np.isnan(found.slope)
    assert found.intercept == pytest.approx(np.log(0.5))


@pytest.mark.parametrize(
    ("event", "exposure", "message"),
    [
        ([0, 0, 0], None, "patients with and without relapse"),
        ([1, 1, 1], None, "patients with and without relapse"),
        ([0, 1, 1], [0.1, 0.0, 0.2], "a cumulative hazard above 0"),
    ],
)
def test_what_cannot_be_compared_is_said(event: list[int], exposure: list[float] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        update_asked_for(event, [0.0, 1.0, 2.0], exposure=exposure)
