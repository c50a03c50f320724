"""The metrics of a predictions table, each with a 95% interval from resampled patients."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.evaluation.statistics.decisions.classification import (
    average_precision,
    brier_score,
    classification_metrics,
    scaled_brier_score,
)
from relapse.evaluation.statistics.intervals import auc_replicates, blocks, concordance_replicates, patient_weights
from relapse.evaluation.statistics.ranking.binary import roc_auc
from relapse.evaluation.statistics.ranking.concordance import concordance
from relapse.evaluation.statistics.replicates import ipcw_auc, ipcw_brier, ipcw_ipa
from relapse.evaluation.statistics.results import Estimate
from relapse.predictions import check_pairing

Array = NDArray[np.float64]
Counts = NDArray[np.int16]
Statistic = Callable[[pd.DataFrame, Counts], Array]
Replicates = dict[str, Array]

#: Counts that a metric is made of at once.
_CELLS = 2**22


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: ``key`` in files, ``label`` for people, which direction is better, and whether it leads a table."""

    key: str
    label: str
    higher_is_better: bool = True
    headline: bool = True


@dataclass(frozen=True, slots=True)
class Horizon:
    """A horizon of a predictions table: its risk ``column``, its ``time``, and the ``label`` people read."""

    column: str
    time: float
    label: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What evaluation has to know of an endpoint and of the predictions made for it.

    ``horizons`` are those at which risks are given. ``scored_times`` marks a time to an event for which there are only
    scores. ``risks`` and ``threshold`` say whether predictions for an endpoint without time hold those columns.
    """

    horizons: tuple[Horizon, ...] = ()
    scored_times: bool = False
    risks: bool = True
    threshold: bool = True

    @property
    def timed(self) -> bool:
        """Whether the endpoint is a time to an event."""
        return bool(self.horizons) or self.scored_times

    @property
    def risk_columns(self) -> list[str]:
        """Risk columns of the predictions table."""
        if self.timed:
            return [horizon.column for horizon in self.horizons]
        return ["risk"] if self.risks else []

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics reported, the one that ranks candidates first."""
        return tuple(_registry(self))

    @property
    def primary(self) -> Metric:
        """The metric that ranks candidates: ROC AUC or Harrell's C."""
        return self.metrics[0]


