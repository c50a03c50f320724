"""The tables that figures are drawn from, each a function of one candidate's predictions table.

Nothing is drawn here: see :mod:`relapse.figures.evaluation.catalogue`.
"""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from relapse.evaluation.bands import auc_over_time_frame, precision_recall_band_frame, roc_band_frame
from relapse.evaluation.groups import RISK_GROUPS, risk_groups
from relapse.evaluation.metrics import Endpoint, Horizon, pooled
from relapse.evaluation.statistics.arrays import FloatArray, both_classes, numbers
from relapse.evaluation.statistics.decisions.decision_curve import net_benefit, net_benefit_at_horizon
from relapse.evaluation.statistics.normal import quantile, wilson
from relapse.evaluation.statistics.survival.kaplan_meier import StepFunction, kaplan_meier

#: Rows that a calibration group should have, so that its observed share means something.
ROWS_PER_GROUP = 35

#: Width of a bar of the histogram of risks.
BIN_WIDTH = 0.05

#: Risks from which one might act, in steps of a hundredth.
THRESHOLDS = np.arange(1, 100) / 100

_Z = quantile(0.95)


def curves(predictions: pd.DataFrame, endpoint: Endpoint) -> dict[str, pd.DataFrame]:
    """All frames of one candidate, by figure name.

    Parameters
    ----------
    predictions
        As :mod:`relapse.predictions` has them; repeats are pooled here.
    endpoint
        Says which figures there are.

    Returns
    -------
    dict
        ``roc`` and ``precision_recall``, each with its ``…_band``, ``calibration``, ``decision_curve`` and ``risks``
        where the endpoint has no time; else ``calibration_<horizon>``, ``decision_curve_<horizon>`` and
        ``risks_<horizon>`` for each horizon (such as ``calibration_5y``), ``auc_over_time`` and, at the last horizon,
        ``risk_groups``.
    """
    table = pooled(predictions)
    if not endpoint.timed:
        ranked = {
            "roc": roc_curve_frame(table),
            "roc_band": roc_band_frame(table),
            "precision_recall": precision_recall_frame(table),
            "precision_recall_band": precision_recall_band_frame(table),
        }
        if not endpoint.risks:
            return ranked
        return {
            **ranked,
            "calibration": calibration_frame(table),
            "decision_curve": decision_curve_frame(table),
            "risks": risk_histogram_frame(table),
        }
    frames = {}
    for horizon in endpoint.horizons:
        suffix = horizon.column.removeprefix("risk")
        frames[f"calibration{suffix}"] = calibration_frame(table, horizon=horizon)
        frames[f"decision_curve{suffix}"] = decision_curve_frame(table, horizon=horizon)
        frames[f"risks{suffix}"] = risk_histogram_frame(table, column=horizon.column)
    if not endpoint.horizons:
        return {}
    last = endpoint.horizons[-1]
    frames["auc_over_time"] = auc_over_time_frame(table, horizon=last)
    frames["risk_groups"] = risk_group_frame(table, horizon=last)
    return frames


def roc_curve_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """ROC curve of ``score``: a point for each distinct score, and the origin, where no row is called positive.

    Returns
    -------
    DataFrame
        ``fpr`` (1 - specificity), ``tpr`` (sensitivity), ``threshold`` (rows scoring at least this are positive; NaN at
        the origin). The area under it by trapezoids is the ROC AUC.

    Raises
    ------
    ValueError
        One class only, or a score that is not finite.
    """
    hits, calls, thresholds, events = _called(predictions)
    false_calls = calls - hits
    return pd.DataFrame(
        {
            "fpr": np.concatenate([[0.0], false_calls / false_calls[-1]]),
            "tpr": np.concatenate([[0.0], hits / events]),
            "threshold": np.concatenate([[np.nan], thresholds]),
        }
    )


