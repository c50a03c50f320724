"""How long patients were followed: the median by the reverse Kaplan-Meier curve, with its interval."""

from typing import TYPE_CHECKING

import numpy as np

from relapse.evaluation.statistics.results import Estimate
from relapse.evaluation.statistics.survival.lifelines_quietly import lifelines_quietly

if TYPE_CHECKING:
    import pandas as pd


def median_followed(table: "pd.DataFrame") -> Estimate:
    """The time by which half of the patients are no longer followed, were it not for the event.

    An event ends the view of the follow-up as a censoring does that of the event: the curve is that of being
    censored. At one time events come before censorings. Patients count once. Where an end is not reached it is NaN.

    References
    ----------
    Schemper M, Smith TL (1996). A note on quantifying follow-up in studies of failure time. Control Clin Trials 17.
    """
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times

    people = table.groupby("patient", observed=True).first()
    moments, place = np.unique(people["time"].to_numpy(dtype=np.float64), return_inverse=True)
    lost = people["event"].to_numpy() == 0
    with lifelines_quietly():
        # On the scale of ranks an event stands half a rank before a censoring at the same time.
        curve = KaplanMeierFitter().fit(place - np.where(lost, 0.0, 0.5) + 1, lost)
        ends = median_survival_times(curve.confidence_interval_).to_numpy(dtype=np.float64).ravel()
    found = (float(curve.median_survival_time_), *map(float, ends))
    value, lower, upper = (float(moments[int(rank) - 1]) if np.isfinite(rank) else float("nan") for rank in found)
    return Estimate(value, lower, upper, method="reverse Kaplan-Meier")
