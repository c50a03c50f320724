"""Which candidate is put forward, and the comparison with the champion."""

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import Evidence, gather
from relapse.evaluation.metrics import Endpoint, resampled_patients
from relapse.params import RegisterParams, read_params
from relapse.promotion import rules
from relapse.promotion.decision import Decision, Rule, Version
from relapse.promotion.policy import challenger, decide, every_rule, put_forward
from relapse.promotion.rival import Champion
from tests.conftest import ROOT

PARAMS = read_params(ROOT / "params.yaml").register_
TITLES = {"reference": "Clinical reference", "linear": "Linear", "forest": "Forest"}
GATE = {"verdicts": [{"column": "size", "passed": True, "silenced": ""}], "findings": []}
COHORT = Cohort.model_validate(
    {
        "name": "test",
        "title": "Test",
        "source": {"csv": "none.csv"},
        "licence": "none",
        "citation": "none",
        "endpoint": {"kind": "binary", "event": "event"},
        "features": {"size": {"type": "continuous", "range": [0, 1]}, "age": {"type": "count", "range": [0, 99]}},
        "reference": ["size"],
    }
)


def _predictions(noise: float, *, n: int = 400, seed: int = 1) -> pd.DataFrame:
    """Predictions of a calibrated model whose score is the truth seen through noise."""
    truth = np.random.default_rng(0).normal(size=n)
    event = (np.random.default_rng(1).random(n) < 1 / (1 + np.exp(1 - 2 * truth))).astype(int)
    seen = truth + noise * np.random.default_rng(seed).normal(size=n)
    shrunk = 1 / (1 + noise**2)
    score = (2 * shrunk * seen - 1) / np.sqrt(1 + np.pi / 8 * 4 * (1 - shrunk))
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
    return {"reference": _predictions(2.0), "linear": _predictions(0.30, seed=2), "forest": _predictions(0.25, seed=8)}


def _evidence(tables: dict[str, pd.DataFrame]) -> Evidence:
    return gather(tables, Endpoint(), cohort="test", resamples=200, seed=0)


def _decide(tables: dict[str, pd.DataFrame], champion: Champion | None, *, params: RegisterParams = PARAMS) -> Decision:
    return decide(
        _evidence(tables),
        tables,
        champion,
        cohort=COHORT,
        gate=GATE,
        titles=TITLES,
        content_hash="c",
        params=params,
        seed=0,
    )


def _champion(table: pd.DataFrame, refusal: str = "") -> Champion:
    return Champion(Version("3", "linear"), "before", table[["row", "score"]], refusal)


def test_the_first_champion_is_promoted_with_every_rule_and_the_policy_written_down(
    tables: dict[str, pd.DataFrame],
) -> None:
    decision = _decide(tables, None)
    assert decision.promoted
    assert [rule.name for rule in decision.rules] == [
        "data gate",
        "leakage",
        "reference",
        "calibration",
        "net benefit",
        "subgroups",
        "events per parameter",
        "champion",
    ]
    assert all(rule.passed and rule.figure and rule.requirement for rule in decision.rules)
    assert decision.policy == PARAMS.model_dump(mode="json")
    assert {item.candidate: item.broken for item in decision.considered} == dict.fromkeys(tables, ())


def test_a_lead_that_may_be_luck_does_not_pay_for_a_more_complicated_model(tables: dict[str, pd.DataFrame]) -> None:
    evidence = _evidence(tables)
    assert evidence.best.name == "forest"
    assert evidence.paired("forest", "linear").test.p > 0.05
    simplest, best = (
        _decide(tables, None, params=PARAMS.model_copy(update={"choice": c})) for c in ("simplest", "best")
    )
    assert simplest.challenger == "linear"
    assert "Linear, which is simpler, is not shown to be worse" in simplest.summary
    assert best.challenger == "forest"
    for decision, choice in ((simplest, "simplest"), (best, "best")):
        params = PARAMS.model_copy(update={"choice": choice})
        assert put_forward(evidence, tables, cohort=COHORT, params=params, seed=0) == decision.challenger


def test_a_candidate_not_shown_to_match_the_reference_gives_way_to_it(tables: dict[str, pd.DataFrame]) -> None:
    close = {"reference": tables["reference"], "linear": _predictions(1.99, seed=3)}
    evidence = _evidence(close)
    assert evidence.paired("linear", "reference").test.lower < -PARAMS.margin
    params = PARAMS.model_copy(update={"choice": "best"})
    for margin, expected in ((0.02, "reference"), (0.5, evidence.best.name)):
        wide = params.model_copy(update={"margin": margin})
        own = every_rule(evidence, close, cohort=COHORT, params=wide, seed=0)
        assert challenger(evidence, own, params=wide) == expected


