"""How sure a model is: how far its risk moves when a part of its patients is left out of the training."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

Array = NDArray[np.float64]

#: Nominal coverage of an interval.
LEVEL = 0.95

#: Fewest refits that an interval is made of.
FEWEST = 3

_EDGE = 1e-9


def interval(
    risk: Array, refits: Array, *, scale: Literal["log-odds", "log-hazard"], events: float, patients: float
) -> tuple[Array, Array]:
    """Delete-a-group jackknife interval around risks.

    With K refits, each tuned and fitted without another K-th of the patients, the variance of an estimate is
    (K - 1) / K times the sum of squared deviations of the refits from their mean; the interval is Student's with K - 1
    degrees of freedom. Kott PS (2001), J Off Stat 17:521-526. It counts what other patients, other hyperparameters and
    other seeds would have changed; for models that are not smooth in their data, such as trees, it is rough.

    The parts that are left out hold the same share of events, so the refits cannot show how uncertain that share is:
    its own variance is added, 1 / events + 1 / others for log-odds, 1 / events for a log-hazard.

    Parameters
    ----------
    risk
        Risks (n, h) of the model fitted on all patients, which the interval lies around.
    refits
        Risks (K, n, h).
    scale
        Where deviations are taken: log-odds, or log cumulative hazard.
    events, patients
        Patients with the event, and all of them.

    Returns
    -------
    lower, upper
        Each (n, h), within [0, 1].
    """
    count = len(refits)
    centre, values = (_out(np.clip(part, _EDGE, 1 - _EDGE), scale) for part in (risk, refits))
    share = 1 / max(events, 1) + (1 / max(patients - events, 1) if scale == "log-odds" else 0.0)
    error = np.sqrt((count - 1) / count * ((values - values.mean(axis=0)) ** 2).sum(axis=0) + share)
    half = stdtrit(count - 1, 0.5 + LEVEL / 2) * error
    return _back(centre - half, scale), _back(centre + half, scale)


def _out(risk: Array, scale: str) -> Array:
    return np.asarray(logit(risk) if scale == "log-odds" else np.log(-np.log1p(-risk)))


def _back(value: Array, scale: str) -> Array:
    return np.asarray(expit(value) if scale == "log-odds" else -np.expm1(-np.exp(np.minimum(value, 700.0))))
