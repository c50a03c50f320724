"""Coded checks of predictions: nothing is said of sound tables, and each planted fault is named with its column."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.evaluation.evidence import gather, read_evidence, write_evidence
from relapse.evaluation.metrics import Endpoint, Horizon

from .test_evidence import ENDPOINT, table, timed

BINARY = Endpoint()
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def found(predictions: pd.DataFrame, endpoint: Endpoint) -> list[tuple[str, str]]:
    """Code and column of every finding, in their order."""
    evidence = gather({"mine": predictions}, endpoint, cohort="x", resamples=100, seed=0)
    assert all(item.severity == "warning" and item.message.endswith((".", "?")) for item in evidence.findings)
    return [(item.code, item.column) for item in evidence.findings]


@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_nothing_is_said_of_sound_tables(noise: float) -> None:
    assert found(table(noise=noise), BINARY) == []
    assert found(timed(noise=noise), ENDPOINT) == []
    assert found(table(noise=noise, repeats=2), BINARY) == []


def test_nothing_is_said_of_scores_without_information() -> None:
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(300)
        columns = {name: timed()[name].to_numpy()[order] for name in ("score", "risk_3y", "risk_5y")}
        assert found(timed().assign(**columns), ENDPOINT) in ([], [("S001", "mine.score")])
    assert found(table().assign(risk=0.28), BINARY) == []


def turned_risks(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions.assign(**{name: 1 - predictions[name] for name in ("risk_3y", "risk_5y")})


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(
            lambda t: t.assign(score=1 - t["risk_5y"]),
            [("S001", "mine.score"), ("S002", "mine.score")],
            id="survival probability as score",
        ),
        pytest.param(
            lambda t: t.assign(score=np.exp(-t["score"])),
            [("S001", "mine.score"), ("S002", "mine.score")],
            id="survival time as score",
        ),
        pytest.param(
            turned_risks,
            [("S002", "mine.score"), ("S003", "mine.risk_3y"), ("S003", "mine.risk_5y"), ("S004", "mine.risk_5y")],
            id="survival probabilities as risks",
        ),
        pytest.param(
            lambda t: turned_risks(t).assign(score=-t["score"]),
            [("S001", "mine.score"), ("S003", "mine.risk_3y"), ("S003", "mine.risk_5y"), ("S004", "mine.risk_5y")],
            id="everything turned round",
        ),
        pytest.param(
            lambda t: t.assign(risk_5y=t["risk_5y"].where(t["row"] > 5, t["risk_3y"] / 2)),
            [("S004", "mine.risk_5y")],
            id="risks that fall with time",
        ),
        pytest.param(lambda t: t.assign(time=t["time"] * 365), [("S005", "time")], id="days as years"),
        pytest.param(lambda t: t.assign(time=t["time"] / 12), [("S005", "time")], id="nobody followed so long"),
        pytest.param(lambda t: t.assign(score=-np.sqrt(t["time"])), [("S006", "mine.score")], id="time as score"),
        pytest.param(lambda t: t.assign(score=3.0 * t["event"]), [("S006", "mine.score")], id="event as score"),
        pytest.param(
            lambda t: t.assign(score=-t["time"] + 0.01 * t["score"]),
            [("S006", "mine.score")],
            id="nearly time as score",
        ),
    ],
)
def test_a_fault_planted_in_a_table_with_a_time_is_named(spoil: Spoil, expected: list[tuple[str, str]]) -> None:
    assert found(spoil(timed(noise=0.5)), ENDPOINT) == expected


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(
            lambda t: t.assign(score=-t["score"]), [("S001", "mine.score"), ("S002", "mine.score")], id="turned score"
        ),
        pytest.param(
            lambda t: t.assign(risk=1 - t["risk"]), [("S002", "mine.score"), ("S003", "mine.risk")], id="turned risk"
        ),
        pytest.param(
            lambda t: t.assign(risk=1 - t["risk"], score=-t["score"]),
            [("S001", "mine.score"), ("S003", "mine.risk")],
            id="both turned",
        ),
        pytest.param(
            lambda t: t.assign(risk=np.where(t["event"] == 1, 0.9, 0.1)), [("S006", "mine.risk")], id="event as risk"
        ),
        pytest.param(
            lambda t: t.assign(score=t["event"] + 0.1 * t["risk"]), [("S006", "mine.score")], id="nearly event as score"
        ),
        pytest.param(lambda t: t.assign(threshold=30.0), [("S007", "mine.threshold")], id="threshold in percent"),
        pytest.param(lambda t: t.assign(threshold=np.nan), [("S007", "mine.threshold")], id="no threshold"),
    ],
)
def test_a_fault_planted_in_a_binary_table_is_named(spoil: Spoil, expected: list[tuple[str, str]]) -> None:
    assert found(spoil(table(noise=0.5)), BINARY) == expected


def test_a_risk_that_ranks_rightly_is_not_taken_for_its_opposite_because_it_is_far_too_high() -> None:
    assert found(table(noise=0.5).assign(risk=lambda t: 0.6 + 0.4 * t["risk"]), BINARY) == []


def test_what_concerns_all_tables_is_said_once_and_no_message_holds_a_patients_value() -> None:
    tables = {name: timed(seed=seed) for seed, name in enumerate(("a", "b"))}
    beyond = Endpoint((Horizon("risk_3y", 36, "3 y"), Horizon("risk_5y", 60, "5 y")))
    (finding,) = gather(tables, beyond, cohort="x", resamples=100, seed=0).findings
    assert str(finding).startswith(
        "warning S005 time: no row is followed up to 3 y (36 in the unit of time) and 5 y (60"
    )
    assert "--unit" in finding.message
    longest = f"{tables['a']['time'].max():.2f}"
    assert not re.search(re.escape(longest), finding.message)


def test_evidence_keeps_its_findings_and_evidence_without_them_still_reads(tmp_path: Path) -> None:
    evidence = gather({"mine": table().assign(threshold=2.0)}, BINARY, cohort="x", resamples=100, seed=0)
    path = tmp_path / "evidence.json"
    write_evidence(path, evidence)
    assert read_evidence(path).findings == evidence.findings != ()
    content = json.loads(path.read_text())
    for name in ("findings", "put_forward"):
        del content[name]
    path.write_text(json.dumps(content))
    old = read_evidence(path)
    assert (old.findings, old.put_forward) == ((), None)
    assert old.shown == old.best
