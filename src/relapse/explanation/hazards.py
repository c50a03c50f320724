"""Are the hazards of a Cox model proportional? A test of each term, and how its coefficient changes with time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.calibration.regression import restricted_cubic_spline
from relapse.evaluation.statistics.multiplicity import holm
from relapse.evaluation.statistics.survival.lifelines_quietly import lifelines_quietly
from relapse.explanation.ratios import Ratio, beside_outcome, cox_fit
from relapse.explanation.terms import Array, Model, Term, matrix, terms

if TYPE_CHECKING:
    import pandas as pd

#: Events behind a point of the picture, at least: no point tells of one patient.
FEWEST = 10

#: Points of a term's panel at most, points of its curve, knots of the spline and where they lie among event times.
_POINTS, _GRID, _KNOTS = 25, 60, (0.05, 0.275, 0.5, 0.725, 0.95)

#: With fewer events than this no curve is drawn.
_ENOUGH = 20


@dataclass(frozen=True, slots=True)
class Proportionality:
    """The test of one term: chi-square with one degree of freedom, p, and p after Holm over the terms."""

    label: str
    step: str
    statistic: float
    p: float
    p_holm: float


def proportional_hazards(
    model: Model, table: "pd.DataFrame", cohort: Cohort
) -> "tuple[tuple[Proportionality, ...], pd.DataFrame] | None":
    """Grambsch and Therneau's test of each term of a Cox model fitted to all rows, and the frame of its picture.

    Time is transformed by the Kaplan-Meier curve. None where the model cannot be fitted, and where patients have
    several rows: the test takes events to be independent.

    Returns
    -------
    tests, frame
        The frame has the columns ``term``, ``kind`` ("mean" of events that follow each other, or "curve"), ``time``,
        ``coefficient`` (log hazard ratio of one step), ``lower`` and ``upper`` (pointwise 95%, of the curve).

    References
    ----------
    Grambsch PM, Therneau TM (1994). Proportional hazards tests and diagnostics based on weighted residuals.
    Biometrika 81.
    """
    import pandas as pd
    from lifelines.statistics import proportional_hazard_test

    named = terms(model, cohort)
    if cohort.survival is None or named is None or not table["patient"].is_unique:
        return None
    rows = beside_outcome(matrix(model, table), table).reset_index(drop=True)
    fitted = cox_fit(rows.iloc[:, : len(named)].to_numpy(), rows)
    if fitted is None:
        return None
    with lifelines_quietly():
        found = proportional_hazard_test(fitted, rows, time_transform="km").summary
        residuals = fitted.compute_residuals(rows, "scaled_schoenfeld")
    found = found.loc[[str(place) for place in range(len(named))]]
    adjusted = holm(found["p"].to_numpy())
    tests = tuple(
        Proportionality(term.label, term.step, float(statistic), float(p), float(after))
        for term, statistic, p, after in zip(named, found["test_statistic"], found["p"], adjusted, strict=True)
    )
    time = rows.loc[residuals.index, "time"].to_numpy()
    order = np.argsort(time, kind="stable")
    # Residuals have the mean 0: with the coefficient they say what it was at each event.
    values = (residuals.to_numpy() + fitted.params_.to_numpy())[order]
    parts = [_panel(term, time[order], values[:, place] / term.scale) for place, term in enumerate(named)]
    return tests, pd.concat(parts, ignore_index=True)


def panel_title(term: "Term | Ratio") -> str:
    """What a panel of the picture is called: the term and its step."""
    return f"{term.label}, {term.step}"


def _panel(term: Term, time: Array, values: Array) -> "pd.DataFrame":
    import pandas as pd

    groups = np.array_split(np.arange(len(time)), max(1, min(_POINTS, len(time) // FEWEST)))
    none = np.full(len(groups), np.nan)
    means = [(time[group].mean(), values[group].mean()) for group in groups]
    found = pd.DataFrame(means, columns=["time", "coefficient"]).assign(kind="mean", lower=none, upper=none)
    if len(time) >= _ENOUGH and len(np.unique(time)) >= _ENOUGH:
        found = pd.concat([found, _curve(time, values)], ignore_index=True)
    return found.assign(term=panel_title(term))[["term", "kind", "time", "coefficient", "lower", "upper"]]


def _curve(time: Array, values: Array) -> "pd.DataFrame":
    """A least-squares spline of residuals over time, from the 2nd to the 98th hundredth of the events."""
    import pandas as pd

    knots = np.quantile(time, _KNOTS)
    first, last = (float(np.quantile(time, share)) for share in (0.02, 0.98))
    grid = np.linspace(first, last, _GRID)
    design, at = (np.column_stack([np.ones(len(x)), restricted_cubic_spline(x, knots)]) for x in (time, grid))
    weights, *_ = np.linalg.lstsq(design, values, rcond=None)
    rest = values - design @ weights
    spread = rest @ rest / max(len(time) - design.shape[1], 1)
    error = np.sqrt(np.einsum("mp,pq,mq->m", at, np.linalg.pinv(design.T @ design) * spread, at))
    line = at @ weights
    reach = 1.96 * error
    return pd.DataFrame(
        {"kind": "curve", "time": grid, "coefficient": line, "lower": line - reach, "upper": line + reach}
    )
