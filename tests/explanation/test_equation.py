"""A reader with pencil and the page comes to the risks that the model gives."""

import math

import pandas as pd
import pytest

from relapse.candidates.risk_model import Isotonic, RiskModel
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.explanation.equation import BENT, STEPS, Equation, equation
from tests.explanation.conftest import Fitted

#: Where the patients stand in the tables.
PATIENTS = (0, 7, 100, -1)


def _sum(found: Equation, patient: pd.Series, cohort: Cohort) -> float:
    """What a reader adds up, from the names on the page."""
    by_label = {cohort.features[name].label or name: name for name in cohort.reference}
    total = 0.0
    for one in found.summands:
        name = by_label[one.label]
        feature = cohort.features[name]
        if not isinstance(feature, Categorical):
            value = float(patient[name])
        elif one.step.startswith("per level"):
            value = float(feature.names.index(patient[name]))
        else:
            value = float(patient[name] == one.step.split(" against ")[0])
        total += one.coefficient * (value - one.centre)
    return total


def test_a_survival_risk_computed_by_hand_is_the_model_s(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    cohort, table, model = cohorts["gbsg"], tables["gbsg"], fitted("gbsg", "reference")
    found = equation(model, cohort)
    assert cohort.survival is not None
    assert [item.label for item in found.baselines] == ["3 y", "5 y"]
    risks = model.predict_risk(table, [item.time for item in cohort.survival.horizons])
    for place in PATIENTS:
        total = _sum(found, table.iloc[place], cohort)
        by_hand = [1 - item.survival ** math.exp(total) for item in found.baselines]
        assert by_hand == pytest.approx(list(risks[place]), rel=1e-9)


@pytest.mark.parametrize("name", ["wpbc", "radiomics"])
def test_a_recalibrated_binary_risk_computed_by_hand_is_the_model_s(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted, name: str
) -> None:
    cohort, table, model = cohorts[name], tables[name], fitted(name, "reference")
    found = equation(model, cohort)
    assert found.intercept is not None
    risks = model.predict_risk(table)[:, 0]
    known = table[list(cohort.reference)].notna().all(axis=1).to_numpy()
    for place in PATIENTS:
        if known[place]:
            total = found.intercept + _sum(found, table.iloc[place], cohort)
            assert 1 / (1 + math.exp(-total)) == pytest.approx(risks[place], rel=1e-9)


def test_where_no_sum_gives_the_risk_no_equation_is_given(cohorts: dict[str, Cohort], fitted: Fitted) -> None:
    steps = RiskModel(fitted("wpbc", "reference").model, Isotonic((0.0, 1.0), (0.2, 0.4)))
    assert equation(steps, cohorts["wpbc"]) == Equation(note=STEPS)
    assert equation(fitted("gbsg", "linear"), cohorts["gbsg"]) == Equation(note=BENT)
    assert equation(fitted("gbsg", "forest"), cohorts["gbsg"]) == Equation(note=BENT)
