"""Accuracy of risks at a horizon when follow-up is censored: time-dependent AUC and Brier score with IPCW.

Cases, controls and weights are those of :mod:`relapse.evaluation.statistics.survival.landmark`; the definitions are
those of R's ``riskRegression::Score``, standard errors included.
"""

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import (
    FloatArray,
    cluster_codes,
    numbers,
    positive_horizon,
    risks,
    sum_by,
)
from relapse.evaluation.statistics.normal import paired_z_test, wald
from relapse.evaluation.statistics.ranking.counting import placements
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier
from relapse.evaluation.statistics.survival.landmark import Landmark, landmark


def _auc(place: Landmark, score: FloatArray) -> tuple[float, FloatArray]:
    """AUC, and the influence of every row on it (n,)."""
    case, control, size = place.case, place.control, place.time.size
    cases, controls = float(place.weight[case].sum()), int(control.sum())
    if cases == 0 or controls == 0:
        return float("nan"), np.full(size, np.nan)
    # controls share one weight, which cancels: only cases are weighted
    beaten = np.zeros(size)
    beaten[case] = place.weight[case] * placements(score[case], score[control]) / controls / cases
    beaten_by = np.zeros(size)
    beaten_by[control] = placements(-score[control], -score[case], place.weight[case]) / controls / cases
    auc = float(beaten.sum())
    share = place.weight * case / cases
    own = beaten - auc * share + beaten_by - auc * control / controls
    return auc, own + place.censoring_share(beaten - auc * share, place.time)


def _brier(place: Landmark, risk: FloatArray) -> tuple[float, FloatArray]:
    """Brier score, and the influence of every row on it (n,)."""
    size = place.time.size
    if place.time.max() < place.horizon:
        return float("nan"), np.full(size, np.nan)
    losses = place.weight * (place.case - risk) ** 2 / size
    brier = float(losses.sum())
    # a control's G is looked up just after the horizon, a case's just before its relapse
    until = np.where(place.control, np.nextafter(place.horizon, np.inf), place.time)
    return brier, losses - brier / size + place.censoring_share(losses, until)


def _variance(influence: FloatArray, clusters: npt.ArrayLike | None) -> float:
    """Variance of an estimate from the influence of its rows, summed by cluster."""
    shares = sum_by(cluster_codes(clusters, influence.size), influence)
    return float(shares.var(ddof=1) * shares.size) if shares.size > 1 else float("nan")


