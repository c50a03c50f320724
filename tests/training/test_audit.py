"""Each planted leak is detected: on data whose truth is known, the naive protocol reports more than the honest one."""

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.catalogue import family
from relapse.cohorts.declared.features import Numeric
from relapse.cohorts.schema import Cohort
from relapse.cohorts.simulation import simulate_radiomics
from relapse.cohorts.table import canonical, typed
from relapse.figures.audit import optimism_figure
from relapse.machinery import Machinery
from relapse.params import AuditParams
from relapse.training.audit import Audit, audit, measure
from relapse.training.protocols import HONEST, NAIVE, SELECTED, Protocol

MACHINE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")
PARAMS = AuditParams(candidates=("xgboost",), folds=5, repeats=1, inner_folds=2, draws=4)
TABLES = 3

BY_NAME = {item.name: item for item in NAIVE}


@pytest.fixture(scope="module")
def simulated(cohorts: dict[str, Cohort]) -> list[pd.DataFrame]:
    """Simulated tables of several seeds, so that no single draw decides."""
    cohort = cohorts["radiomics"]
    raw = [simulate_radiomics(seed).assign(row=np.arange(1, 271)) for seed in range(TABLES)]
    return [typed(canonical(table, cohort), cohort) for table in raw]


def _mean(tables: list[pd.DataFrame], cohort: Cohort, protocol: Protocol, candidate: str = "xgboost") -> float:
    return float(np.mean([measure(table, cohort, candidate, protocol, PARAMS, 7, 0) for table in tables]))


@pytest.fixture(scope="module")
def honest(simulated: list[pd.DataFrame], cohorts: dict[str, Cohort]) -> float:
    """The honest AUC on the simulated tables."""
    return _mean(simulated, cohorts["radiomics"], HONEST)


def test_the_honest_protocol_stays_below_the_true_risk(honest: float) -> None:
    assert 0.55 < honest < 0.80


@pytest.mark.parametrize(("name", "margin"), [("rows", 0.05), ("smote", 0.12), ("rows_smote", 0.12), ("tuning", 0.02)])
def test_a_planted_leak_is_detected(
    simulated: list[pd.DataFrame], cohorts: dict[str, Cohort], honest: float, name: str, margin: float
) -> None:
    assert _mean(simulated, cohorts["radiomics"], BY_NAME[name]) > honest + margin


@pytest.mark.parametrize(("name", "margin"), [("stopping", 0.02), ("rows_smote", 0.1)])
def test_a_leak_planted_for_a_network_is_detected(
    simulated: list[pd.DataFrame], cohorts: dict[str, Cohort], name: str, margin: float
) -> None:
    fixed = PARAMS.model_copy(update={"draws": 1})
    honest, naive = (
        np.mean([measure(table, cohorts["radiomics"], "cnn1d", item, fixed, 7, 0) for table in simulated])
        for item in (HONEST, BY_NAME[name])
    )
    assert honest < 0.8
    assert naive > honest + margin


def test_selection_on_all_rows_finds_a_signal_in_pure_noise() -> None:
    rng = np.random.default_rng(5)
    noise = {f"noise{number}": Numeric(type="continuous", range=(-9, 9)) for number in range(60)}
    cohort = Cohort(
        name="noise",
        title="Pure noise",
        source={"csv": "x"},
        licence="none",
        citation="none",
        endpoint={"kind": "binary", "event": "event"},
        features=noise,
        reference=("noise0",),
    )
    table = pd.DataFrame(rng.normal(size=(120, 60)), columns=list(noise)).assign(
        row=np.arange(1, 121), patient=[str(n) for n in range(120)], site="", event=np.arange(120) % 3 == 0
    )
    table["event"] = table["event"].astype(int)
    inside = _mean([table], cohort, SELECTED, "linear")
    before = _mean([table], cohort, BY_NAME["selection"], "linear")
    assert inside < 0.62
    assert before > inside + 0.1


@pytest.fixture(scope="module")
def found(simulated: list[pd.DataFrame], cohorts: dict[str, Cohort]) -> Audit:
    """A small audit of one simulated table."""
    small = PARAMS.model_copy(update={"candidates": ("linear", "catboost"), "draws": 1, "folds": 3})
    return audit(simulated[0], cohorts["radiomics"], params=small, seed=3, machinery=MACHINE)


def test_every_applicable_protocol_has_a_row_for_each_candidate(found: Audit) -> None:
    assert found.simulated
    assert list(found.optimism["protocol"].unique()) == ["rows", "smote", "rows_smote", "tuning"]
    assert (found.optimism.groupby("protocol")["candidate"].nunique() == 2).all()
    assert found.optimism.groupby("candidate")["honest"].nunique().eq(1).all()
    np.testing.assert_allclose(found.optimism["optimism"], found.optimism["naive"] - found.optimism["honest"])
    reasons = {item["name"]: item["not_applicable"] for item in found.protocols}
    assert reasons["selection"] == "5 predictors leave nothing to select from"


def test_what_does_not_apply_says_why(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    reasons = {
        name: {
            item.name: item.obstacle(tables[name], cohorts[name], [family("xgboost").head(cohorts[name])])
            for item in NAIVE
        }
        for name in ("gbsg", "wpbc")
    }
    assert "every patient has one row" in str(reasons["gbsg"]["rows"])
    assert "binary endpoints only" in str(reasons["gbsg"]["smote"])
    assert reasons["gbsg"]["tuning"] is None
    assert reasons["wpbc"]["smote"] is None
    assert reasons["wpbc"]["selection"] is None
    untouched = cohorts["wpbc"].model_copy(update={"imbalance": "none"})
    heads = [family(name).head(untouched) for name in ("xgboost", "cnn1d")]
    assert "asks for no synthetic rows" in str(BY_NAME["smote"].obstacle(tables["wpbc"], untouched, heads))
    assert "none of the candidates audited stops early" in str(reasons["wpbc"]["stopping"])
    assert BY_NAME["stopping"].obstacle(tables["wpbc"], untouched, heads) is None


def test_survival_is_audited_by_concordance(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    small = PARAMS.model_copy(update={"candidates": ("linear",), "draws": 2})
    found = audit(tables["gbsg"], cohorts["gbsg"], params=small, seed=3, machinery=MACHINE)
    assert found.metric == "Harrell's C"
    assert found.optimism["honest"].between(0.6, 0.75).all()
    assert (found.optimism["optimism"] >= 0).all()


def test_the_same_seed_gives_the_same_audit_with_two_workers(
    simulated: list[pd.DataFrame], cohorts: dict[str, Cohort], found: Audit
) -> None:
    small = PARAMS.model_copy(update={"candidates": ("linear", "catboost"), "draws": 1, "folds": 3})
    two = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="fork")
    again = audit(simulated[0], cohorts["radiomics"], params=small, seed=3, machinery=two)
    pd.testing.assert_frame_equal(again.optimism, found.optimism, check_exact=True)


def test_the_figure_says_what_it_shows(found: Audit) -> None:
    figure = optimism_figure(found.optimism, found.protocols, metric=found.metric, title="Mine (simulated)")
    assert "Rows split, not patients, Elastic net" in str(figure.get_label())
    assert len(figure.axes) == 4
    assert figure.get_suptitle() == "Mine (simulated)"


def test_the_figure_of_no_protocol_says_so(found: Audit) -> None:
    figure = optimism_figure(found.optimism[:0], found.protocols, metric=found.metric, title="Mine")
    assert "No naive protocol applies" in figure.axes[0].texts[0].get_text()
