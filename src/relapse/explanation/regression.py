"""The clinical reference and penalised models as regressions: what clinicians ask of a Cox or logistic model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relapse.candidates.catalogue import REFERENCE
from relapse.cohorts.schema import Cohort
from relapse.explanation.ratios import Ratios, penalised_ratios, reference_ratios
from relapse.explanation.terms import Model

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Regression:
    """What is written of a cohort's regressions.

    ``reference`` is None where the reference is no candidate; ``penalised`` are the others that have coefficients.
    """

    reference: Ratios | None
    penalised: Mapping[str, Ratios]


def regression(models: "Mapping[str, Model]", table: "pd.DataFrame", cohort: Cohort) -> Regression:
    """Read the candidates' models, fitted to all rows of ``table``, by name."""
    found = {name: penalised_ratios(model, cohort) for name, model in models.items() if name != REFERENCE}
    return Regression(
        reference=reference_ratios(models[REFERENCE], table, cohort) if REFERENCE in models else None,
        penalised={name: ratios for name, ratios in found.items() if ratios},
    )
