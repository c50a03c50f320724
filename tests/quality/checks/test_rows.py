"""Checks of rows find the planted copy, and leave alone what views and chance explain."""

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.ground.errors import GateError
from relapse.ground.finding import Finding
from relapse.quality.checks.catalogue import findings
from relapse.quality.gate import check

from .wide import noise


def _found(code: str, table: pd.DataFrame, cohort: Cohort) -> Finding | None:
    return next((finding for finding in findings(table, cohort) if finding.code == code), None)


def _with_patients(cohort: Cohort, **changes: object) -> Cohort:
    return cohort.model_copy(update={"patient": "id", **changes})


def test_the_same_rows_under_two_patients_are_found(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"]
    copied = table.iloc[:3].assign(row=[901, 902, 903], patient=["901", "902", "903"])
    finding = _found("L002", pd.concat([table, copied], ignore_index=True), cohorts["gbsg"])
    assert finding is not None
    assert finding.rows[:3] == (1, 2, 3)


def test_equal_rows_of_few_coarse_features_are_chance(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table, cohort = tables["radiomics"], cohorts["radiomics"]
    names = [name for name in cohort.features if name != "size"]
    coarse = cohort.model_copy(
        update={
            "features": {name: cohort.features[name] for name in names},
            "reference": tuple(names[:1]),
            "subgroups": (),
        }
    )
    assert table.duplicated([*names, "event"]).any()
    assert _found("L002", table, coarse) is None
    assert _found("R003", table, coarse) is None


def test_a_patient_with_two_outcomes_is_warned_of(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["wpbc"]
    relapsed, free = table.index[table["event"] == 1][0], table.index[table["event"] == 0][0]
    table.loc[[relapsed, free], "patient"] = "same"
    assert _found("L003", table, cohorts["wpbc"]) is not None
    assert check(table, cohorts["wpbc"]).passed


def test_a_patient_with_two_times_is_warned_of(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["gbsg"]
    table.loc[table.index[table["event"] == 1][:2], "patient"] = "same"
    finding = _found("L003", table, cohorts["gbsg"])
    assert finding is not None
    assert finding.column == "time"


def test_exact_copies_of_a_patient_s_row_are_an_error_and_name_the_remedy(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table, cohort = tables["gbsg"], _with_patients(cohorts["gbsg"])
    doubled = pd.concat([table, table.iloc[:20].assign(row=range(687, 707))], ignore_index=True)
    assert _found("R001", table, cohort) is None
    with pytest.raises(GateError, match=r"R001 .*20 rows repeat .*Delete them.*`view`.* 687, 688, 689, 690, 691"):
        check(doubled, cohort).require(source="the table")


def test_exact_copies_are_found_in_a_table_that_breaks_a_rule_as_well(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"].astype({"menostat": "str", "tgrade": "str", "horTh": "str"})
    doubled = pd.concat([table, table.iloc[:2].assign(row=[687, 688])], ignore_index=True)
    doubled.loc[5, "tgrade"] = "IV"
    with pytest.raises(GateError, match=r"(?s)tgrade: expected one of.*R001"):
        check(doubled, _with_patients(cohorts["gbsg"])).require(source="the table")


def test_equal_values_in_different_views_are_fine(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table, cohort = tables["radiomics"], cohorts["radiomics"]
    two = table.index[table.duplicated("patient")]
    equal = list(cohort.features)
    table.loc[two, equal] = table.loc[two - 1, equal].to_numpy()
    assert {finding.severity for finding in findings(table, cohort)} <= {"warning"}
    assert _found("R001", table, cohort.model_copy(update={"view": None})) is not None


def test_a_view_that_a_patient_has_twice_is_an_error(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["radiomics"]
    again = table.index[table.duplicated("patient")][0]
    table.loc[again, "view"] = table.loc[again - 1, "view"]
    with pytest.raises(GateError, match=rf"R002 view: view: 1 row has .*Delete|delete.* {table.loc[again, 'row']}\."):
        check(table, cohorts["radiomics"]).require(source="the table")


def test_a_row_without_its_view_is_named(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["radiomics"].astype({"view": "object"})
    table.loc[4, "view"] = None
    with pytest.raises(GateError, match=r"view: expected every row names its view; 1 row breaks this: data row 5\."):
        check(table, cohorts["radiomics"]).require(source="the table")


@pytest.mark.parametrize("column", ["age", "progrec", "tgrade", "time", "event"])
def test_a_copy_under_another_name_with_one_value_changed_is_found(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], column: str
) -> None:
    table = tables["gbsg"]
    copied = table.iloc[[6]].assign(row=687, patient="687")
    copied[column] = {"age": 99.0, "progrec": 999.0, "tgrade": "I", "time": 99.0, "event": 1.0}[column]
    assert copied[column].iloc[0] != table.loc[6, column]
    both = typed(pd.concat([table, copied], ignore_index=True), cohorts["gbsg"])
    finding = _found("R003", both, cohorts["gbsg"])
    assert finding is not None
    assert f"data rows 7 and 687 (all but {column})" in finding.message
    assert finding.severity == "warning"


def test_a_near_copy_is_found_in_a_wide_table() -> None:
    table, cohort = noise(3, rows=200)
    copied = table.iloc[[10]].assign(row=201, patient="other", f0=99.0)
    finding = _found("R003", pd.concat([table, copied], ignore_index=True), cohort)
    assert finding is not None
    assert "11 and 201 (all but f0)" in finding.message


def test_quantities_that_follow_from_each_other_are_no_evidence() -> None:
    rng = np.random.default_rng(5)
    table, cohort = noise(5, rows=400, features=6, survival=False)
    base = rng.poisson(40, 400).astype(float)
    derived = {"f0": base, "f1": base / 2.54, "f2": 100 - base, "f3": base**2, "f4": np.log(base)}
    assert table.assign(**derived).duplicated([*derived, "f5", "event"]).any()
    assert {finding.code for finding in findings(table.assign(**derived), cohort)} == {"F004"}


def test_one_patient_at_two_sites_is_warned_of() -> None:
    table, cohort = noise(1, features=7, views=2)
    table.loc[0, "site"] = "elsewhere"
    finding = _found("R004", table, cohort)
    assert finding is not None
    assert finding.rows == (1, 2)
    assert "1 patient has" in finding.message


@pytest.mark.parametrize("name", ["P-7", "p007", " P 7", "P_07"])
def test_names_that_differ_in_writing_only_are_warned_of(name: str) -> None:
    table, cohort = noise(1, features=7)
    table["patient"] = ["P" + str(number) for number in range(len(table))]
    table.loc[20, "patient"] = name
    finding = _found("R005", table, cohort)
    assert finding is not None
    assert finding.rows == (8, 21)
    assert name.strip() not in finding.message


def test_names_with_the_same_digits_in_other_places_are_different() -> None:
    table, cohort = noise(1, features=7)
    table["patient"] = [f"{number // 10}-{number % 10}" for number in range(len(table))]
    table.loc[[0, 1], "patient"] = ["1-11", "11-1"]
    assert _found("R005", table, cohort) is None


def test_sites_of_one_patient_are_told(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table, cohort = tables["gbsg"].assign(site="north"), cohorts["gbsg"].model_copy(update={"site": "hospital"})
    assert _found("R006", table, cohort) is None
    table.loc[2, "site"] = "south"
    finding = _found("R006", table, cohort)
    assert finding is not None
    assert (finding.severity, finding.rows) == ("warning", (3,))
