"""Evidence assembled from predictions tables: right values, intervals, calibration, tests, subgroups; JSON and back."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sksurv.metrics import cumulative_dynamic_auc

from relapse.evaluation.curves import decision_curve_frame
from relapse.evaluation.evidence import gather, read_evidence, write_evidence
from relapse.evaluation.metrics import Endpoint, Horizon, evaluate, metric_differences, pooled, resampled_patients
from relapse.evaluation.statistics.replicates import ipcw_auc, ipcw_ipa
from relapse.evaluation.statistics.replicates import ipcw_brier as brier_replicates
from relapse.evaluation.statistics.survival.horizon import ipcw_brier, prediction_accuracy_index, time_dependent_auc
from relapse.ground.errors import PredictionsError


def table(n: int = 300, *, noise: float = 1.0, seed: int = 0, repeats: int = 1) -> pd.DataFrame:
    """Predictions for a binary endpoint; the outcome is the same whatever the noise of the model."""
    truth = np.random.default_rng(1).normal(size=n)
    event = (np.random.default_rng(2).random(n) < 1 / (1 + np.exp(1 - truth))).astype(int)
    parts = []
    for repeat in range(repeats):
        score = truth + noise * np.random.default_rng([seed, repeat]).normal(size=n)
        parts.append(
            pd.DataFrame(
                {
                    "row": np.arange(1, n + 1),
                    "patient": (np.arange(n) // 2).astype(str),
                    "site": "",
                    "repeat": repeat,
                    "fold": np.arange(n) // 2 % 5,
                    "event": event,
                    "score": score,
                    "risk": 1 / (1 + np.exp(1 - score)),
                    "threshold": 0.3,
                    "subgroup_size": np.where(np.arange(n) < n - 15, "large", "small"),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


ENDPOINT = Endpoint((Horizon("risk_3y", 3.0, "3 y"), Horizon("risk_5y", 5.0, "5 y")))


def timed(n: int = 300, *, noise: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """Predictions for a time to an event, without tied times."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=n)
    relapse, censored = rng.exponential(6 * np.exp(-truth)), rng.uniform(1, 9, n)
    score = truth + noise * np.random.default_rng(seed).normal(size=n)
    base = table(n).drop(columns=["risk", "threshold"])
    return base.assign(
        time=np.minimum(relapse, censored),
        event=(relapse <= censored).astype(int),
        score=score,
        risk_3y=1 - np.exp(-0.4 * np.exp(score)),
        risk_5y=1 - np.exp(-0.7 * np.exp(score)),
    )


def test_binary_metrics_agree_with_scikit_learn() -> None:
    found = pooled(table())
    metrics = evaluate(found, Endpoint(), resampled_patients(found, resamples=200, seed=0))
    assert metrics["auc"].value == pytest.approx(roc_auc_score(found["event"], found["score"]))
    assert metrics["average_precision"].value == pytest.approx(average_precision_score(found["event"], found["score"]))
    assert metrics["brier"].value == pytest.approx(brier_score_loss(found["event"], found["risk"]))
    for estimate in metrics.values():
        assert estimate.lower < estimate.value < estimate.upper
        assert estimate.method == "bootstrap by patient"


def test_survival_metrics_agree_with_the_closed_forms_and_scikit_survival() -> None:
    found = timed()
    time, event, risk = (found[name].to_numpy() for name in ("time", "event", "risk_3y"))
    metrics = evaluate(found, ENDPOINT, resampled_patients(found, resamples=200, seed=0))
    assert metrics["auc_3y"].value == pytest.approx(time_dependent_auc(time, event, risk, 3.0).value)
    assert metrics["brier_3y"].value == pytest.approx(ipcw_brier(time, event, risk, 3.0).value)
    target = np.array(list(zip(event == 1, time, strict=True)), dtype=[("e", bool), ("t", float)])
    assert metrics["auc_3y"].value == pytest.approx(cumulative_dynamic_auc(target, target, risk, [3.0])[0][0], abs=1e-4)
    assert metrics["ipa_3y"].value == pytest.approx(prediction_accuracy_index(time, event, risk, 3.0), abs=1e-9)