def precision_recall_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision-recall curve of ``score``: a point for each distinct score, from the highest score down.

    Returns
    -------
    DataFrame
        ``recall`` (sensitivity), ``precision`` (positive predictive value), ``threshold``. As a step function the area
        under it is the average precision.

    Raises
    ------
    ValueError
        One class only, or a score that is not finite.
    """
    hits, calls, thresholds, events = _called(predictions)
    return pd.DataFrame({"recall": hits / events, "precision": hits / calls, "threshold": thresholds})


def calibration_frame(
    predictions: pd.DataFrame, *, horizon: Horizon | None = None, groups: int | None = None
) -> pd.DataFrame:
    """Predicted against observed risk in groups of rising predicted risk, about equally many rows each.

    Parameters
    ----------
    horizon
        Of a survival endpoint; None for a binary one.
    groups
        How many; by default as many as leave :data:`ROWS_PER_GROUP` rows each, from 2 to 10. Rows of equal risk stay
        together, so that there may be fewer.

    Returns
    -------
    DataFrame
        ``group`` (1 = lowest risk), ``predicted`` (mean), ``observed``, ``lower``, ``upper`` (95% interval), ``rows``.
        Binary: the share with the event, Wilson's interval. Survival: 1 - Kaplan-Meier at the horizon, interval by
        Greenwood's variance on the log(-log) scale; NaN where nobody of the group was followed up to the horizon.

    Notes
    -----
    Where a patient has several rows, the intervals are as wide as if there were only as many rows as patients.
    """
    column = horizon.column if horizon else "risk"
    risk = predictions[column].to_numpy(dtype=np.float64)
    count = groups or min(10, max(2, len(risk) // ROWS_PER_GROUP))
    edges = np.unique(np.quantile(risk, np.arange(1, count) / count))
    codes = np.searchsorted(edges, risk, side="left")
    records = []
    for number, code in enumerate(np.unique(codes), start=1):
        part = predictions[codes == code]
        observed, lower, upper = _observed(part, horizon)
        records.append((number, float(part[column].mean()), observed, lower, upper, len(part)))
    return pd.DataFrame(records, columns=["group", "predicted", "observed", "lower", "upper", "rows"])


def risk_group_frame(predictions: pd.DataFrame, *, horizon: Horizon) -> pd.DataFrame:
    """Kaplan-Meier curves of the thirds of predicted risk at ``horizon``, drawn a fifth beyond it.

    The curves end there because beyond it few are left, and their tails mislead.

    Returns
    -------
    DataFrame
        ``group`` (of :data:`RISK_GROUPS`), ``time`` (unit of the follow-up: every time at which the group's curve
        steps, and fifths of the horizon), ``survival`` with 95% interval ``lower`` and ``upper`` (Greenwood,
        log(-log)), ``at_risk`` (rows still followed just before ``time``), ``rows`` (of the group).
    """
    codes = risk_groups(predictions, horizon=horizon)
    ticks = horizon.time * np.arange(7) / 5
    parts = []
    for code, name in enumerate(RISK_GROUPS):
        part = predictions[codes == code]
        if part.empty:
            continue
        time = part["time"].to_numpy(dtype=np.float64)
        curve = kaplan_meier(time, part["event"])
        at = np.unique(np.concatenate([ticks, curve.times[curve.times <= ticks[-1]]]))
        at = at[at <= time.max()]
        lower, upper = _survival_interval(curve, at, inflation=_inflation(part))
        parts.append(
            pd.DataFrame(
                {
                    "group": name,
                    "time": at,
                    "survival": curve(at),
                    "lower": lower,
                    "upper": upper,
                    "at_risk": len(time) - np.searchsorted(np.sort(time), at, side="left"),
                    "rows": len(part),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def decision_curve_frame(predictions: pd.DataFrame, *, horizon: Horizon | None = None) -> pd.DataFrame:
    """Net benefit of acting on a risk, by the risk from which one acts.

    Columns ``threshold``, ``net_benefit``, ``treat_all`` and ``treat_none``. Thresholds end at the largest risk given:
    beyond it nobody is called.
    """
    column = horizon.column if horizon else "risk"
    risk, event = predictions[column].to_numpy(), predictions["event"].to_numpy()
    thresholds = THRESHOLDS[risk.max() >= THRESHOLDS]
    if not len(thresholds):
        thresholds = THRESHOLDS[:1]
    curve = (
        net_benefit_at_horizon(predictions["time"].to_numpy(), event, risk, horizon.time, thresholds)
        if horizon
        else net_benefit(event, risk, thresholds)
    )
    return pd.DataFrame(
        {
            "threshold": curve.thresholds,
            "net_benefit": curve.net_benefit,
            "treat_all": curve.treat_all,
            "treat_none": curve.treat_none,
        }
    )


def risk_histogram_frame(predictions: pd.DataFrame, *, column: str = "risk") -> pd.DataFrame:
    """How many rows were given which risk: ``risk`` (middle of a bar :data:`BIN_WIDTH` wide) and ``rows``."""
    bars = round(1 / BIN_WIDTH)
    edges = np.linspace(0, 1, bars + 1)
    rows, _ = np.histogram(predictions[column], bins=edges)
    return pd.DataFrame({"risk": np.round((edges[1:] + edges[:-1]) / 2, 6), "rows": rows})


def _called(predictions: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray, int]:
    """Hits, calls and score at each distinct score, highest first, and the number of events."""
    outcome = both_classes(predictions["event"])
    scores = numbers("score", predictions["score"], outcome.size)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits = np.cumsum(outcome[order], dtype=np.float64)[last]
    return hits, (last + 1).astype(np.float64), ordered[last], int(outcome.sum())


def _observed(part: pd.DataFrame, horizon: Horizon | None) -> tuple[float, float, float]:
    """Observed share with the event in a group, with its interval."""
    if horizon is None:
        share = float(part["event"].mean())
        return share, *wilson(share, part["patient"].nunique())
    time = part["time"].to_numpy(dtype=np.float64)
    curve = kaplan_meier(time, part["event"])
    survival = float(curve(horizon.time))
    followed = int(np.count_nonzero(time >= horizon.time))
    if survival > 0 and not followed:
        return math.nan, math.nan, math.nan
    if survival == 1:
        # No event, so no variance; a point without an interval would look certain.
        return 0.0, *wilson(0.0, followed / _inflation(part))
    lower, upper = _survival_interval(curve, horizon.time, inflation=_inflation(part))
    return 1 - survival, 1 - float(upper), 1 - float(lower)


def _inflation(part: pd.DataFrame) -> float:
    return len(part) / int(part["patient"].nunique())


def _survival_interval(curve: StepFunction, time: npt.ArrayLike, *, inflation: float) -> tuple[FloatArray, FloatArray]:
    """95% interval of a survival curve at times; 1 before the first event, NaN where the curve has fallen to 0.

    Kalbfleisch JD, Prentice RL (2002). The statistical analysis of failure time data, 2nd ed., section 1.4.
    """
    survival, variance = curve(time), curve.greenwood(time) * inflation
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = _Z * np.sqrt(variance) / np.abs(np.log(survival))
        lower, upper = (
            np.where(survival == 1, 1.0, np.where(survival > 0, survival ** np.exp(sign * reach), np.nan))
            for sign in (1, -1)
        )
    return lower, upper
