"""The thresholds at which acting on a risk is looked at: multiples of how often the event comes."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.evaluation.metrics import Endpoint
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier

#: How many thresholds, evenly spaced over the range.
_POINTS = 11


def acting_thresholds(
    predictions: pd.DataFrame, endpoint: Endpoint, *, multiples: tuple[float, float]
) -> NDArray[np.float64]:
    """Thresholds from the first to the second of ``multiples`` of the event rate, at most 0.99.

    ``predictions`` are pooled; where the endpoint has a time the rate is the Kaplan-Meier estimate by the last horizon.
    """
    event = predictions["event"].to_numpy()
    if endpoint.horizons:
        curve = kaplan_meier(predictions["time"].to_numpy(), event)
        rate = 1 - float(curve(endpoint.horizons[-1].time))
    else:
        rate = float(event.mean())
    lower, upper = (min(rate * factor, 0.99) for factor in multiples)
    return np.linspace(lower, upper, _POINTS)