def test_the_bootstrap_of_horizon_metrics_is_that_of_repeated_rows() -> None:
    """A resample's figure equals the plain figure of a table in which each row stands as often as it was drawn."""
    found = timed(80)
    time, event, risk = (found[name].to_numpy() for name in ("time", "event", "risk_3y"))
    weights = np.random.default_rng(0).integers(0, 4, (5, 80)).astype(np.int16)
    for counts, auc, brier in zip(
        weights,
        ipcw_auc(time, event, risk, horizon=3.0, weights=weights),
        brier_replicates(time, event, risk, horizon=3.0, weights=weights),
        strict=True,
    ):
        drawn = np.repeat(np.arange(80), counts)
        assert auc == pytest.approx(time_dependent_auc(time[drawn], event[drawn], risk[drawn], 3.0).value)
        assert brier == pytest.approx(ipcw_brier(time[drawn], event[drawn], risk[drawn], 3.0).value)


def test_the_same_risk_for_all_has_no_accuracy() -> None:
    found = timed()
    time, event = found["time"].to_numpy(), found["event"].to_numpy()
    ones = np.ones((1, len(found)), dtype=np.int16)
    best = max(
        ipcw_ipa(time, event, np.full(len(found), r), horizon=3.0, weights=ones)[0] for r in np.linspace(0, 1, 201)
    )
    assert best == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("repeats", [1, 2, None], ids=["binary", "repeated", "survival"])
def test_differences_are_those_of_the_metrics_and_tighter_than_both(repeats: int | None) -> None:
    make, endpoint = (
        (timed, ENDPOINT) if repeats is None else (lambda **kind: table(repeats=repeats, **kind), Endpoint())
    )
    first, second = pooled(make(noise=0.5)), pooled(make(noise=0.6))
    weights = resampled_patients(first, resamples=200, seed=0)
    one, two = (evaluate(item, endpoint, weights) for item in (first, second))
    found = metric_differences(first, second, endpoint, weights)
    assert list(found) == [metric.key for metric in endpoint.metrics]
    for key, difference in found.items():
        assert difference.value == pytest.approx(one[key].value - two[key].value, abs=1e-12)
        assert difference.method == "bootstrap by patient, paired"
    primary = endpoint.metrics[0].key
    assert found[primary].upper - found[primary].lower < one[primary].upper - one[primary].lower
    same = metric_differences(first, first, endpoint, weights)[primary]
    assert (same.value, same.lower, same.upper) == (0, 0, 0)


def test_differences_of_other_rows_are_refused() -> None:
    first = pooled(table())
    weights = resampled_patients(first, resamples=2, seed=0)
    with pytest.raises(PredictionsError, match="first and second do not speak of the same rows"):
        metric_differences(first, first.assign(event=1 - first["event"]), Endpoint(), weights)


def test_repeats_are_pooled_by_averaging() -> None:
    repeated = table(repeats=3)
    found = pooled(repeated)
    assert len(found) == 300
    np.testing.assert_allclose(found["score"], repeated.groupby("row")["score"].mean())
    assert found["subgroup_size"].tolist() == table()["subgroup_size"].tolist()


def test_evidence_holds_tests_calibration_and_subgroups_and_survives_json(tmp_path: Path) -> None:
    tables = {"reference": table(noise=2.0), "better": table(noise=0.3, seed=5)}
    evidence = gather(tables, Endpoint(), cohort="x", resamples=200, seed=1)
    test = evidence.paired("better", "reference")
    assert test.test.difference > 0
    assert test.test.method == "DeLong, clustered"
    assert test.test.p < 0.001 <= 1
    back = evidence.paired("reference", "better")
    assert back.test.difference == pytest.approx(-test.test.difference)
    assert (back.test.lower, back.test.upper) == pytest.approx((-test.test.upper, -test.test.lower))
    assert {item.metric for item in evidence.comparisons} == {"auc", "accuracy"}
    assert evidence.comparisons[-1].test.method == "McNemar, clustered (Obuchowski)"
    for item in evidence.candidates:
        assert item.calibration["risk"].slope.value > 0
        large, small = item.subgroups
        assert (large.level, small.level) == ("large", "small")
        assert large.metrics["auc"].value > 0.5
        assert not small.metrics
        assert "fewer than 10" in small.note
    write_evidence(tmp_path / "e.json", evidence)
    assert read_evidence(tmp_path / "e.json") == evidence


