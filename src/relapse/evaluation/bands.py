"""Pointwise 95% bands of curves: how far a curve could lie in other patients, point by point."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.evaluation.metrics import Counts, Horizon, resampled_patients
from relapse.evaluation.statistics.survival.horizon import time_dependent_auc

Array = NDArray[np.float64]

#: Resamples behind a band, its points, and the times of an AUC over time.
RESAMPLES, POINTS, TIMES = 300, 101, 16

_SEED = 20260713


def roc_band_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """Band of the ROC curve of ``score``: sensitivity at each share of false calls.

    Returns
    -------
    DataFrame
        ``fpr`` from 0 to 1, ``lower`` and ``upper`` of ``tpr``: percentiles over resampled patients.
    """
    hits, calls = _counted(predictions, _weights(predictions))
    false_calls = calls - hits
    grid = np.linspace(0, 1, POINTS)
    fpr, tpr = false_calls / false_calls[:, -1:], hits / hits[:, -1:]
    replicates = np.stack(
        [np.interp(grid, one, two) for one, two in zip(_from_zero(fpr), _from_zero(tpr), strict=True)]
    )
    lower, upper = np.quantile(replicates, [0.025, 0.975], axis=0)
    return pd.DataFrame({"fpr": grid, "lower": lower, "upper": upper})


def precision_recall_band_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """Band of the precision-recall curve of ``score``: precision where recall first reaches a value.

    Returns
    -------
    DataFrame
        ``recall`` above 0 up to 1, ``lower`` and ``upper`` of precision.
    """
    hits, calls = _counted(predictions, _weights(predictions))
    grid = np.linspace(0, 1, POINTS)[1:]
    recall = hits / hits[:, -1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = hits / calls
    # Rounding must not put the last point, recall 1, beyond the end.
    places = [np.searchsorted(one + 1e-12, grid, side="left") for one in recall]
    replicates = np.stack([one[place] for one, place in zip(precision, places, strict=True)])
    lower, upper = np.nanquantile(replicates, [0.025, 0.975], axis=0)
    return pd.DataFrame({"recall": grid, "lower": lower, "upper": upper})


def auc_over_time_frame(predictions: pd.DataFrame, *, horizon: Horizon) -> pd.DataFrame:
    """Cumulative/dynamic AUC of ``score`` at times up to a fifth beyond ``horizon``, with its band.

    Times start where the first tenth of the events has been seen, and end where fewer than a tenth of the patients is
    still followed: before and beyond, too few tell the curve.

    Returns
    -------
    DataFrame
        ``time`` (unit of the follow-up), ``auc``, ``lower``, ``upper`` (from the influence of each patient).
    """
    time, event = predictions["time"].to_numpy(dtype=np.float64), predictions["event"].to_numpy()
    start = float(np.quantile(time[event == 1], 0.1))
    end = min(1.2 * horizon.time, float(np.quantile(time, 0.9)))
    score, patient = predictions["score"].to_numpy(dtype=np.float64), predictions["patient"].to_numpy()
    records = []
    for moment in np.linspace(start, max(start, end), TIMES):
        found = time_dependent_auc(time, event, score, float(moment), clusters=patient)
        records.append((float(moment), found.value, found.lower, found.upper))
    return pd.DataFrame(records, columns=["time", "auc", "lower", "upper"])


def _weights(predictions: pd.DataFrame) -> Counts:
    return resampled_patients(predictions, resamples=RESAMPLES, seed=_SEED)


def _counted(predictions: pd.DataFrame, weights: Counts) -> tuple[Array, Array]:
    """Hits and calls (resamples, distinct scores) of those with at least each distinct score, from the highest down."""
    score = predictions["score"].to_numpy(dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(score[order][1:] != score[order][:-1], True))
    counts = weights[:, order].astype(np.float64)
    hits = np.cumsum(counts * (predictions["event"].to_numpy()[order] == 1), axis=1)[:, last]
    return hits, np.cumsum(counts, axis=1)[:, last]


def _from_zero(values: Array) -> Array:
    return np.concatenate([np.zeros((len(values), 1)), values], axis=1)
