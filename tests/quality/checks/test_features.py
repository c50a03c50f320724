"""Checks of features find the planted fault, name its column, and are silent where chance or shape explains it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import ingest
from relapse.ground.errors import GateError
from relapse.ground.finding import Finding
from relapse.quality.checks.catalogue import findings
from relapse.quality.checks.units import two_units
from relapse.quality.gate import check

from .wide import noise


def _found(code: str, table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    return [finding for finding in findings(table, cohort) if finding.code == code]


@pytest.mark.parametrize("features", [7, 500])
def test_a_predictor_missing_where_the_event_happened_is_found(features: int) -> None:
    table, cohort = noise(2, features=features)
    table["f1"] = table["f1"].mask(table["event"] == 1)
    (finding,) = _found("F001", table, cohort)
    assert finding.column == "f1"
    assert "100% of the patients with the event and in 0% of the others" in finding.message


def test_a_predictor_missing_at_one_site_is_found() -> None:
    table, cohort = noise(2)
    table["f1"] = table["f1"].mask(table["site"] == "south")
    (finding,) = _found("F002", table, cohort)
    assert finding.column == "f1"
    assert "100% of the patients at hospital south" in finding.message


def test_a_running_number_is_found_in_order_and_shuffled() -> None:
    table, cohort = noise(4, features=14)
    numbers = np.arange(1001, 1001 + len(table), dtype=float)
    table["f0"] = numbers[::-1] * 3
    table["f1"] = np.random.default_rng(0).permutation(numbers)
    assert [finding.column for finding in _found("F003", table, cohort)] == ["f0", "f1"]


def test_a_file_sorted_by_a_measured_feature_has_no_running_number() -> None:
    table, cohort = noise(4, features=14)
    for name in ("f0", "f2"):
        table[name] = np.sort(table[name].fillna(1.0))
    assert _found("F003", table, cohort) == []


def test_a_transformed_or_rounded_copy_of_a_feature_is_found() -> None:
    table, cohort = noise(4)
    table["f7"] = np.exp(-table["f0"])
    table["f8"] = (table["f1"] * 100).round()
    table["f13"] = table["f6"].cat.rename_categories({"low": "high", "middle": "low", "high": "middle"})
    found = {finding.column: finding.message for finding in _found("F004", table, cohort)}
    assert found.keys() == {"f7", "f8", "f13"}
    assert "says what f0 says" in found["f7"]
    assert "says what f1 says" in found["f8"]


def test_a_correlated_feature_is_no_copy() -> None:
    table, cohort = noise(4, features=14)
    table["f7"] = table["f0"] + np.random.default_rng(0).normal(scale=0.01, size=len(table))
    assert _found("F004", table, cohort) == []


def test_one_value_in_all_with_the_event_is_found() -> None:
    table, cohort = noise(6, features=14)
    table["f5"] = table["f5"].where(table["event"] == 0, "a")
    (finding,) = _found("F005", table, cohort)
    assert (finding.column, "with the event" in finding.message) == ("f5", True)


def test_a_nearly_constant_feature_is_found_with_its_rows() -> None:
    table, cohort = noise(6, features=14)
    table["f2"] = np.where(table["row"].isin([12, 13]), 5.0, 1.0)
    (finding,) = _found("F006", table, cohort)
    assert (finding.column, finding.rows) == ("f2", (12, 13))


def test_a_level_of_two_patients_is_found_whatever_their_rows() -> None:
    table, cohort = noise(6, features=14, views=2)
    table["f5"] = table["f5"].mask(table["f5"] == "c", "a")
    table.loc[:3, "f5"] = "c"
    (finding,) = _found("F007", table, cohort)
    assert finding.column == "f5"
    assert finding.rows == ()


@pytest.mark.parametrize(("factor", "spread"), [(2.54, 0.15), (10, 0.45), (25.4, 0.6), (100, 0.7), (1000, 0.7)])
def test_half_of_the_values_in_another_unit_are_found(factor: float, spread: float) -> None:
    rng = np.random.default_rng(7)
    size = np.exp(3 + spread * rng.normal(size=240))
    mixed = np.where(rng.random(240) < 0.5, size / factor, size)
    found = two_units(mixed, features=10)
    assert found is not None
    assert found.factor == factor
    assert two_units(size, features=10) is None


def test_two_units_are_told_beside_the_rule_that_they_break(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"].astype({"menostat": "str", "tgrade": "str", "horTh": "str"})
    table.loc[table["row"] % 2 == 0, "tsize"] /= 10
    with pytest.raises(
        GateError, match=r"(?s)tsize: expected between 1 and 200 mm.*F008 tsize: .*a factor of 10 apart"
    ):
        check(table, cohorts["gbsg"]).require(source="the table")


def test_two_units_within_the_range_are_a_warning_that_is_seen() -> None:
    table, cohort = noise(8, features=14)
    size = np.exp(3 + 0.4 * np.random.default_rng(8).normal(size=len(table)))
    table["f1"] = np.where(table["row"] <= 100, size / 10, size)
    (finding,) = _found("F008", table, cohort)
    assert finding.severity == "warning"
    assert "cm and mm" in finding.message
    assert finding.rows == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("spread", [0.3, 0.6, 0.8])
def test_a_site_in_another_unit_is_named_also_where_values_overlap(spread: float) -> None:
    table, cohort = noise(9)
    size = np.exp(3 + spread * np.random.default_rng(9).normal(size=len(table)))
    table["f1"] = np.where(table["site"] == "west", size / 10, size)
    (finding,) = _found("F008", table, cohort)
    assert finding.column == "f1"
    assert "hospital north, south are about 10 times" in finding.message


def test_values_out_of_range_by_a_unit_say_so(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    table = tables["gbsg"].astype({"menostat": "str", "tgrade": "str", "horTh": "str"})
    few = table.index[table["tsize"] < 10].tolist() + table.index[table["tsize"].between(20, 30)].tolist()[:5]
    table.loc[few[-5:], "tsize"] *= 10
    with pytest.raises(GateError, match=r"F009 tsize: the values outside the range .* if divided by 10"):
        check(table, cohorts["gbsg"]).require(source="the table")


HONEST: dict[str, Callable[[np.random.Generator, int, float], np.ndarray]] = {
    "lognormal": lambda rng, rows, spread: np.exp(spread * rng.normal(size=rows)),
    "exponential": lambda rng, rows, spread: spread * rng.exponential(size=rows),
    "pareto": lambda rng, rows, spread: 1 + rng.pareto(spread, rows),
    "uniform": lambda rng, rows, spread: rng.uniform(0, 100 * spread, rows),
    "log-uniform": lambda rng, rows, spread: np.exp(rng.uniform(-spread, spread, rows)),
    "rounded": lambda rng, rows, spread: np.exp(spread * rng.normal(size=rows)).round(1),
    "zeros": lambda rng, rows, spread: rng.binomial(1, 0.6, rows) * np.exp(2 * spread * rng.normal(size=rows)).round(),
}


@pytest.mark.parametrize("shape", HONEST)
def test_honest_skewed_features_have_one_unit(shape: str) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = HONEST[shape](rng, int(rng.choice([60, 240, 1000])), rng.uniform(0.1, 3))
        assert two_units(values, features=1) is None


def test_rotterdam_is_clean(cohorts: dict[str, Cohort], monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    shared = Path(os.environ.get("RELAPSE_SHARED") or root.parent / "shared")
    if not (shared / "data" / "rotterdam.csv").is_file():
        pytest.skip("rotterdam.csv is not there")
    monkeypatch.setenv("RELAPSE_ROTTERDAM", str(shared / "data" / "rotterdam.csv"))
    table, _, _ = ingest(cohorts["rotterdam"], root=root)
    assert check(table, cohorts["rotterdam"]).findings == ()


def test_many_warnings_of_one_kind_are_told_together() -> None:
    table, cohort = noise(6)
    for number in range(0, 400, 7):
        table[f"f{number}"] = 1.0
    found = _found("L004", table, cohort)
    assert len(found) == 8
    assert "found in 51 more columns" in found[-1].message


def test_values_outside_a_learnt_range_are_told_and_refused_by_nobody() -> None:
    table, cohort = noise(5, features=7, survival=False)
    learnt = cohort.features["f1"].model_copy(update={"range": (-1.0, 2.0), "learnt": True})
    cohort = cohort.model_copy(update={"features": {**cohort.features, "f1": learnt}})
    table["f1"] = table["f1"].clip(-1.0, 2.0)
    assert not _found("F010", table, cohort)
    table.loc[3, "f1"] = 40.0
    (finding,) = _found("F010", table, cohort)
    assert (finding.severity, finding.column, finding.rows) == ("warning", "f1", (4,))