def test_with_a_row_a_patient_calls_are_compared_by_the_exact_test() -> None:
    tables = {"a": table(noise=2.0), "b": table(noise=0.3, seed=5)}
    alone = {name: found.assign(patient=found["row"].astype(str)) for name, found in tables.items()}
    several, one = (gather(found, Endpoint(), cohort="x", resamples=100, seed=1) for found in (tables, alone))
    assert one.comparisons[-1].test.method == "McNemar, exact"
    assert one.comparisons[-1].test.difference == pytest.approx(several.comparisons[-1].test.difference)


def test_survival_evidence_tests_the_ranking_and_each_horizon(tmp_path: Path) -> None:
    tables = {"reference": timed(noise=2.0), "better": timed(noise=0.3, seed=5)}
    for name in tables:
        tables[name]["patient"] = tables[name]["row"].astype(str)
    evidence = gather(tables, ENDPOINT, cohort="x", resamples=200, seed=1)
    assert {item.metric for item in evidence.comparisons} == {"harrell_c", "auc_3y", "auc_5y"}
    assert evidence.paired("better", "reference").test.method == "Kang"
    assert set(evidence.candidate("better").calibration) == {"risk_3y", "risk_5y"}
    write_evidence(tmp_path / "e.json", evidence)
    assert read_evidence(tmp_path / "e.json") == evidence


def test_a_decision_curve_starts_near_the_prevalence_and_beats_both_defaults_for_a_good_model() -> None:
    found = table(noise=0.0)
    frame = decision_curve_frame(found)
    assert frame["net_benefit"].iloc[0] == pytest.approx(found["event"].mean(), abs=0.02)
    middle = frame[frame["threshold"].between(0.2, 0.5)]
    assert (middle["net_benefit"] >= middle[["treat_all", "treat_none"]].max(axis=1)).mean() > 0.9
    assert frame["threshold"].max() <= found["risk"].max()


def test_patients_with_the_event_are_counted_beside_the_rows(tmp_path: Path) -> None:
    tables = {"reference": table(noise=2.0), "better": table(noise=0.3, seed=5)}
    evidence = gather(tables, Endpoint(), cohort="x", resamples=100, seed=1)
    relapsed = tables["better"].groupby("patient")["event"].max()
    assert (evidence.size.patients, evidence.size.with_event) == (150, relapsed.sum())
    assert (evidence.size.rows, evidence.size.rows_with_event) == (300, tables["better"]["event"].sum())
    large, small = evidence.candidates[0].subgroups
    assert large.size.with_event + small.size.with_event >= evidence.size.with_event
    # Evidence from before they were counted is still read; the share of the rows stands in.
    write_evidence(tmp_path / "e.json", evidence)
    old = json.loads((tmp_path / "e.json").read_text())
    del old["patients_with_event"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert read_evidence(tmp_path / "old.json").size.with_event == round(evidence.events / 2)


def test_a_subgroup_is_large_enough_by_its_patients_not_its_rows() -> None:
    frame = table()
    # Ten rows of each outcome, of five patients each.
    few = [*frame.index[frame["event"] == 1][:10], *frame.index[frame["event"] == 0][:10]]
    frame["patient"] = frame["row"].astype(str)
    frame.loc[few, "patient"] = [f"few {place // 2}" for place in range(20)]
    frame["subgroup_size"] = np.where(frame.index.isin(few), "small", "large")
    small = gather({"reference": frame}, Endpoint(), cohort="x", resamples=100, seed=1).candidates[0].subgroups[1]
    assert (small.rows, small.patients, small.size.with_event) == (20, 10, 5)
    assert small.note == "fewer than 10 patients with or without the event: no figures are given"
