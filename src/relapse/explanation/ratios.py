"""Hazard and odds ratios: of the clinical reference with intervals and p, of a penalised model without."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.arrays import cluster_codes
from relapse.evaluation.statistics.calibration.regression import cox, logistic
from relapse.evaluation.statistics.survival.lifelines_quietly import lifelines_quietly
from relapse.explanation.terms import Array, Model, Term, coefficients, matrix, terms

if TYPE_CHECKING:
    import pandas as pd
    from lifelines import CoxPHFitter

#: Why there is no interval, in words.
NO_MAXIMUM = (
    "Ratios cannot be given: the columns determine each other, or one of them tells the event apart without fail, so "
    "that the likelihood has no single finite maximum."
)
COMPONENTS = "Ratios cannot be given: the model's columns are what a wide block was reduced to, not features."
PENALISED = (
    "No intervals and no p: the penalty draws ratios towards 1 on purpose and chooses which features stay, and the "
    "usual formulas hold for neither."
)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How the hazard or the odds change with one step of a term; no interval and no p are NaN."""

    label: str
    step: str
    ratio: float
    lower: float = float("nan")
    upper: float = float("nan")
    p: float = float("nan")


@dataclass(frozen=True, slots=True)
class Ratios:
    """The table of one model; ``method`` says how it was made, ``note`` what it lacks and why."""

    rows: tuple[Ratio, ...]
    method: str
    note: str = ""


def reference_ratios(model: Model, table: "pd.DataFrame", cohort: Cohort) -> Ratios:
    """Ratios of an unpenalised model, fitted anew to all rows of ``table`` as ``model`` encodes and fills them.

    Cox's regression with Efron's ties is lifelines'. Where patients have several rows, errors are the sandwich by
    patient of :mod:`relapse.evaluation.statistics.calibration.regression`: lifelines' leaves the ties out.

    References
    ----------
    Lin DY, Wei LJ (1989). The robust inference for the Cox proportional hazards model. JASA 84.
    Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. Biometrika 73.
    """
    named = terms(model, cohort)
    if named is None:
        return Ratios((), "", COMPONENTS)
    columns, repeated = matrix(model, table), not table["patient"].is_unique
    codes = cluster_codes(table["patient"], len(table)) if repeated else None
    fitted = _cox(columns, table, codes) if cohort.survival else _logistic(columns, table, codes)
    method = "Cox regression, Efron's ties" if cohort.survival else "Logistic regression"
    method += ", standard errors robust by patient" if repeated else ""
    if fitted is None:
        return Ratios((), method, NO_MAXIMUM)
    return Ratios(tuple(_ratio(*one) for one in zip(named, *fitted, strict=True)), method)


def penalised_ratios(model: Model, cohort: Cohort) -> Ratios | None:
    """Ratios of a fitted model as its penalty left them; None of a model that has no coefficients."""
    found, named = coefficients(model), terms(model, cohort)
    if found is None:
        return None
    method = f"{'Cox' if cohort.survival else 'Logistic'} regression with an elastic-net penalty"
    if named is None:
        return Ratios((), method, COMPONENTS)
    rows = (Ratio(one.label, one.step, _exp(beta / one.scale)) for one, beta in zip(named, found, strict=True))
    return Ratios(tuple(rows), method, PENALISED)


def cox_fit(columns: Array, table: "pd.DataFrame") -> "CoxPHFitter | None":
    """An unpenalised Cox regression of lifelines, Efron's ties, on columns (n, p); None without a finite maximum."""
    from lifelines import CoxPHFitter

    if cox(columns, table["time"].to_numpy(dtype=np.float64), table["event"].to_numpy() == 1) is None:
        return None
    with lifelines_quietly():
        return CoxPHFitter().fit(beside_outcome(columns, table), "time", "event")


def beside_outcome(columns: Array, table: "pd.DataFrame") -> "pd.DataFrame":
    """Columns (n, p), named by their place, with ``time`` and ``event``: what lifelines fits and looks at again."""
    import pandas as pd

    named = pd.DataFrame(columns, columns=[str(place) for place in range(columns.shape[1])])
    return named.assign(time=table["time"].to_numpy(dtype=np.float64), event=table["event"].to_numpy() == 1)


def _cox(columns: Array, table: "pd.DataFrame", codes: NDArray[np.intp] | None) -> tuple[Array, Array] | None:
    if codes is not None:
        robust = cox(columns, table["time"].to_numpy(dtype=np.float64), table["event"].to_numpy() == 1, codes=codes)
        return None if robust is None else (robust.fit.coefficients, np.sqrt(np.diag(robust.fit.covariance)))
    fitted = cox_fit(columns, table)
    return None if fitted is None else (fitted.params_.to_numpy(), fitted.standard_errors_.to_numpy())


def _logistic(columns: Array, table: "pd.DataFrame", codes: NDArray[np.intp] | None) -> tuple[Array, Array] | None:
    design = np.column_stack([np.ones(len(table)), columns])
    fit = logistic(design, table["event"].to_numpy() == 1, np.zeros(len(table)), codes=codes)
    return None if fit is None else (fit.coefficients[1:], np.sqrt(np.diag(fit.covariance))[1:])


def _ratio(term: Term, beta: float, error: float) -> Ratio:
    reach = stats.norm.ppf(0.975) * error
    value, lower, upper = (_exp((beta + side) / term.scale) for side in (0.0, -reach, reach))
    return Ratio(term.label, term.step, value, lower, upper, p=float(2 * stats.norm.sf(abs(beta / error))))


def _exp(value: float) -> float:
    """A ratio; infinite where a unit is so large that none can be written."""
    with np.errstate(over="ignore"):
        return float(np.exp(value))
