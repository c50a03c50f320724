"""Each leakage check fires on a planted fault and is silent on the shipped cohorts."""

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.ground.errors import GateError
from relapse.quality.checks.catalogue import findings
from relapse.quality.gate import check

from .wide import noise


def _codes(table: pd.DataFrame, cohort: Cohort) -> set[str]:
    return {finding.code for finding in findings(table, cohort)}


@pytest.mark.parametrize(("name", "known"), [("gbsg", set()), ("radiomics", {"O006"}), ("wpbc", {"O006"})])
def test_shipped_cohorts_are_clean_but_for_the_few_events_of_two(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, known: set[str]
) -> None:
    assert _codes(tables[name], cohorts[name]) == known


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_table_of_noise_raises_no_finding_of_any_family(seed: int) -> None:
    table, cohort = noise(seed, rows=[120, 240, 600][seed % 3], views=1 + seed % 2, survival=seed % 4 < 2)
    # That so few patients bear no narrow interval and no model of all these features is true.
    assert {finding.code for finding in findings(table, cohort)} <= {"O004", "O006"}


def test_a_feature_that_is_the_outcome_is_found(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["wpbc"]
    table["mean_area"] = table["event"] * 1000 + np.arange(len(table)) + 100
    assert "L001" in _codes(table, cohorts["wpbc"])
    with pytest.raises(GateError, match=r"L001 mean_area: separates the outcome almost perfectly"):
        check(table, cohorts["wpbc"]).require(source="the table")


def test_a_copy_of_the_outcome_with_mistakes_is_warned_of(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"]
    wrong = np.random.default_rng(1).random(len(table)) < 0.05
    table["horTh"] = pd.Categorical(np.where((table["event"] == 1) ^ wrong, "yes", "no"), categories=["no", "yes"])
    (finding,) = [item for item in findings(table, cohorts["gbsg"]) if item.code == "L005"]
    assert finding.severity == "warning"
    assert finding.column == "horTh"
    assert "known: after" in finding.message
    assert check(table, cohorts["gbsg"]).passed


def test_a_level_a_patient_separates_nothing() -> None:
    table, cohort = noise(0, rows=100, features=7)
    feature = cohort.features["f5"].model_copy(update={"levels": {str(number): str(number) for number in range(100)}})
    many = cohort.model_copy(update={"features": cohort.features | {"f5": feature}})
    table["f5"] = pd.Categorical([str(number) for number in range(100)])
    assert not {"L001", "L005"} & _codes(table, many)


def test_a_constant_feature_is_warned_of(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    found = findings(tables["gbsg"].assign(age=50.0), cohorts["gbsg"])
    assert [(finding.code, finding.column) for finding in found] == [("L004", "age")]
    assert "L004" in _codes(tables["wpbc"].assign(pnodes=np.nan), cohorts["wpbc"])