def pooled(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a table row: score, risks and threshold averaged over the repeats."""
    if predictions["repeat"].nunique() == 1:
        return predictions.sort_values("row", ignore_index=True)
    averaged = [name for name in predictions.columns if name in ("score", "threshold") or name.startswith("risk")]
    kept = {name: "first" for name in predictions.columns if name not in (*averaged, "row", "repeat", "fold")}
    grouped = predictions.groupby("row", sort=True).agg(kept | {name: "mean" for name in averaged})
    return grouped.reset_index()


def resampled_patients(table: pd.DataFrame, *, resamples: int, seed: int) -> Counts:
    """How often each row of a pooled table stands in each resample: (resamples, n)."""
    patients, event = table["patient"].to_numpy(), table["event"].to_numpy()
    return np.asarray(patient_weights(patients, event, n_resamples=resamples, seed=seed))


def replicates(
    predictions: pd.DataFrame, endpoint: Endpoint, weights: Counts, *, wanted: Collection[Metric] | None = None
) -> Replicates:
    """All metrics of a pooled predictions table, or those ``wanted``, on its rows and in each resample.

    Parameters
    ----------
    predictions
        As :func:`pooled` gives it, n rows.
    endpoint
        Says which metrics there are.
    weights
        (resamples, n), the same for every candidate, so that their intervals are of the same resamples.

    Returns
    -------
    dict
        Key of a metric to (1 + resamples,): first its value on the rows themselves; NaN where it does not exist.
    """
    data = np.ones((1, len(predictions)), dtype=np.int16)
    return {
        metric.key: np.concatenate([statistic(predictions, data), statistic(predictions, weights)])
        for metric, statistic in _registry(endpoint).items()
        if wanted is None or metric in wanted
    }


def evaluate(
    predictions: pd.DataFrame, endpoint: Endpoint, weights: Counts, *, wanted: Collection[Metric] | None = None
) -> dict[str, Estimate]:
    """All metrics of a pooled predictions table, or those ``wanted``, with intervals; see :func:`replicates`."""
    return estimates(replicates(predictions, endpoint, weights, wanted=wanted))


def estimates(found: Replicates) -> dict[str, Estimate]:
    """Each metric with the interval of its replicates."""
    return {key: _estimate(values, "bootstrap by patient") for key, values in found.items()}


def metric_differences(
    first: pd.DataFrame,
    second: pd.DataFrame,
    endpoint: Endpoint,
    weights: Counts,
    *,
    wanted: Collection[Metric] | None = None,
) -> dict[str, Estimate]:
    """All metrics, or those ``wanted``, of the first pooled table less those of the second, from the same resamples.

    Parameters
    ----------
    first, second
        As :func:`pooled` gives them, n rows, the same in both.
    endpoint
        Says which metrics there are; of a Brier score a negative difference is the better one.
    weights
        (resamples, n).

    Raises
    ------
    PredictionsError
        The tables do not speak of the same rows.
    """
    # pooling several repeats leaves no column for them
    check_pairing({"first": first.assign(repeat=0), "second": second.assign(repeat=0)})
    one, two = (replicates(table, endpoint, weights, wanted=wanted) for table in (first, second))
    return {key: _estimate(one[key] - two[key], "bootstrap by patient, paired") for key in one}


def _estimate(values: Array, method: str) -> Estimate:
    known = values[1:][np.isfinite(values[1:])]
    lower, upper = np.quantile(known, [0.025, 0.975]) if len(known) > 1 else (np.nan, np.nan)
    spread = float(known.std(ddof=1)) if len(known) > 1 else None
    return Estimate(float(values[0]), float(lower), float(upper), spread, method)


def primary_replicates(predictions: pd.DataFrame, endpoint: Endpoint, weights: Counts) -> Array:
    """The ranking metric of a pooled table in each resample: (resamples,), NaN where it does not exist."""
    return next(iter(_registry(endpoint).values()))(predictions, weights)


def primary_by_fold(predictions: pd.DataFrame, endpoint: Endpoint) -> list[float]:
    """The ranking metric in each outer fold of each repeat, for the mean over folds beside the pooled value."""
    values = []
    for _, part in predictions.groupby(["repeat", "fold"], sort=True):
        event, score = part["event"].to_numpy(), part["score"].to_numpy()
        if endpoint.timed:
            values.append(concordance(part["time"].to_numpy(), event, score))
        else:
            values.append(roc_auc(event, score))
    return values


def headline_by_fold(predictions: pd.DataFrame, endpoint: Endpoint) -> dict[str, tuple[float, ...]]:
    """The headline metrics but the ranking one, by key, in each outer fold of each repeat; NaN where there is none."""
    found: dict[str, list[float]] = {
        metric.key: [] for metric in endpoint.metrics if metric.headline and metric != endpoint.primary
    }
    for _, part in predictions.groupby(["repeat", "fold"], sort=True):
        once = np.ones((1, len(part)), dtype=np.int16)
        for metric, statistic in _registry(endpoint).items():
            if metric.key in found:
                found[metric.key].append(float(statistic(part, once)[0]))
    return {key: tuple(values) for key, values in found.items()}


def _registry(endpoint: Endpoint) -> dict[Metric, Statistic]:
    if not endpoint.timed:
        found = dict(_RANKED)
        if endpoint.risks and endpoint.threshold:
            found |= _DECIDED
        return found | _RISKED if endpoint.risks else found
    timed: dict[Metric, Statistic] = {Metric("harrell_c", "Harrell's C"): _harrell}
    for horizon in endpoint.horizons:
        suffix = horizon.column.removeprefix("risk")
        timed[Metric(f"auc{suffix}", f"AUC at {horizon.label}")] = _at(ipcw_auc, horizon)
    for horizon in endpoint.horizons:
        suffix = horizon.column.removeprefix("risk")
        timed[Metric(f"brier{suffix}", f"Brier score at {horizon.label}", False)] = _at(ipcw_brier, horizon)
    for horizon in endpoint.horizons:
        suffix = horizon.column.removeprefix("risk")
        label = f"Index of prediction accuracy at {horizon.label}"
        timed[Metric(f"ipa{suffix}", label, headline=False)] = _at(ipcw_ipa, horizon)
    return timed


def _at(statistic: Callable[..., Array], horizon: Horizon) -> Statistic:
    def at_horizon(table: pd.DataFrame, weights: Counts) -> Array:
        time, event = table["time"].to_numpy(), table["event"].to_numpy()
        return statistic(time, event, table[horizon.column].to_numpy(), horizon=horizon.time, weights=weights)

    return at_horizon


def _by_blocks(statistic: Statistic) -> Statistic:
    """The same, in blocks of resamples: made of all at once it would take some times the memory of their counts."""

    def replicates_of(table: pd.DataFrame, weights: Counts) -> Array:
        parts = [statistic(table, weights[rows]) for rows in blocks(*weights.shape, cells=_CELLS)]
        return np.concatenate(parts)

    return replicates_of


def _harrell(table: pd.DataFrame, weights: Counts) -> Array:
    time, event, score = (table[name].to_numpy() for name in ("time", "event", "score"))
    return concordance_replicates(time, event, score, weights)


def _auc(table: pd.DataFrame, weights: Counts) -> Array:
    return auc_replicates(table["event"].to_numpy(), table["score"].to_numpy(), weights)


def _average_precision(table: pd.DataFrame, weights: Counts) -> Array:
    event, score = table["event"].to_numpy(), table["score"].to_numpy()
    return np.asarray(average_precision(event, score, weights=weights))


def _brier(table: pd.DataFrame, weights: Counts) -> Array:
    return np.asarray(brier_score(table["event"].to_numpy(), table["risk"].to_numpy(), weights))


def _scaled_brier(table: pd.DataFrame, weights: Counts) -> Array:
    return np.asarray(scaled_brier_score(table["event"].to_numpy(), table["risk"].to_numpy(), weights))


def _decided(name: str) -> Statistic:
    def at_threshold(table: pd.DataFrame, weights: Counts) -> Array:
        positive = (table["risk"] >= table["threshold"]).to_numpy()
        found = getattr(classification_metrics(table["event"].to_numpy(), positive, weights=weights), name)
        return np.asarray(found, dtype=np.float64)

    return _by_blocks(at_threshold)


_RANKED: dict[Metric, Statistic] = {
    Metric("auc", "ROC AUC"): _auc,
    Metric("average_precision", "Average precision"): _by_blocks(_average_precision),
}
_DECIDED: dict[Metric, Statistic] = {
    Metric("sensitivity", "Sensitivity (recall)"): _decided("sensitivity"),
    Metric("specificity", "Specificity"): _decided("specificity"),
    Metric("precision", "Precision (PPV)"): _decided("ppv"),
    Metric("f1", "F1"): _decided("f1"),
    Metric("accuracy", "Accuracy"): _decided("accuracy"),
    Metric("npv", "Negative predictive value", headline=False): _decided("npv"),
    Metric("balanced_accuracy", "Balanced accuracy", headline=False): _decided("balanced_accuracy"),
    Metric("mcc", "Matthews correlation", headline=False): _decided("mcc"),
}
_RISKED: dict[Metric, Statistic] = {
    Metric("brier", "Brier score", higher_is_better=False): _by_blocks(_brier),
    Metric("scaled_brier", "Scaled Brier score", headline=False): _by_blocks(_scaled_brier),
}
