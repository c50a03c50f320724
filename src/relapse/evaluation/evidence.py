"""Evidence: all that a set of predictions tables says about its candidates, in types that go to JSON and back."""

from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ConfigDict, TypeAdapter

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import Sized, counts
from relapse.evaluation.calibration import CalibrationSummary, calibration
from relapse.evaluation.checks import findings
from relapse.evaluation.groups import groups_apart
from relapse.evaluation.metrics import (
    Endpoint,
    Horizon,
    estimates,
    headline_by_fold,
    pooled,
    primary_by_fold,
    replicates,
    resampled_patients,
)
from relapse.evaluation.selection import Selection, correct_selection
from relapse.evaluation.statistics.decisions.agreement import mcnemar, mcnemar_clustered
from relapse.evaluation.statistics.multiplicity import holm
from relapse.evaluation.statistics.ranking.binary import delong_test
from relapse.evaluation.statistics.ranking.concordance import kang_test
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.evaluation.statistics.survival.horizon import time_dependent_auc_test
from relapse.evaluation.statistics.survival.log_rank import LogRank
from relapse.evaluation.subgroups import SubgroupEvidence, by_subgroup
from relapse.ground.files import write_text
from relapse.ground.finding import Finding
from relapse.predictions import check_pairing


@dataclass(frozen=True, slots=True)
class CandidateEvidence:
    """One candidate: pooled out-of-fold metrics, the ranking metric of each outer fold, calibration by risk column.

    ``subgroups`` has one entry a level of each subgroup column of the predictions table; ``headline_by_fold`` are the
    other headline metrics of each outer fold, by key. ``risk_groups`` is the log-rank test of the thirds of the risk at
    the last horizon; None where there is no time, and where patients have several rows, which it takes as independent.
    """

    name: str
    metrics: dict[str, Estimate]
    primary_by_fold: tuple[float, ...]
    calibration: dict[str, CalibrationSummary] = field(default_factory=dict)
    subgroups: tuple[SubgroupEvidence, ...] = ()
    headline_by_fold: dict[str, tuple[float, ...]] = field(default_factory=dict)
    risk_groups: LogRank | None = None

    @property
    def mean_over_folds(self) -> float:
        """The mean of the ranking metric over the outer folds."""
        return float(np.mean(self.primary_by_fold))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired test of two candidates: the ``metric`` compared, the raw test, and p adjusted (Holm) over its pairs."""

    metric: str
    first: str
    second: str
    test: PairedTest
    p_holm: float

    def turned(self) -> "Comparison":
        """The same comparison with the candidates the other way round."""
        test = self.test
        turned = replace(
            test,
            difference=-test.difference,
            lower=-test.upper,
            upper=-test.lower,
            # A z changes its sign; a chi-square and an exact test have none.
            statistic=-test.statistic if test.statistic is not None and self.metric != "accuracy" else test.statistic,
        )
        return Comparison(self.metric, self.second, self.first, turned, self.p_holm)


@dataclass(frozen=True, slots=True)
class Evidence(Sized):
    """All results for one cohort; candidates stand in the order of ``params.yaml``.

    ``selection`` corrects the best candidate's ranking metric for its having been chosen; None where there is one only.
    ``findings`` are what :mod:`relapse.evaluation.checks` found in the predictions. ``put_forward`` is the candidate
    that the promotion policy chose; None where no policy was asked.
    ``events`` are rows with the event; ``patients_with_event`` is None in evidence from before they were counted.
    """

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")

    cohort: str
    endpoint: Endpoint
    rows: int
    patients: int
    events: int
    resamples: int
    candidates: tuple[CandidateEvidence, ...]
    comparisons: tuple[Comparison, ...]
    selection: Selection | None = None
    findings: tuple[Finding, ...] = ()
    put_forward: str | None = None
    patients_with_event: int | None = None

    @property
    def primary(self) -> str:
        """Key of the metric that ranks candidates: ROC AUC or Harrell's C."""
        return self.endpoint.primary.key

    @property
    def primary_label(self) -> str:
        """Name of the ranking metric for people."""
        return self.endpoint.primary.label

    def paired(self, first: str, second: str) -> Comparison:
        """The comparison of the ranking metric, as ``first`` minus ``second``."""
        for item in self.comparisons:
            if item.metric == self.primary and {item.first, item.second} == {first, second}:
                return item if item.first == first else item.turned()
        raise KeyError(f"{first} and {second} were not compared.")

    def candidate(self, name: str) -> CandidateEvidence:
        """The evidence on one candidate."""
        return next(item for item in self.candidates if item.name == name)

    @property
    def best(self) -> CandidateEvidence:
        """The candidate with the largest ranking metric; of equals the one declared first."""
        return max(self.candidates, key=lambda item: item.metrics[self.primary].value)

    @property
    def shown(self) -> CandidateEvidence:
        """The candidate that a figure shows where it can show one only: the one put forward, else the best."""
        return self.candidate(self.put_forward) if self.put_forward else self.best

    def headline(self) -> dict[str, dict[str, float]]:
        """The plain values by candidate, and the interval of the ranking metric, for ``dvc metrics``."""
        return {item.name: self._plain(item) for item in self.candidates}

    def _plain(self, item: CandidateEvidence) -> dict[str, float]:
        found = {key: round(estimate.value, 6) for key, estimate in item.metrics.items()}
        ranking = item.metrics[self.primary]
        ends = {f"{self.primary}_lower": ranking.lower, f"{self.primary}_upper": ranking.upper}
        return found | {key: round(value, 6) for key, value in ends.items() if value == value}