def time_dependent_auc(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    score: npt.ArrayLike,
    horizon: float,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Cumulative/dynamic AUC at a horizon: the chance that a row that relapses by then scores above one that does not.

    Parameters
    ----------
    time, event, horizon
        See :func:`~relapse.evaluation.statistics.survival.landmark.landmark`.
    score : array (n,)
        Score, or risk at the horizon; higher means relapse is more likely. Equal scores count one half.
    clusters : array (n,), optional
        Patient of each row. Influence is summed by patient, so rows of one patient are not taken as independent.
    level : float
        Coverage of the interval, which is Wald's cut at 0 and 1.

    Returns
    -------
    Estimate
        With the standard error from the influence function, the estimation of the weights included. NaN where there
        is no case or no control at the horizon.

    Raises
    ------
    ValueError
        As :func:`~relapse.evaluation.statistics.survival.landmark.landmark`; or if a score is not finite.

    References
    ----------
    Blanche P, Dartigues JF, Jacqmin-Gadda H (2013). Estimating and comparing time-dependent areas under receiver
    operating characteristic curves for censored event times with competing risks. Statistics in Medicine 32.
    """
    place = landmark(time, event, horizon)
    auc, influence = _auc(place, numbers("score", score, place.time.size))
    return wald(auc, _variance(influence, clusters), level=level, bounds=(0.0, 1.0), method="IPCW")


def time_dependent_auc_test(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    horizon: float,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> PairedTest:
    """Test the AUCs at a horizon of two scores on the same rows; see :func:`time_dependent_auc`."""
    place = landmark(time, event, horizon)
    one = _auc(place, numbers("first", first, place.time.size))
    two = _auc(place, numbers("second", second, place.time.size))
    variance = _variance(one[1] - two[1], clusters)
    return paired_z_test(one[0], two[0], variance, level=level, method="IPCW AUC, paired")


def ipcw_brier(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    horizon: float,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Brier score at a horizon: mean squared distance of risk and relapse by then; 0 is perfect.

    Parameters
    ----------
    time, event, horizon
        See :func:`~relapse.evaluation.statistics.survival.landmark.landmark`.
    risk : array (n,)
        Probability of relapse by the horizon, in [0, 1].
    clusters : array (n,), optional
        Patient of each row; see :func:`time_dependent_auc`.
    level : float
        Coverage of the interval, which is Wald's cut at 0 and 1.

    Returns
    -------
    Estimate
        NaN where no row was followed up to the horizon.

    Raises
    ------
    ValueError
        As :func:`~relapse.evaluation.statistics.survival.landmark.landmark`; or if a risk lies outside [0, 1].

    References
    ----------
    Gerds TA, Schumacher M (2006). Consistent estimation of the expected Brier score in general survival models with
    right-censored event times. Biometrical Journal 48.
    """
    place = landmark(time, event, horizon)
    brier, influence = _brier(place, risks(risk, place.time.size))
    return wald(brier, _variance(influence, clusters), level=level, bounds=(0.0, 1.0), method="IPCW")


def ipcw_brier_test(
    time: npt.ArrayLike,
    event: npt.ArrayLike,
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    horizon: float,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> PairedTest:
    """Test the Brier scores at a horizon of two risks on the same rows; see :func:`ipcw_brier`."""
    place = landmark(time, event, horizon)
    one = _brier(place, risks(first, place.time.size, "first"))
    two = _brier(place, risks(second, place.time.size, "second"))
    variance = _variance(one[1] - two[1], clusters)
    return paired_z_test(one[0], two[0], variance, level=level, method="IPCW Brier, paired")


def null_brier(time: npt.ArrayLike, event: npt.ArrayLike, horizon: float) -> Estimate:
    """Brier score at a horizon of the Kaplan–Meier risk given to everyone; see :func:`ipcw_brier`."""
    curve = kaplan_meier(time, event)
    return ipcw_brier(time, event, np.full(np.size(time), 1 - float(curve(positive_horizon(horizon)))), horizon)


def prediction_accuracy_index(time: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike, horizon: float) -> float:
    """Index of prediction accuracy, 1 − Brier score over that of the Kaplan–Meier risk given to everyone.

    Returns
    -------
    float
        1 is perfect, 0 no better than one risk for everyone, negative worse than that; NaN where that scores 0.

    Raises
    ------
    ValueError
        As :func:`ipcw_brier`, whose arguments it takes.

    References
    ----------
    Kattan MW, Gerds TA (2018). The index of prediction accuracy: an intuitive measure useful for evaluating risk
    prediction models. Diagnostic and Prognostic Research 2.
    """
    reference = null_brier(time, event, horizon).value
    brier = ipcw_brier(time, event, risk, horizon).value
    return 1 - brier / reference if reference > 0 else float("nan")


def integrated_brier(time: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike, horizons: npt.ArrayLike) -> float:
    """Brier score averaged over a range of horizons, by the trapezoidal rule.

    Parameters
    ----------
    time, event : array (n,)
        See :func:`~relapse.evaluation.statistics.survival.landmark.landmark`.
    risk : array (n, k)
        Probability of relapse by each horizon.
    horizons : array (k,)
        At least two, strictly ascending, in the unit of ``time``.

    Raises
    ------
    ValueError
        As :func:`ipcw_brier`; or if horizons do not ascend or do not fit the risks.

    References
    ----------
    Graf E, Schmoor C, Sauerbrei W, Schumacher M (1999). Assessment and comparison of prognostic classification schemes
    for survival data. Statistics in Medicine 18.
    """
    points = numbers("horizons", horizons)
    table = np.asarray(risk, dtype=np.float64)
    if points.size < 2 or np.any(np.diff(points) <= 0):
        raise ValueError(f"horizons: {points.size} given; at least two, strictly ascending, are needed")
    if table.ndim != 2 or table.shape[1] != points.size:
        raise ValueError(f"risk: shape {table.shape}, but {points.size} horizons; one column a horizon is needed")
    scores = [ipcw_brier(time, event, table[:, column], float(at)).value for column, at in enumerate(points)]
    return float(np.trapezoid(scores, points) / (points[-1] - points[0]))
