"""Frames that figures are drawn from: against examples worked by hand, and against the metrics they picture."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from relapse.evaluation.curves import (
    RISK_GROUPS,
    calibration_frame,
    curves,
    precision_recall_frame,
    risk_group_frame,
    risk_histogram_frame,
    roc_curve_frame,
    wilson,
)
from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.evaluation.statistics.decisions.classification import average_precision
from relapse.evaluation.statistics.ranking.binary import roc_auc

AT_3 = Horizon("risk_3y", 3.0, "3 y")


def binary(event: list[int], risk: list[float], patient: list[str] | None = None) -> pd.DataFrame:
    rows = np.arange(1, len(event) + 1)
    return pd.DataFrame(
        {"row": rows, "patient": patient or rows.astype(str), "site": "", "repeat": 0, "fold": 0, "event": event}
        | {"score": risk, "risk": risk, "threshold": 0.5}
    )


def timed(time: list[float], event: list[int], risk: list[float], patient: list[str] | None = None) -> pd.DataFrame:
    return binary(event, risk, patient).drop(columns=["risk", "threshold"]).assign(time=time, risk_3y=risk)


def scored(seed: int, *, rows: int = 200, distinct: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    risk = rng.integers(0, distinct, rows) / distinct
    return binary((rng.random(rows) < 0.2 + 0.5 * risk).astype(int).tolist(), risk.tolist())


def test_roc_curve_of_four_rows() -> None:
    frame = roc_curve_frame(binary([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]))
    assert frame["fpr"].tolist() == [0, 0, 0.5, 0.5, 1]
    assert frame["tpr"].tolist() == [0, 0.5, 0.5, 1, 1]
    assert math.isnan(frame["threshold"][0])
    assert frame["threshold"].tolist()[1:] == [0.9, 0.8, 0.7, 0.1]


def test_roc_curve_takes_equal_scores_together() -> None:
    frame = roc_curve_frame(binary([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.1]))
    assert frame["tpr"].tolist() == [0, 1, 1]
    assert frame["fpr"].tolist() == [0, 0.5, 1]


def test_precision_recall_curve_of_four_rows() -> None:
    frame = precision_recall_frame(binary([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1]))
    assert frame["recall"].tolist() == [0.5, 0.5, 1, 1]
    assert frame["precision"].tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])


@pytest.mark.parametrize("seed", range(5))
def test_areas_under_the_curves_are_the_metrics(seed: int) -> None:
    table = scored(seed)
    roc, recall = roc_curve_frame(table), precision_recall_frame(table)
    assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(roc_auc(table["event"], table["score"]))
    steps = np.diff(recall["recall"], prepend=0.0)
    assert float(steps @ recall["precision"]) == pytest.approx(average_precision(table["event"], table["score"]))


def test_one_class_has_no_roc_curve() -> None:
    with pytest.raises(ValueError, match="both classes are needed"):
        roc_curve_frame(binary([1, 1], [0.2, 0.3]))


def test_calibration_of_two_groups() -> None:
    frame = calibration_frame(binary([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.8]), groups=2)
    assert frame["group"].tolist() == [1, 2]
    assert frame["predicted"].tolist() == pytest.approx([0.2, 0.7])
    assert frame["observed"].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert frame["rows"].tolist() == [3, 3]
    assert (frame["lower"][0], frame["upper"][0]) == pytest.approx(wilson(1 / 3, 3))


@pytest.mark.parametrize(("events", "rows"), [(5, 10), (0, 10), (10, 10), (3, 20), (1, 1), (17, 229)])
def test_wilson_interval_is_that_of_scipy(events: int, rows: int) -> None:
    expected = binomtest(events, rows).proportion_ci(method="wilson")
    assert wilson(events / rows, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_calibration_keeps_rows_of_equal_risk_together() -> None:
    frame = calibration_frame(binary([0, 1, 0, 1], [0.4, 0.4, 0.4, 0.4]), groups=4)
    assert frame["rows"].tolist() == [4]


def test_calibration_has_fewer_groups_where_rows_are_few() -> None:
    assert len(calibration_frame(scored(0, rows=60, distinct=60))) == 2
    assert len(calibration_frame(scored(0, rows=2000, distinct=2000))) == 10


def test_rows_of_one_patient_do_not_narrow_the_interval() -> None:
    once = calibration_frame(binary([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]), groups=1)
    patients = [str(number) for number in (1, 1, 2, 2, 3, 3, 4, 4)]
    twice = calibration_frame(
        binary([0, 0, 1, 1, 0, 0, 1, 1], np.repeat([0.1, 0.2, 0.3, 0.4], 2).tolist(), patients), groups=1
    )
    assert twice[["observed", "lower", "upper"]].equals(once[["observed", "lower", "upper"]])
    at_3 = calibration_frame(timed([1, 2, 4, 5], [1, 1, 0, 0], [0.5] * 4), horizon=AT_3)
    doubled = timed([1, 1, 2, 2, 4, 4, 5, 5], [1, 1, 1, 1, 0, 0, 0, 0], [0.5] * 8, patients)
    columns = ["observed", "lower", "upper"]
    pd.testing.assert_frame_equal(calibration_frame(doubled, horizon=AT_3)[columns], at_3[columns])


def test_calibration_at_a_horizon_is_kaplan_meier_with_greenwood_on_the_log_log_scale() -> None:
    # At risk 5, one event at 1; censored at 2; at risk 3, one event at 3: S(3) = 4/5 * 2/3.
    frame = calibration_frame(timed([1, 2, 3, 4, 5], [1, 0, 1, 0, 0], [0.3] * 5), horizon=AT_3)
    survival, variance = 8 / 15, 1 / (5 * 4) + 1 / (3 * 2)
    reach = 1.959963984540054 * math.sqrt(variance) / abs(math.log(survival))
    assert frame["observed"][0] == pytest.approx(1 - survival)
    assert frame["lower"][0] == pytest.approx(1 - survival ** math.exp(-reach))
    assert frame["upper"][0] == pytest.approx(1 - survival ** math.exp(reach))
    assert frame["lower"][0] < frame["observed"][0] < frame["upper"][0]


def test_no_observed_risk_where_nobody_was_followed_to_the_horizon() -> None:
    frame = calibration_frame(timed([1, 2, 2.5], [1, 0, 0], [0.3] * 3), horizon=AT_3)
    assert frame[["observed", "lower", "upper"]].isna().all(axis=None)


def test_a_group_without_events_still_has_an_upper_limit() -> None:
    frame = calibration_frame(timed([4, 5, 6, 1], [0, 0, 0, 0], [0.3] * 4), horizon=AT_3)
    assert frame["observed"][0] == 0
    assert frame["upper"][0] == pytest.approx(wilson(0, 3)[1])


def test_risk_groups_are_thirds_that_start_whole() -> None:
    rng = np.random.default_rng(3)
    risk = rng.random(90)
    time = rng.exponential(4 / (0.2 + risk))
    table = timed(time.tolist(), (rng.random(90) < 0.7).astype(int).tolist(), risk.tolist())
    frame = risk_group_frame(table, horizon=AT_3)
    assert frame["group"].drop_duplicates().tolist() == list(RISK_GROUPS)
    start = frame[frame["time"] == 0]
    assert start["at_risk"].tolist() == [30, 30, 30]
    assert start["survival"].tolist() == [1, 1, 1]
    assert frame["time"].max() <= 3.6 + 1e-9
    for _, part in frame.groupby("group"):
        assert part["survival"].is_monotonic_decreasing
        assert part["at_risk"].is_monotonic_decreasing
        known = part.dropna()
        assert ((known["lower"] <= known["survival"]) & (known["survival"] <= known["upper"])).all()


def test_risk_groups_of_nine_rows() -> None:
    risk = [0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9]
    frame = risk_group_frame(
        timed([5, 6, 7, 1.5, 5, 6, 0.7, 1.5, 2.5], [0, 0, 0, 1, 0, 0, 1, 1, 0], risk), horizon=AT_3
    )
    upper = frame[frame["group"] == "upper third"].set_index("time")
    assert upper["survival"].to_dict() == pytest.approx(
        {0: 1, 0.6: 1, 0.7: 2 / 3, 1.2: 2 / 3, 1.5: 1 / 3, 1.8: 1 / 3, 2.4: 1 / 3}
    )
    assert upper["at_risk"].to_dict() == pytest.approx({0: 3, 0.6: 3, 0.7: 3, 1.2: 2, 1.5: 2, 1.8: 1, 2.4: 1})
    middle = frame[(frame["group"] == "middle third") & (frame["time"] == 3)]
    assert middle["survival"].tolist() == pytest.approx([2 / 3])


def test_equal_risks_make_one_group() -> None:
    frame = risk_group_frame(timed([1, 2, 4], [1, 1, 0], [0.4] * 3), horizon=AT_3)
    assert frame["group"].unique().tolist() == ["lower third"]


def test_histogram_counts_every_row_once() -> None:
    frame = risk_histogram_frame(binary([0, 1, 1, 0], [0.0, 0.05, 0.98, 1.0]))
    assert len(frame) == 20
    assert frame["rows"].sum() == 4
    assert frame["rows"].iloc[[0, 1, -1]].tolist() == [1, 1, 2]
    assert frame["risk"].iloc[0] == 0.025


def test_curves_names_a_frame_a_figure() -> None:
    assert list(curves(scored(1), Endpoint())) == [
        *("roc", "roc_band", "precision_recall", "precision_recall_band", "calibration", "decision_curve", "risks"),
    ]
    table = timed([1, 2, 4, 5], [1, 1, 0, 0], [0.4, 0.3, 0.2, 0.1]).assign(risk_5y=[0.5, 0.4, 0.3, 0.2])
    found = curves(table, Endpoint((AT_3, Horizon("risk_5y", 5.0, "5 y"))))
    assert list(found) == [
        *("calibration_3y", "decision_curve_3y", "risks_3y", "calibration_5y", "decision_curve_5y", "risks_5y"),
        *("auc_over_time", "risk_groups"),
    ]


def test_curves_pool_repeats() -> None:
    table = scored(2)
    repeated = pd.concat([table, table.assign(repeat=1)], ignore_index=True)
    for name, frame in curves(repeated, Endpoint()).items():
        pd.testing.assert_frame_equal(frame, curves(table, Endpoint())[name])
