"""Recalibration of risks in new patients, fitted on some of them and applied to the others."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special

from relapse.evaluation.metrics import Endpoint
from relapse.evaluation.statistics.calibration.regression import cox, logistic
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier

Array = NDArray[np.float64]
How = Literal["in the large", "slope"]

#: From rows seen and their risks, and the risks of others, to the recalibrated risks of those others.
Fit = Callable[[pd.DataFrame, pd.Series, pd.Series], Array]

_EPSILON = 1e-9


def recalibrated(table: pd.DataFrame, endpoint: Endpoint, folds: NDArray[np.int_], how: How) -> pd.DataFrame:
    """Risks of a pooled table (n rows) recalibrated by cross-fitting; the ranking stays as it is.

    ``in the large`` moves all risks on the scale of the model (logit; complementary log-log for a time to an event) by
    one number, so that as many events are expected as are observed. ``slope`` also stretches or shrinks them: logistic
    regression on the logit, or Cox regression on the complementary log-log of the risk at each horizon.

    Parameters
    ----------
    folds
        (n,): each row is recalibrated by what was learnt from the rows of the other folds.

    References
    ----------
    Steyerberg EW (2019). Clinical prediction models, 2nd edition, chapter 20. van Houwelingen HC (2000). Validation,
    calibration, revision and combination of prognostic survival models. Statistics in Medicine 19.
    """
    found = table.copy()
    times = {horizon.column: horizon.time for horizon in endpoint.horizons}
    for fold in np.unique(folds):
        unseen = folds == fold
        for column in endpoint.risk_columns:
            fit = _at(times[column], how) if column in times else _timeless(how)
            found.loc[unseen, column] = fit(table[~unseen], table.loc[~unseen, column], table.loc[unseen, column])
    return found


def _timeless(how: How) -> Fit:
    def fit(seen: pd.DataFrame, risk: pd.Series, new: pd.Series) -> Array:
        line, event = special.logit(_inside(risk)), (seen["event"] == 1).to_numpy()
        ones = np.ones((len(line), 1))
        design = ones if how == "in the large" else np.column_stack([ones, line])
        offset = line if how == "in the large" else np.zeros_like(line)
        found = logistic(design, event, offset)
        if found is None:
            return np.asarray(new)
        beta, moved = found.coefficients, special.logit(_inside(new))
        return np.asarray(special.expit(beta[0] + (moved if how == "in the large" else beta[1] * moved)))

    return fit


def _at(horizon: float, how: How) -> Fit:
    def fit(seen: pd.DataFrame, risk: pd.Series, new: pd.Series) -> Array:
        line, moved = _log_log(risk), _log_log(new)
        time, event = seen["time"].to_numpy(dtype=float), (seen["event"] == 1).to_numpy()
        if how == "slope":
            found = cox(line[:, None], time, event)
            if found is None:
                return np.asarray(new)
            return _risk(found.log_cumulative_hazard(moved[:, None], horizon)[0])
        observed = 1 - float(kaplan_meier(time, event)(horizon))
        if not 0 < observed < 1:
            return np.asarray(new)
        shift = optimize.brentq(lambda step: float(_risk(line + step).mean()) - observed, -20.0, 20.0)
        return _risk(moved + shift)

    return fit


def _inside(risk: pd.Series) -> Array:
    return np.clip(risk.to_numpy(dtype=float), _EPSILON, 1 - _EPSILON)


def _log_log(risk: pd.Series) -> Array:
    return np.asarray(np.log(-np.log1p(-_inside(risk))))


def _risk(log_hazard: Array) -> Array:
    return np.asarray(-np.expm1(-np.exp(np.minimum(log_hazard, 50.0))))
