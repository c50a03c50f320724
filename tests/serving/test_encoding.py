import numpy as np
import pytest

from relapse.bundle.reference import positions
from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.risk_model import RiskModel
from relapse.explanation.background import typical_patients
from relapse.explanation.shapley import explainer
from relapse.serving.encoding import quick, quickly_explained
from tests.bundle.making import PAIRS, small_model
from tests.candidates.test_width import REDUCED, SMALL
from tests.wide import wide_cohort, wide_table


@pytest.mark.parametrize(("name", "candidate"), PAIRS)
def test_quick_encoding_gives_what_the_fitted_transformers_give(cohorts, tables, name, candidate):
    cohort, table = cohorts[name], tables[name]
    model = small_model(cohort, table, candidate)
    part = table.head(60).copy()
    # Missing values of every kind of feature, one each row.
    for at, feature in enumerate(cohort.predictors):
        part.loc[part.index[at], feature] = np.nan
    times = [item.time for item in cohort.survival.horizons] if cohort.survival else None
    found, values = quick(model, cohort), positions(part, cohort)
    np.testing.assert_allclose(found.predict_risk(values, times), model.predict_risk(part, times), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.predict_score(values), model.predict_score(part), rtol=1e-9, atol=1e-9)
    assert model.model is not found.model
    explained = explainer(model, typical_patients(table, cohort, size=4), cohort)
    expected, quickly = explained(part.head(3)), quickly_explained(explained, cohort)(values[:3])
    np.testing.assert_allclose(quickly.values, expected.values, rtol=0, atol=1e-9)
    np.testing.assert_allclose(quickly.output, expected.output, rtol=0, atol=1e-9)


@pytest.mark.parametrize("harmonise", ["none", "combat"])
@pytest.mark.parametrize("method", [*REDUCED, "none"])
@pytest.mark.parametrize("survival", [True, False])
def test_a_reduced_block_is_quickly_encoded_as_well(survival, method, harmonise):
    cohort = wide_cohort(survival=survival, harmonise=harmonise)
    table = wide_table(cohort)
    params = SMALL["linear"][survival] | REDUCED.get(method, {})
    fitted = family("linear").head(cohort).model(cohort, params, 1).fit(table, outcome(table, cohort))
    model = RiskModel(fitted)
    # The service knows no site.
    part = table.head(20).drop(columns="site")
    part.loc[part.index[0], ["texture_0", "texture_5", "age"]] = np.nan
    found, values = quick(model, cohort), positions(part, cohort)
    np.testing.assert_allclose(found.predict_score(values), model.predict_score(part), rtol=1e-9, atol=1e-9)
    explained = explainer(model, typical_patients(table, cohort, size=4), cohort)
    expected, quickly = explained(part.head(3)), quickly_explained(explained, cohort)(values[:3])
    np.testing.assert_allclose(quickly.values, expected.values, rtol=0, atol=1e-9)
