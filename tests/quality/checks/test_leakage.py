"""Each leakage check fires on a planted fault and is silent on the real cohorts."""

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.errors import GateError
from relapse.quality.checks.catalogue import findings
from relapse.quality.gate import check


def _codes(table: pd.DataFrame, cohort: Cohort) -> set[str]:
    return {finding.code for finding in findings(table, cohort)}


@pytest.mark.parametrize(("name", "known"), [("gbsg", set()), ("wpbc", {"O006"})])
def test_real_cohorts_are_clean_but_for_the_few_events_of_wpbc(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, known: set[str]
) -> None:
    assert _codes(tables[name], cohorts[name]) == known


def test_a_feature_that_is_the_outcome_is_found(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["wpbc"]
    table["mean_area"] = table["event"] * 1000 + np.arange(len(table)) + 100
    assert "L001" in _codes(table, cohorts["wpbc"])
    with pytest.raises(GateError, match=r"L001 mean_area: separates the outcome almost perfectly"):
        check(table, cohorts["wpbc"]).require(source="the table")


def test_the_same_rows_under_two_patients_are_found(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"]
    copied = table.iloc[:3].assign(row=[901, 902, 903], patient=["901", "902", "903"])
    doubled = pd.concat([table, copied], ignore_index=True)
    finding = next(item for item in findings(doubled, cohorts["gbsg"]) if item.code == "L002")
    assert finding.rows[:3] == (1, 2, 3)


def test_a_patient_with_two_outcomes_is_warned_of(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["wpbc"]
    relapsed, free = table.index[table["event"] == 1][0], table.index[table["event"] == 0][0]
    table.loc[[relapsed, free], "patient"] = "same"
    assert "L003" in _codes(table, cohorts["wpbc"])
    assert check(table, cohorts["wpbc"]).passed


def test_a_constant_feature_is_warned_of(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    assert "L004" in _codes(tables["gbsg"].assign(age=50.0), cohorts["gbsg"])
