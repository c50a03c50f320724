"""Outcomes joined to answers: whose count, and that losses and early events bend nothing."""

import numpy as np
import pytest

from relapse.ground.errors import PredictionsError
from relapse.monitoring.monitored import Outcomes
from relapse.monitoring.outcomes import Arrived, known_of, read_outcomes
from relapse.monitoring.served import Served
from relapse.monitoring.store import pseudonym

from .conftest import KEY


def _training(horizon=None):
    return Outcomes(
        horizon=horizon, unit=None if horizon is None else "day", known=100, limits=(0.5,), expected=(0.2, 0.7),
        events=(10, 30), others=(40, 20), auc=0.8, auc_lower=0.7, threshold=0.5, gain=0.1, gain_lower=0.05,
    )  # fmt: skip


def _served(size, *, day="2026-01-01", every=0, risk=0.4):
    days = np.datetime64(day) + every * np.arange(size)
    names = np.array([f"p{number}" for number in range(size)])
    return Served(days, names, np.zeros((size, 1), dtype=int), np.full(size, risk), np.zeros(size))


def test_pseudonyms_join_names_to_answers(tmp_path):
    path = tmp_path / "outcomes.csv"
    path.write_text("patient,event\n007,1\n012,0\n013,\n")
    found = read_outcomes(path, timed=False, key=KEY)
    assert found.patient.tolist() == [pseudonym(KEY, b"007"), pseudonym(KEY, b"012")]
    assert read_outcomes(path, timed=False, key=None).patient.tolist() == ["007", "012"]
    assert found.event.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("text", "timed", "message"),
    [
        ("patient,outcome\na,1\n", False, "column missing: event"),
        ("patient,event\na,1\n", True, "column missing: time"),
        ("patient,event\na,1\na,0\n", False, "patient: 1 stand there again"),
        ("patient,event\na,2\n", False, "event: 1 are neither 0 nor 1"),
        ("patient,event,time\na,1,-3\n", True, "time: 1 of those with an event are no time"),
        ("patient,event,time\na,1,soon\n", True, "time: 1 of those"),
        ("patient,event\n", False, "no rows"),
    ],
)
def test_an_outcome_that_cannot_be_is_named_by_its_column(tmp_path, text, timed, message):
    (tmp_path / "outcomes.csv").write_text(text)
    with pytest.raises(PredictionsError, match=message):
        read_outcomes(tmp_path / "outcomes.csv", timed=timed, key=KEY)
    with pytest.raises(PredictionsError, match="no such file"):
        read_outcomes(tmp_path / "none.csv", timed=timed, key=KEY)


def test_of_patients_without_a_time_those_with_an_outcome_count_and_the_fallbacks_do_not():
    served = _served(5)
    served.risk[2] = np.nan
    arrived = Arrived(np.array(["p3", "p2", "p0"]), np.array([1, 1, 0]), None)
    known = known_of(served, arrived, _training(), until=np.datetime64("2026-06-01"))
    assert known.rows.tolist() == [0, 3]
    assert known.event.tolist() == [0, 1]
    assert known.without == 2


def test_an_event_counts_only_once_everybody_of_that_day_could_be_known():
    served = _served(10, every=10)
    arrived = Arrived(served.patient, np.array([1, 0] * 5), np.array([5.0, 400.0] * 5))
    known = known_of(served, arrived, _training(100.0), until=np.datetime64("2026-05-01"))
    # 120 days later: answered on day 0, 10 or 20. The event on day 35 of the fourth is known, and does not count yet.
    assert known.rows.tolist() == [0, 1, 2]
    assert known.event.tolist() == [1, 0, 1]


def test_an_event_after_the_horizon_is_none_by_it_and_follow_up_of_just_so_long_counts():
    served = _served(3)
    arrived = Arrived(served.patient, np.array([1, 0, 1]), np.array([150.0, 100.0, 100.0]))
    known = known_of(served, arrived, _training(100.0), until=np.datetime64("2027-01-01"))
    assert (known.rows.tolist(), known.event.tolist()) == ([0, 1, 2], [0, 0, 1])


def test_losses_do_not_make_events_look_more_frequent():
    rng = np.random.default_rng(1)
    size = 20_000
    event_time = rng.exponential(300, size)
    lost = rng.exponential(150, size)
    time, event = np.minimum(event_time, lost), (event_time <= lost).astype(int)
    served = _served(size)
    known = known_of(served, Arrived(served.patient, event, time), _training(100.0), until=np.datetime64("2027-01-01"))
    truth = 1 - np.exp(-100 / 300)
    plainly = ((event == 1) & (time <= 100)).sum() / ((time > 100) | ((event == 1) & (time <= 100))).sum()
    assert plainly > truth + 0.05
    assert known.event.mean() == pytest.approx(truth, abs=0.015)
    assert known.lost > 1000
    assert known.left_out > 100
