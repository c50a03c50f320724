"""What somebody has looked at is silenced with a reason, where the pipeline can go on without it, and nothing else is."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from relapse.cohorts.declared.silence import Silence
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import DeclarationError, GateError
from relapse.quality.codes import CODES
from relapse.quality.gate import check

REASON = "Confirmed in the pathology report by two readers."


def silencing(cohort: Cohort, **silence: Any) -> Cohort:
    """The cohort with one finding silenced."""
    return cohort.model_copy(update={"silence": (Silence.model_validate({"reason": REASON} | silence),)})


@pytest.fixture
def far(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A table with two tumours larger than the declared range."""
    table = tables["gbsg"].astype({"menostat": "str", "tgrade": "str", "horTh": "str"})
    table.loc[[4, 9], "tsize"] = 230
    return table


def test_a_broken_rule_that_is_silenced_stops_nothing_and_keeps_its_reason(
    cohorts: dict[str, Cohort], far: pd.DataFrame
) -> None:
    with pytest.raises(GateError, match=r"D008 tsize: expected between 1 and 200 mm; 2 rows"):
        check(far, cohorts["gbsg"]).require(source="the table")
    result = check(far, silencing(cohorts["gbsg"], check="D008", columns=["tsize"]))
    assert result.passed
    assert [str(item) for item in result.told] == [
        f"D008 tsize: expected between 1 and 200 mm; 2 rows break this: data row 5, 10. Silenced: {REASON}"
    ]


def test_a_silence_of_one_column_leaves_the_others(cohorts: dict[str, Cohort], far: pd.DataFrame) -> None:
    far.loc[0, "age"] = 180
    result = check(far, silencing(cohorts["gbsg"], check="D008", columns=["tsize"]))
    assert not result.passed
    assert [item.column for item in result.stopping] == ["age"]


def test_an_error_of_leakage_that_is_silenced_lets_the_table_on(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["wpbc"]
    table["mean_area"] = table["event"] * 1000 + np.arange(len(table)) + 100
    assert not check(table, cohorts["wpbc"]).passed
    result = check(table, silencing(cohorts["wpbc"], check="L001"))
    assert result.passed
    (found,) = [finding for finding in result.findings if finding.code == "L001"]
    assert (found.silenced, found.severity) == (REASON, "error")


def test_a_silence_of_nothing_is_a_finding(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    result = check(tables["gbsg"], silencing(cohorts["gbsg"], check="F007", columns=["tgrade"]))
    assert [(item.code, item.severity) for item in result.findings] == [("G001", "warning")]
    assert "F007 in tgrade was silenced, and nothing of the kind was found" in result.findings[0].message


def test_a_silence_of_a_check_of_predictions_is_none_of_the_gate_s(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    assert check(tables["gbsg"], silencing(cohorts["gbsg"], check="S006")).findings == ()


@pytest.mark.parametrize("code", [code for code, item in CODES.items() if item.lasting])
def test_what_nothing_could_go_on_without_cannot_be_silenced(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], code: str
) -> None:
    with pytest.raises(DeclarationError, match=f"silence: {code} cannot be silenced, since .*Instead: "):
        check(tables["gbsg"], silencing(cohorts["gbsg"], check=code))


def test_an_unknown_check_is_refused_with_those_that_there_are(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    for code in ("L009", "S099"):
        with pytest.raises(DeclarationError, match=rf"silence: {code} is no check\. There are: D001, .*L001"):
            check(tables["gbsg"], silencing(cohorts["gbsg"], check=code))


@pytest.mark.parametrize("wrong", [{"check": "leak"}, {"check": "L001", "reason": "fine"}, {"check": "L001", "row": 3}])
def test_a_silence_has_a_code_and_a_reason_worth_the_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Silence.model_validate({"reason": REASON} | wrong)
