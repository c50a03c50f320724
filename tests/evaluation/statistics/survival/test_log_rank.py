"""The log-rank test: scikit-survival's statistic, what must not matter, and where there is no test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sksurv.compare import compare_survival
from sksurv.util import Surv

from relapse.evaluation.statistics.survival.log_rank import log_rank


def _drawn(seed: int, groups: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = np.arange(90) % groups
    # whole months, so that times are tied
    return np.ceil(rng.exponential(12 / (1 + group))), rng.random(90) < 0.7, group


@given(seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_it_agrees_with_scikit_survival_and_the_names_of_groups_do_not_matter(seed: int) -> None:
    time, event, group = _drawn(seed)
    found = log_rank(time, event, group)
    expected = compare_survival(Surv.from_arrays(event, time), group)
    assert found is not None
    assert (found.statistic, found.p, found.degrees) == (pytest.approx(expected[0]), pytest.approx(expected[1]), 2)
    other = log_rank(time * 365.25, event, np.array(["c", "a", "b"])[group])
    assert other is not None
    assert other.statistic == pytest.approx(found.statistic)


def test_without_a_second_group_or_a_relapse_there_is_no_test() -> None:
    time, event, group = _drawn(1)
    assert log_rank(time, event, np.zeros(90)) is None
    assert log_rank(time, np.zeros(90), group) is None
    with pytest.raises(ValueError, match="group: expected 90 values, found 89"):
        log_rank(time, event, group[1:])
