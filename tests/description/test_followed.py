"""The median follow-up with its interval: that of the gate's curve, patients counted once, what is not reached."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relapse.cohorts.schema import Cohort
from relapse.description.followed import median_followed
from relapse.description.table_one import OVERALL, table_one
from relapse.evaluation.statistics.normal import quantile
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier
from relapse.quality.checks.outcome import median_follow_up


def _table(time: np.ndarray, event: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"patient": [str(place) for place in range(len(time))], "time": time, "event": event})


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_median_is_that_of_the_gate_s_curve_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time, event = np.ceil(rng.exponential(8, 60)), (rng.random(60) < 0.5).astype(int)
    found, expected = median_followed(_table(time, event)), median_follow_up(time, event == 1)
    np.testing.assert_equal(found.value, expected)
    twice = pd.concat([_table(time, event)] * 2)
    again = median_followed(twice)
    np.testing.assert_equal((again.value, again.lower, again.upper), (found.value, found.lower, found.upper))


def test_the_interval_is_where_the_log_log_band_of_the_reverse_curve_crosses_a_half(
    tables: dict[str, pd.DataFrame],
) -> None:
    table = tables["gbsg"]
    time, event = table["time"].to_numpy(dtype=float), table["event"].to_numpy()
    # events a moment earlier, so that they come first at ties
    curve = kaplan_meier(time - 0.25 * event, 1 - event)
    width = [quantile(0.95) * np.sqrt(curve.greenwood(t)) / abs(np.log(curve(t))) for t in curve.times[:-1]]
    ends = [
        curve.times[:-1][np.flatnonzero(curve.values[:-1] ** np.exp(sign * np.array(width)) <= 0.5)[0]]
        for sign in (1, -1)
    ]
    found = median_followed(table)
    assert (found.lower, found.upper) == pytest.approx(ends)
    assert found.lower < found.value < found.upper


def test_table_one_gives_it_for_all_and_says_what_is_not_reached(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    def line(table: pd.DataFrame) -> dict[str, str]:
        lines = table_one(table, cohorts["gbsg"])
        return next(item.cells for item in lines if item.label == "Follow-up, reverse Kaplan–Meier (days)")

    found = median_followed(tables["gbsg"])
    assert line(tables["gbsg"]) == {
        OVERALL: f"{found.value:.0f} ({found.lower:.0f} to {found.upper:.0f})",
        "censored": "",
        "event seen": "",
    }
    assert line(tables["gbsg"].assign(event=1))[OVERALL] == "not reached (not reached to not reached)"
