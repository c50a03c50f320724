"""Small fitted models of the real cohorts, made once, and what explains them."""

from collections.abc import Callable

import pandas as pd
import pytest

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort
from relapse.explanation.background import Background, typical_patients
from tests.bundle.making import small_model

Fitted = Callable[[str, str], RiskModel]


@pytest.fixture(scope="session")
def fitted(cohorts: dict[str, Cohort], _tables: dict[str, pd.DataFrame]) -> Fitted:
    """A small model by cohort and candidate, fitted once."""
    made: dict[tuple[str, str], RiskModel] = {}

    def of(cohort: str, candidate: str) -> RiskModel:
        if (cohort, candidate) not in made:
            made[cohort, candidate] = small_model(cohorts[cohort], _tables[cohort], candidate)
        return made[cohort, candidate]

    return of


@pytest.fixture(scope="session")
def backgrounds(cohorts: dict[str, Cohort], _tables: dict[str, pd.DataFrame]) -> dict[str, Background]:
    """Typical patients of each cohort."""
    return {name: typical_patients(table, cohorts[name], size=6) for name, table in _tables.items()}
