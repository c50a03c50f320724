"""Bands hold their curve, narrow with the number of patients, and agree with the metrics' own intervals."""

import numpy as np
import pandas as pd
import pytest

from relapse.evaluation.bands import auc_over_time_frame, precision_recall_band_frame, roc_band_frame
from relapse.evaluation.curves import roc_curve_frame
from relapse.evaluation.evidence import gather
from relapse.evaluation.forests import EVERYBODY, pairs_frame, subgroups_frame
from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.evaluation.statistics.survival.horizon import time_dependent_auc
from relapse.training.history import tuning_frame


def _binary(rows: int, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    event = (np.arange(rows) % 3 == 0).astype(int)
    score = event + rng.normal(size=rows)
    known = {
        "row": np.arange(rows),
        "patient": np.arange(rows).astype(str),
        "site": "",
        "repeat": 0,
        "fold": np.arange(rows) % 5,
    }
    risk = 1 / (1 + np.exp(-score))
    return pd.DataFrame(
        known
        | {
            "event": event,
            "score": score,
            "risk": risk,
            "threshold": 0.5,
            "subgroup_side": np.where(np.arange(rows) % 2, "left", "right"),
        }
    )


def _timed(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    score = rng.normal(size=rows)
    time, end = rng.exponential(5 * np.exp(-score)), rng.uniform(1, 9, rows)
    return _binary(rows).assign(score=score, time=np.minimum(time, end), event=(time <= end).astype(int))


def test_a_band_holds_the_curve_and_starts_and_ends_with_it() -> None:
    table = _binary(200)
    band, curve = roc_band_frame(table), roc_curve_frame(table)
    drawn = np.interp(band["fpr"], curve["fpr"], curve["tpr"])
    inside = (drawn >= band["lower"] - 1e-9) & (drawn <= band["upper"] + 1e-9)
    assert inside.mean() > 0.95
    assert band["upper"].iloc[-1] == band["lower"].iloc[-1] == 1
    assert (band["lower"].diff().dropna() >= -1e-12).all()


def test_the_area_between_the_bands_shrinks_with_more_patients() -> None:
    few, many = (roc_band_frame(_binary(rows)) for rows in (60, 960))
    widths = [(band["upper"] - band["lower"]).mean() for band in (few, many)]
    assert widths[1] < 0.5 * widths[0]


def test_at_full_recall_precision_is_the_share_of_events_or_more() -> None:
    table = _binary(300)
    band = precision_recall_band_frame(table)
    assert band["recall"].iloc[-1] == 1
    assert band["lower"].iloc[-1] >= table["event"].mean() - 1e-9
    assert (band["lower"] <= band["upper"]).all()


def test_auc_over_time_is_that_of_each_time() -> None:
    table = _timed(150)
    frame = auc_over_time_frame(table, horizon=Horizon("risk_5y", 5.0, "5 y"))
    for row in frame.iloc[::5].itertuples():
        expected = time_dependent_auc(table["time"], table["event"], table["score"], row.time)
        assert row.auc == pytest.approx(expected.value, abs=1e-9)
        assert row.lower <= row.auc <= row.upper
    assert frame["time"].max() <= 6.0


def test_forest_frames_are_the_evidence() -> None:
    tables = {"reference": _binary(120), "linear": _binary(120).assign(score=lambda part: part["score"] ** 3)}
    evidence = gather(tables, Endpoint(), cohort="x", resamples=100, seed=1)
    pairs = pairs_frame(evidence)
    comparison = evidence.paired("reference", "linear")
    assert pairs[["first", "second"]].to_numpy().tolist() == [["reference", "linear"]]
    assert pairs["difference"].iloc[0] == comparison.test.difference
    assert pairs["p_holm"].iloc[0] == comparison.p_holm
    groups = subgroups_frame(evidence).set_index(["candidate", "level"])
    assert groups.loc[("linear", EVERYBODY), "value"] == evidence.candidate("linear").metrics["auc"].value
    left = next(item for item in evidence.candidate("linear").subgroups if item.level == "left")
    assert groups.loc[("linear", "left"), "upper"] == left.metrics["auc"].upper
    assert groups.loc[("linear", "left"), "patients"] == 60


def test_the_history_of_a_search_never_falls_and_counts_finished_trials_only() -> None:
    states = ["complete", "pruned", "complete", "fail"]
    values = [0.6, 0.9, 0.7, np.nan]
    trials = pd.DataFrame(
        {
            "repeat": 0,
            "fold": np.repeat([0, 1], 4),
            "number": [0, 1, 2, 3] * 2,
            "state": states * 2,
            "value": values + [value - 0.1 for value in values],
        }
    )
    later = trials.assign(repeat=1, value=0.99, state="complete")
    frame = tuning_frame({"linear": pd.concat([trials, later])})
    assert frame["trial"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(frame["best"], [0.55, 0.55, 0.65, 0.65])
    np.testing.assert_allclose(frame["lowest"], [0.5, 0.5, 0.6, 0.6])
    np.testing.assert_allclose(frame["highest"], [0.6, 0.6, 0.7, 0.7])
