"""Groups of patients by predicted risk, and whether their hazards differ."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.evaluation.statistics.survival.log_rank import LogRank, log_rank

#: Groups of patients by predicted risk, lowest first.
RISK_GROUPS = ("lower third", "middle third", "upper third")


def risk_groups(predictions: pd.DataFrame, *, horizon: Horizon) -> npt.NDArray[np.intp]:
    """The third of predicted risk at ``horizon`` that each row (n,) stands in: places in :data:`RISK_GROUPS`."""
    risk = predictions[horizon.column].to_numpy(dtype=np.float64)
    return np.searchsorted(np.quantile(risk, [1 / 3, 2 / 3]), risk, side="left")


def groups_apart(predictions: pd.DataFrame, endpoint: Endpoint) -> LogRank | None:
    """The log-rank test of the thirds of the risk at the last horizon.

    None where there is no horizon or no second group, and where patients have several rows, which the test takes to be
    independent.
    """
    if not endpoint.horizons or not predictions["patient"].is_unique:
        return None
    groups = risk_groups(predictions, horizon=endpoint.horizons[-1])
    return log_rank(predictions["time"], predictions["event"], groups)
