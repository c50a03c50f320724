"""The simulated table has the study's shape, level frequencies and rank correlations, and says that it is simulated."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.simulation import DENSITY, MARGIN, SHAPE, SUBTYPE, simulate_radiomics
from relapse.cohorts.sources import describe, fingerprint
from relapse.ground.errors import DeclarationError
from relapse.quality.gate import check

SEEDS = 100


@pytest.fixture(scope="module")
def drawn() -> list[pd.DataFrame]:
    """One table a seed."""
    return [simulate_radiomics(seed) for seed in range(SEEDS)]


def test_it_has_the_study_s_shape(drawn: list[pd.DataFrame]) -> None:
    for table in drawn:
        assert len(table) == 270
        assert table["patient"].nunique() == 148
        assert not table.duplicated(["patient", "view"]).any()


def test_views_of_a_patient_share_what_belongs_to_the_patient_and_are_alike_in_the_rest(
    drawn: list[pd.DataFrame],
) -> None:
    for table in drawn:
        assert (table.groupby("patient")[["relapse", "subtype", "density", "true_risk"]].nunique() == 1).all(axis=None)
    pairs = pd.concat(drawn, keys=range(SEEDS)).reset_index(level=0).set_index(["level_0", "patient", "view"]).unstack()
    pairs = pairs.dropna()
    assert 0.93 < np.log(pairs["size"]).corr().loc["CC", "MLO"] < 0.97
    for name in ("shape", "margin"):
        assert 0.6 < (pairs[name]["CC"] == pairs[name]["MLO"]).mean() < 0.9


@pytest.mark.parametrize(
    ("first", "second", "tau"), [("relapse", "size", 0.23), ("relapse", "subtype", 0.24), ("shape", "margin", 0.37)]
)
def test_rank_correlations_are_the_published_ones(
    drawn: list[pd.DataFrame], first: str, second: str, tau: float
) -> None:
    found = [kendalltau(table[first], table[second]).statistic for table in drawn]
    assert np.mean(found) == pytest.approx(tau, abs=0.015)


def test_the_other_rank_correlations_are_near_none(drawn: list[pd.DataFrame]) -> None:
    for first, second in (("size", "subtype"), ("relapse", "density"), ("relapse", "shape"), ("relapse", "margin")):
        assert abs(np.mean([kendalltau(table[first], table[second]).statistic for table in drawn])) < 0.03


@pytest.mark.parametrize(
    ("name", "shares"), [("subtype", SUBTYPE), ("density", DENSITY), ("shape", SHAPE), ("margin", MARGIN)]
)
def test_levels_are_as_frequent_as_declared(drawn: list[pd.DataFrame], name: str, shares: tuple[float, ...]) -> None:
    found = pd.concat(drawn)[name].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(found, shares, atol=0.015)


def test_sizes_are_skewed_to_the_right_with_a_peak_near_10(drawn: list[pd.DataFrame]) -> None:
    size = pd.concat(drawn)["size"]
    assert size.between(5, 30).mean() > 0.85
    assert size.mean() > size.median()
    counts, edges = np.histogram(size, bins=np.arange(0, 60, 4))
    assert 8 <= edges[counts.argmax()] <= 12


def test_the_true_risk_reaches_an_auc_of_080(drawn: list[pd.DataFrame]) -> None:
    found = [roc_auc_score(table["relapse"], table["true_risk"]) for table in drawn]
    assert np.mean(found) == pytest.approx(0.80, abs=0.015)


def test_the_same_seed_gives_the_same_table() -> None:
    pd.testing.assert_frame_equal(simulate_radiomics(3), simulate_radiomics(3))
    assert not simulate_radiomics(3).equals(simulate_radiomics(4))


def test_the_declared_cohort_passes_the_gate_and_never_sees_the_true_risk(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["radiomics"], tables["radiomics"]
    assert cohort.simulated
    assert "simulated" in cohort.title
    check(table, cohort).require(source="radiomics")
    assert "true_risk" not in table.columns
    assert describe(cohort.source).startswith("simulation:radiomics")
    assert fingerprint(cohort.source, root=Path()).startswith("sha256:")


def test_a_simulation_cannot_be_declared_as_real(tmp_path: Path, root: Path) -> None:
    text = (root / "data" / "cohorts" / "radiomics.yaml").read_text()
    path = tmp_path / "radiomics.yaml"
    path.write_text(text.replace("simulated: true", "simulated: false"))
    with pytest.raises(DeclarationError, match="the source is a simulation: declare simulated: true"):
        read_cohort(path)
