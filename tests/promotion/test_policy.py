"""Each rule of the policy passes and blocks; a reference that nobody is shown to match stays in front."""

import numpy as np
import pandas as pd
import pytest

from relapse.evaluation.evidence import Evidence, gather
from relapse.evaluation.metrics import Endpoint
from relapse.promotion.decision import Decision, Version
from relapse.promotion.policy import Champion, challenger, decide
from relapse.settings import RegisterParams

PARAMS = RegisterParams(margin=0.02, significance=0.05)
TITLES = {"reference": "Clinical reference", "good": "Good", "same": "Same"}


def _predictions(noise: float, *, n: int = 400, seed: int = 1) -> pd.DataFrame:
    """Predictions of a model whose score is the truth plus noise."""
    truth = np.random.default_rng(0).normal(size=n)
    event = (np.random.default_rng(1).random(n) < 1 / (1 + np.exp(1 - 2 * truth))).astype(int)
    score = truth + noise * np.random.default_rng(seed).normal(size=n)
    return pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "patient": np.arange(1, n + 1).astype(str),
            "site": "",
            "repeat": 0,
            "fold": np.arange(n) % 5,
            "event": event,
            "score": score,
            "risk": 1 / (1 + np.exp(-score)),
            "threshold": 0.5,
        }
    )


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {"reference": _predictions(2.0), "good": _predictions(0.3, seed=2), "same": _predictions(2.0, seed=3)}


def _evidence(tables: dict[str, pd.DataFrame]) -> Evidence:
    return gather(tables, Endpoint(), cohort="test", resamples=200, seed=0)


def _decide(tables: dict[str, pd.DataFrame], champion: Champion | None, *, gate: bool = True) -> Decision:
    return decide(_evidence(tables), tables, champion, gate_passed=gate, titles=TITLES, content_hash="c", params=PARAMS)


def _champion(table: pd.DataFrame) -> Champion:
    return Champion(Version("3", "good"), "before", table)


def test_the_first_champion_is_promoted_with_every_rule_written_down(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide(tables, None)
    assert decision.promoted
    assert decision.challenger == "good"
    assert [rule.name for rule in decision.rules] == ["data gate", "reference", "champion"]
    assert all(rule.passed and rule.figure and rule.requirement for rule in decision.rules)


def test_a_candidate_not_shown_to_match_the_reference_gives_way_to_it(tables: dict[str, pd.DataFrame]) -> None:
    close = {"reference": tables["reference"], "same": tables["same"].assign(score=tables["same"]["score"] + 0.0)}
    evidence = _evidence(close)
    assert evidence.paired("same", "reference").test.lower < -PARAMS.margin
    assert challenger(evidence, margin=PARAMS.margin) == "reference"
    assert challenger(evidence, margin=0.5) == evidence.best.name


def test_a_broken_gate_blocks(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide(tables, None, gate=False)
    assert not decision.promoted
    assert "data gate: broken" in decision.summary


def test_a_worse_challenger_leaves_the_champion_in_place(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide({"reference": tables["reference"]}, _champion(_predictions(0.0)))
    assert not decision.promoted
    rule = decision.rules[-1]
    assert (rule.name, rule.passed) == ("champion", False)
    assert "against version 3" in rule.figure


def test_a_challenger_that_is_not_worse_replaces_the_champion(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide(tables, _champion(_predictions(0.35, seed=9)))
    assert decision.promoted
    assert "replaces version 3" in decision.summary


def test_only_shared_patients_are_compared(tables: dict[str, pd.DataFrame]) -> None:
    older = _predictions(0.0).iloc[:300]
    decision = _decide({"reference": tables["reference"]}, _champion(older))
    assert "on 300 rows" in decision.rules[-1].figure


def test_changed_outcomes_or_too_few_shared_patients_refuse_the_comparison(tables: dict[str, pd.DataFrame]) -> None:
    changed = _predictions(0.3)
    changed.loc[:3, "event"] = 1 - changed.loc[:3, "event"]
    for champion, message in (
        (changed, "outcomes of the shared patients have changed"),
        (_predictions(0.3).iloc[:15], "are shared"),
    ):
        decision = _decide(tables, _champion(champion))
        assert not decision.promoted
        assert message in decision.rules[-1].figure
