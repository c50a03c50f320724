"""The clinical reference and penalised models as regressions: what clinicians ask of a Cox or logistic model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relapse.candidates.catalogue import REFERENCE
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.explanation.equation import Equation, equation
from relapse.explanation.hazards import Proportionality, proportional_hazards
from relapse.explanation.ratios import Ratios, penalised_ratios, reference_ratios

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Regression:
    """What is written of a cohort's regressions.

    ``reference`` and ``equation`` are None where the reference is no candidate; ``hazards`` are the tests of its terms
    against a hazard ratio that changes with time, empty where there is none; ``penalised`` are the others that have
    coefficients.
    """

    reference: Ratios | None
    equation: Equation | None
    hazards: tuple[Proportionality, ...]
    penalised: Mapping[str, Ratios]


def regression(
    models: Mapping[str, RiskModel], table: "pd.DataFrame", cohort: Cohort
) -> "tuple[Regression, pd.DataFrame | None]":
    """Read the candidates' models, fitted to all rows of ``table``, by name.

    Returns
    -------
    Regression, frame
        The frame of the picture of hazards over time, None where they were not tested.
    """
    found = {name: penalised_ratios(one.model, cohort) for name, one in models.items() if name != REFERENCE}
    penalised = {name: ratios for name, ratios in found.items() if ratios}
    reference = models.get(REFERENCE)
    if reference is None:
        return Regression(None, None, (), penalised), None
    tested = proportional_hazards(reference.model, table, cohort)
    hazards, frame = tested or ((), None)
    ratios = reference_ratios(reference.model, table, cohort)
    return Regression(ratios, equation(reference, cohort), hazards, penalised), frame
