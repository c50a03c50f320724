"""The clinical reference as an equation that a reader can compute by hand."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relapse.candidates.base import SurvivalModel, step_values
from relapse.candidates.risk_model import Platt, RiskModel
from relapse.cohorts.schema import Cohort
from relapse.explanation.terms import coefficients, terms

if TYPE_CHECKING:
    from relapse.candidates.base import BinaryModel

#: Why there is no equation, in words.
BENT = (
    "No equation can be given: some values are bent or brought back within bounds before the model adds them up. The "
    "fitted model itself computes every risk."
)
STEPS = (
    "No equation can be given: the log-odds are turned into risks by a curve of steps (isotonic recalibration). The "
    "fitted model itself computes every risk."
)

MOVED = (
    "No equation can be given: the risks were recalibrated on patients who came later. The fitted model itself "
    "computes every risk."
)


@dataclass(frozen=True, slots=True)
class Summand:
    """``coefficient`` times (value less ``centre``): the value is a number, 0, 1, … of levels, or 1 for yes."""

    label: str
    step: str
    coefficient: float
    centre: float


@dataclass(frozen=True, slots=True)
class Baseline:
    """Share still free of the event at a horizon, of somebody whose sum is 0."""

    label: str
    survival: float


@dataclass(frozen=True, slots=True)
class Equation:
    """All that a risk is computed from.

    With the sum over ``summands`` as s, the risk by a horizon is 1 - S0 ** exp(s), with S0 of ``baselines``; without a
    time it is 1 / (1 + exp(-(``intercept`` + s))). ``note`` says why there is none, where there is none.
    """

    summands: tuple[Summand, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    intercept: float | None = None
    note: str = ""


def equation(fitted: RiskModel, cohort: Cohort) -> Equation:
    """The equation of an unpenalised model, recalibration included.

    A number is centred at its mean in training, so that S0 is that of a patient with the mean of every number and the
    first of all levels; it is Breslow's.
    """
    model, again = fitted.model, fitted.recalibration
    named, own = terms(model, cohort), coefficients(model)
    if named is None or own is None or not all(term.plain for term in named):
        return Equation(note=BENT)
    if again is not None and not isinstance(again, Platt):
        return Equation(note=STEPS)
    if fitted.shift is not None:
        return Equation(note=MOVED)
    slope = again.slope if again else 1.0
    summands = tuple(
        Summand(term.label, term.step, slope * float(beta) / term.scale, term.centre)
        for term, beta in zip(named, own, strict=True)
    )
    if isinstance(model, SurvivalModel):
        return Equation(summands, baselines=_baselines(model, cohort))
    return Equation(summands, intercept=(again.intercept if again else 0.0) + slope * _intercept(model))


def _baselines(model: SurvivalModel, cohort: Cohort) -> tuple[Baseline, ...]:
    if cohort.survival is None:
        raise TypeError(f"{cohort.name} has no time to event.")
    horizons = cohort.survival.horizons
    hazard = step_values(model.baseline_times_, model.baseline_hazard_, np.array([item.time for item in horizons]))
    return tuple(Baseline(item.label, float(np.exp(-total))) for item, total in zip(horizons, hazard, strict=True))


def _intercept(model: "BinaryModel") -> float:
    return float(model.pipeline_.named_steps["classify"].intercept_[0])
