"""Every rule passes on a real run, and blocks the same run with one fault planted in it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import parameters
from relapse.evaluation.evidence import Evidence, endpoint_of, gather, read_evidence
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.params import RegisterParams, read_params
from relapse.predictions import read_predictions
from relapse.promotion.decision import Decision, Version
from relapse.promotion.policy import decide
from relapse.promotion.rival import Champion
from tests.project import Project

pytestmark = pytest.mark.slow

Tables = dict[str, pd.DataFrame]


class Run:
    """The files of a real run of both cohorts before ``register``."""

    def __init__(self, root: Path, name: str) -> None:
        self.at = at = Workspace(name, root)
        self.cohort: Cohort = read_cohort(at.resolved)
        self.gate: dict[str, Any] = read_json(at.gate)
        self.params: RegisterParams = read_params(root / "params.yaml").register_
        self.endpoint = endpoint_of(self.cohort)
        self.tables: Tables = {
            candidate: read_predictions(
                at.predictions(candidate), risks=self.endpoint.risk_columns, timed=self.endpoint.timed
            )
            for candidate in ("reference", "linear")
        }

    def decide(
        self,
        *,
        tables: Tables | None = None,
        gate: dict[str, Any] | None = None,
        champion: Champion | None = None,
        evidence: Evidence | None = None,
        seed: int = 0,
        **params: Any,
    ) -> Decision:
        tables = tables or self.tables
        return decide(
            evidence or gather(tables, self.endpoint, cohort=self.cohort.name, resamples=100, seed=seed),
            tables,
            champion,
            cohort=self.cohort,
            gate=gate or self.gate,
            titles={name: name for name in tables},
            content_hash="c",
            params=self.params.model_copy(update=params),
            seed=seed,
        )

    def only_reference(self, fault: Callable[[pd.DataFrame], pd.DataFrame]) -> Tables:
        return {"reference": fault(self.tables["reference"])}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    project = Project.copy(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        for cohort in ("gbsg", "wpbc"):
            for stage in ("ingest", "gate", "split"):
                project.stage(stage, cohort=cohort)
            for candidate in ("reference", "linear"):
                project.stage("train", cohort=cohort, candidate=candidate)
            project.stage("added_value", cohort=cohort)
    return {name: Run(project.root, name) for name in ("gbsg", "wpbc")}


def _broken(decision: Decision) -> list[str]:
    assert decision.promoted == all(rule.passed for rule in decision.rules)
    return [rule.name for rule in decision.rules if not rule.passed]


def test_sound_runs_keep_every_rule(runs: dict[str, Run]) -> None:
    for run in runs.values():
        decision = run.decide()
        assert _broken(decision) == [], decision.summary
        assert decision.champion_before is None


def test_the_reference_can_be_the_first_champion_of_both_cohorts(runs: dict[str, Run]) -> None:
    for run in runs.values():
        assert _broken(run.decide(tables=run.only_reference(lambda table: table))) == []


@pytest.mark.parametrize(("asked", "expected"), [(10, "linear"), (60, "reference")])
def test_the_figures_of_the_stage_show_the_one_that_the_decision_puts_forward(
    runs: dict[str, Run], asked: float, expected: str, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(runs["gbsg"].at.root, tmp_path / "project"))
    register = runs["gbsg"].params.model_dump(mode="json") | {"events_per_parameter": asked}
    project.set_params(register=register)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        project.stage("evaluate", cohort="gbsg")
    run = Run(project.root, "gbsg")
    evidence = read_evidence(run.at.evidence)
    assert evidence.best.name == "linear"
    seed = read_params(project.root / "params.yaml").seed
    decision = run.decide(evidence=evidence, seed=seed)
    assert evidence.put_forward == decision.challenger == expected
    title = read_json(run.at.record(expected))["title"]
    assert f"predicted by {title} (put forward). Free" in (run.at.figures / "risk_groups.svg").read_text()


def test_a_broken_declaration_blocks(runs: dict[str, Run]) -> None:
    gate = runs["gbsg"].gate
    broken = gate | {"verdicts": [gate["verdicts"][0] | {"passed": False}, *gate["verdicts"][1:]]}
    assert _broken(runs["gbsg"].decide(gate=broken)) == ["data gate"]


def test_a_leak_found_in_the_table_blocks_and_a_warning_does_not(runs: dict[str, Run]) -> None:
    finding = {"code": "L001", "severity": "error", "column": "tsize", "message": "planted", "rows": [], "silenced": ""}
    run = runs["gbsg"]
    decision = run.decide(gate=run.gate | {"findings": [finding]})
    assert _broken(decision) == ["leakage"]
    assert "L001 tsize" in decision.summary
    assert _broken(run.decide(gate=run.gate | {"findings": [finding | {"severity": "warning"}]})) == []
    silenced = run.decide(gate=run.gate | {"findings": [finding | {"silenced": "Two readers confirmed it."}]})
    assert _broken(silenced) == []
    figures = {rule.name: rule.figure for rule in silenced.rules}
    assert figures["leakage"] == ("nothing found (silenced in the declaration: L001 tsize: Two readers confirmed it.)")


def test_a_patient_in_two_test_folds_of_one_repeat_blocks(runs: dict[str, Run]) -> None:
    def divided(table: pd.DataFrame) -> pd.DataFrame:
        patients = table["patient"].to_numpy(copy=True)
        patients[1] = patients[np.flatnonzero(table["fold"] != table["fold"][1])[0]]
        return table.assign(patient=patients)

    run = runs["gbsg"]
    decision = run.decide(tables=run.only_reference(divided))
    assert _broken(decision) == ["leakage"]
    assert "1 patients stand in several test folds" in decision.summary


def test_being_worse_than_the_reference_keeps_a_candidate_back(runs: dict[str, Run]) -> None:
    for name, expected in (("gbsg", ()), ("wpbc", ("reference", "events per parameter"))):
        standing = next(item for item in runs[name].decide().considered if item.candidate == "linear")
        assert standing.broken == expected


def _push(table: pd.DataFrame, columns: list[str], *, slope: float = 1.0, shift: float = 0.0) -> pd.DataFrame:
    log_hazards = {name: np.log(-np.log1p(-table[name])) for name in columns}
    pushed = {
        name: -np.expm1(-np.exp(slope * (value - value.mean()) + value.mean() + shift))
        for name, value in log_hazards.items()
    }
    return table.assign(**{name: value.clip(1e-6, 1 - 1e-6) for name, value in pushed.items()})


@pytest.mark.parametrize("fault", [{"slope": 2.0}, {"slope": 0.4}, {"shift": 0.6}, {"shift": -0.6}])
def test_risks_shown_to_be_too_extreme_too_timid_too_high_or_too_low_block(
    runs: dict[str, Run], fault: dict[str, float]
) -> None:
    run = runs["gbsg"]
    columns = run.endpoint.risk_columns
    decision = run.decide(tables=run.only_reference(lambda table: _push(table, columns, **fault)))
    assert "calibration" in _broken(decision)


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_risks_that_do_no_more_good_than_treating_all_or_none_block(runs: dict[str, Run], name: str) -> None:
    run = runs[name]

    def turned(table: pd.DataFrame) -> pd.DataFrame:
        ranked = {
            column: np.sort(table[column])[::-1][table[column].rank(method="first").astype(int) - 1]
            for column in run.endpoint.risk_columns
        }
        return table.assign(**ranked)

    assert "net benefit" in _broken(run.decide(tables=run.only_reference(turned)))


def test_a_subgroup_ranked_the_wrong_way_round_blocks(runs: dict[str, Run]) -> None:
    def turned(table: pd.DataFrame) -> pd.DataFrame:
        wrong = table["subgroup_tgrade"] == "III"
        return table.assign(score=table["score"].where(~wrong, -table["score"]))

    run = runs["gbsg"]
    decision = run.decide(tables=run.only_reference(turned))
    assert _broken(decision) == ["subgroups"]
    assert "tgrade III" in decision.summary


def test_too_few_events_for_what_is_learnt_block(runs: dict[str, Run]) -> None:
    run = runs["wpbc"]
    assert (parameters(run.cohort, run.cohort.reference), parameters(run.cohort, run.cohort.predictors)) == (2, 32)
    decision = run.decide(events_per_parameter=24)
    assert _broken(decision) == ["events per parameter"]
    assert "47 for 2 parameters" in decision.summary


def test_a_better_champion_blocks_and_an_equal_one_does_not(runs: dict[str, Run]) -> None:
    run = runs["gbsg"]
    table = run.tables["linear"]
    better = table[["row"]].assign(score=table["score"] + 2 * table["event"])
    for scores, broken in ((better, ["champion"]), (table[["row", "score"]], [])):
        assert _broken(run.decide(champion=Champion(Version("1", "linear"), "before", scores))) == broken