def endpoint_of(cohort: Cohort) -> Endpoint:
    """What evaluation has to know of a declared endpoint."""
    if cohort.survival is None:
        return Endpoint()
    return Endpoint(tuple(Horizon(item.column, item.time, item.label) for item in cohort.survival.horizons))


_ADAPTER = TypeAdapter(Evidence)


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Write evidence as JSON; a value that could not be computed is the constant NaN."""
    write_text(path, _ADAPTER.dump_json(evidence, indent=2).decode() + "\n")


def read_evidence(path: Path) -> Evidence:
    """Read what :func:`write_evidence` wrote."""
    return _ADAPTER.validate_json(path.read_bytes())


def gather(tables: dict[str, pd.DataFrame], endpoint: Endpoint, *, cohort: str, resamples: int, seed: int) -> Evidence:
    """Evaluate and compare candidates from their predictions tables.

    Parameters
    ----------
    tables
        Candidate name to predictions table, all of the same rows.
    endpoint
        Which metrics and horizons.
    resamples, seed
        Of the bootstrap over patients.

    Raises
    ------
    PredictionsError
        The tables do not speak of the same rows.
    """
    check_pairing(tables)
    flat = {name: pooled(table) for name, table in tables.items()}
    first = next(iter(flat.values()))
    found = counts(first)
    weights = resampled_patients(first, resamples=resamples, seed=seed)
    measured = {name: replicates(table, endpoint, weights) for name, table in flat.items()}
    candidates = tuple(
        CandidateEvidence(
            name,
            estimates(measured[name]),
            tuple(primary_by_fold(tables[name], endpoint)),
            calibration(table, endpoint),
            tuple(by_subgroup(table, endpoint, resamples=resamples, seed=seed)),
            headline_by_fold(tables[name], endpoint),
            groups_apart(table, endpoint),
        )
        for name, table in flat.items()
    )
    return Evidence(
        cohort=cohort,
        endpoint=endpoint,
        rows=len(first),
        patients=found.patients,
        events=found.rows_with_event,
        patients_with_event=found.with_event,
        resamples=resamples,
        candidates=candidates,
        comparisons=tuple(_comparisons(flat, endpoint)),
        selection=correct_selection(flat, measured, endpoint, weights),
        findings=findings(flat, endpoint, {item.name: item.metrics[endpoint.primary.key] for item in candidates}),
    )


def compare(first: pd.DataFrame, second: pd.DataFrame, endpoint: Endpoint) -> PairedTest:
    """The paired test of the ranking metric of two pooled tables: DeLong's, or Kang's for Harrell's C."""
    event, patients = first["event"].to_numpy(), first["patient"].to_numpy()
    scores = first["score"].to_numpy(), second["score"].to_numpy()
    if endpoint.timed:
        return kang_test(first["time"].to_numpy(), event, *scores, clusters=patients)
    return delong_test(event, *scores, clusters=patients)


def _comparisons(flat: dict[str, pd.DataFrame], endpoint: Endpoint) -> list[Comparison]:
    pairs = list(combinations(flat, 2))
    families = {endpoint.primary.key: [compare(flat[a], flat[b], endpoint) for a, b in pairs]}
    for horizon in endpoint.horizons:
        key = "auc" + horizon.column.removeprefix("risk")
        families[key] = [compare_at_horizon(flat[a], flat[b], horizon) for a, b in pairs]
    if not endpoint.timed and endpoint.risks and endpoint.threshold:
        families["accuracy"] = [_decisions(flat[a], flat[b]) for a, b in pairs]
    found = []
    for metric, tests in families.items():
        adjusted = holm(np.array([test.p for test in tests]))
        found += [
            Comparison(metric, a, b, test, float(p)) for (a, b), test, p in zip(pairs, tests, adjusted, strict=True)
        ]
    return found


def compare_at_horizon(first: pd.DataFrame, second: pd.DataFrame, horizon: Horizon) -> PairedTest:
    """The paired test of the AUC at a horizon of two pooled tables."""
    time, event = first["time"].to_numpy(), first["event"].to_numpy()
    risks = first[horizon.column].to_numpy(), second[horizon.column].to_numpy()
    return time_dependent_auc_test(time, event, *risks, horizon.time, clusters=first["patient"].to_numpy())


def _decisions(first: pd.DataFrame, second: pd.DataFrame) -> PairedTest:
    """McNemar's exact test of the calls, or its clustered form where a patient has several rows."""
    patients, right = first["patient"], (_correct(first), _correct(second))
    if patients.is_unique:
        return mcnemar(*right, method="exact")
    return mcnemar_clustered(*right, patients.to_numpy())


def _correct(table: pd.DataFrame) -> np.ndarray:
    called = (table["risk"] >= table["threshold"]).to_numpy()
    return np.asarray(called == (table["event"] == 1).to_numpy())