def _useful(table: pd.DataFrame) -> Rule:
    weights = resampled_patients(table, resamples=500, seed=0)
    return rules.useful(table, Endpoint(), multiples=PARAMS.net_benefit, weights=weights)


def test_net_benefit_blocks_what_was_shown_to_be_useless_and_not_what_luck_put_below_zero(
    tables: dict[str, pd.DataFrame],
) -> None:
    table = tables["linear"]
    assert _useful(table).passed
    turned = _useful(table.assign(risk=1 - table["risk"]))
    assert not turned.passed
    luck = _useful(table.assign(risk=table["risk"].sample(frac=1, random_state=3).to_numpy()))
    assert luck.figure.startswith("-0.0011 a patient (95% interval -0.03")
    assert luck.passed
    assert all("upper 95% bound above 0" in rule.requirement for rule in (turned, luck))


def test_risks_without_information_that_net_benefit_lets_pass_fall_to_calibration_and_the_reference(
    tables: dict[str, pd.DataFrame],
) -> None:
    shuffled = np.random.default_rng(0).permutation(400)
    columns = {name: tables["linear"][name].to_numpy()[shuffled] for name in ("score", "risk")}
    decision = _decide({"reference": tables["reference"], "linear": tables["linear"].assign(**columns)}, None)
    assert decision.challenger == "reference"
    assert {"reference", "calibration"} <= set(decision.considered[1].broken)


def test_one_risk_for_all_is_no_use_however_right_it_is(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["linear"]
    assert not _useful(table.assign(risk=table["event"].mean())).passed


def test_a_worse_challenger_leaves_the_champion_in_place(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide({"reference": tables["reference"]}, _champion(_predictions(0.0)))
    assert not decision.promoted
    rule = decision.rules[-1]
    assert (rule.name, rule.passed) == ("champion", False)
    assert "against version 3" in rule.figure


def test_a_challenger_that_is_not_inferior_replaces_the_champion(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide(tables, _champion(_predictions(1.0, seed=9)))
    assert decision.promoted
    assert "may replace version 3" in decision.summary


def test_one_that_is_merely_not_shown_to_be_worse_does_not(tables: dict[str, pd.DataFrame]) -> None:
    few = {name: table.iloc[:60] for name, table in tables.items()}
    rule = _decide({"reference": few["reference"]}, _champion(_predictions(1.8, seed=5).iloc[:60])).rules[-1]
    assert not rule.passed
    assert "worse by 0.02 or more: p = " in rule.figure


def test_the_same_predictions_again_are_no_worse(tables: dict[str, pd.DataFrame]) -> None:
    assert _decide(tables, _champion(tables["linear"])).rules[-1].passed


def test_the_more_candidates_were_tried_the_more_is_asked_of_the_one_put_forward(
    tables: dict[str, pd.DataFrame],
) -> None:
    params = PARAMS.model_copy(update={"margin": 0.06})
    champion = _champion(_predictions(1.6, seed=9))
    alone = {"reference": tables["reference"]}
    many = alone | {name: _predictions(9.0, seed=10 + i) for i, name in enumerate(("linear", "forest"))}
    first, second = (_decide(found, champion, params=params) for found in (alone, many))
    assert first.challenger == second.challenger == "reference"
    p = [float(item.rules[-1].figure.split("more: p = ")[1].split()[0]) for item in (first, second)]
    assert p[1] == pytest.approx(3 * p[0], rel=0.05)


def test_only_rows_that_the_champion_s_models_had_not_seen_are_compared(tables: dict[str, pd.DataFrame]) -> None:
    decision = _decide({"reference": tables["reference"]}, _champion(_predictions(0.0).iloc[:300]))
    assert "300 rows" in decision.rules[-1].figure


def test_a_refused_comparison_blocks_and_says_why(tables: dict[str, pd.DataFrame]) -> None:
    for champion, message in (
        (_champion(tables["linear"], "the champion was trained on another table"), "trained on another table"),
        (_champion(_predictions(0.3).iloc[:15]), "can be compared"),
    ):
        decision = _decide(tables, champion)
        assert not decision.promoted
        assert message in decision.rules[-1].figure
        assert message in decision.summary
