"""Calibration of every risk column of a predictions table, as numbers with intervals."""

from dataclasses import dataclass

import pandas as pd

from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.evaluation.statistics.calibration.measures import Calibration, calibration_at_horizon, calibration_binary
from relapse.evaluation.statistics.results import Estimate


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """How well risks mean what they say.

    ``slope`` 1 is right (below 1: too extreme), ``in_the_large`` 0 is right (above 0: too low), ``observed_expected`` 1
    is right; ``ici`` is the mean distance of a risk from the smooth curve, ``e90`` its 90th percentile.
    """

    label: str
    slope: Estimate
    in_the_large: Estimate
    observed_expected: Estimate
    ici: float
    e90: float


def calibrate(table: pd.DataFrame, column: str, horizon: Horizon | None) -> Calibration:
    """Calibration of one risk column of a pooled table."""
    event, risk = table["event"].to_numpy(), table[column].to_numpy()
    if horizon is None:
        return calibration_binary(event, risk, clusters=table["patient"].to_numpy())
    return calibration_at_horizon(table["time"].to_numpy(), event, risk, horizon.time)


def calibration(table: pd.DataFrame, endpoint: Endpoint) -> dict[str, CalibrationSummary]:
    """Calibration of every risk column of a pooled table, by column."""
    horizons: dict[str, Horizon | None] = {horizon.column: horizon for horizon in endpoint.horizons}
    found = {}
    for column in endpoint.risk_columns:
        horizon = horizons.get(column)
        result = calibrate(table, column, horizon)
        found[column] = CalibrationSummary(
            label=f"at {horizon.label}" if horizon else "",
            slope=result.slope,
            in_the_large=result.in_the_large,
            observed_expected=result.observed_expected,
            ici=result.ici,
            e90=result.e90,
        )
    return found
