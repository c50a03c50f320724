"""The contract that every candidate in the catalogue keeps, for each head it has; a new one is found by itself."""

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.base import clone

from relapse.candidates.base import BinaryModel, SurvivalModel, outcome
from relapse.candidates.catalogue import MODULES, family
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import DeclarationError

CASES = [(name, cohort) for name in MODULES if not family(name).sees for cohort in ("gbsg", "wpbc")]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(case))
def case(request: pytest.FixtureRequest, cohorts: dict[str, Cohort], _tables: dict[str, pd.DataFrame]):
    """Cohort, table, target, the unfitted model with drawn hyperparameters, and the same fitted on part of the rows."""
    name, cohort_name = request.param
    cohort, table = cohorts[cohort_name], _tables[cohort_name]
    head = family(name).head(cohort)
    if head is None:
        pytest.skip(f"{name} has no head for {cohort.endpoint.kind}")
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3)).ask()
    params = head.space(trial) if head.space else {}
    target = outcome(table, cohort)
    model = head.build(cohort, params, 7)
    return cohort, table, target, model, clone(model).fit(table[:150], target[:150])


def test_its_module_is_named_as_the_catalogue_names_it() -> None:
    for name in MODULES:
        assert family(name).name == name
        assert family(name).title
        assert family(name).description


def test_an_unknown_candidate_is_refused_with_what_there_is() -> None:
    with pytest.raises(DeclarationError, match=r"candidates: 'wizard' is unknown. There are: reference, linear"):
        family("wizard")


def test_it_is_a_scikit_learn_estimator_and_fit_leaves_its_parameters_alone(case) -> None:
    cohort, table, target, model, _ = case
    assert isinstance(model, SurvivalModel if cohort.survival else BinaryModel)
    before = {key: str(value) for key, value in model.get_params().items()}
    assert model.fit(table[:150], target[:150]) is model
    assert {key: str(value) for key, value in model.get_params().items()} == before


def test_scores_are_finite_and_risks_are_probabilities_that_rise_with_time(case) -> None:
    cohort, table, _, _, fitted = case
    score = fitted.predict_score(table[150:])
    assert score.shape == (len(table) - 150,)
    assert np.isfinite(score).all()
    times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
    risk = fitted.predict_risk(table[150:], times)
    assert risk.shape == (len(table) - 150, len(cohort.endpoint.risk_columns))
    assert ((risk >= 0) & (risk <= 1)).all()
    assert (np.diff(risk, axis=1) >= 0).all()


def test_a_higher_score_means_a_higher_risk(case) -> None:
    cohort, table, _, _, fitted = case
    score = fitted.predict_score(table)
    times = [cohort.survival.horizons[-1].time] if cohort.survival else None
    risk = fitted.predict_risk(table, times)[:, 0]
    order = np.argsort(score, kind="stable")
    assert (np.diff(risk[order]) >= -1e-12).all()


def test_it_learns_something(case) -> None:
    cohort, table, target, _, fitted = case
    event = target["event"] if cohort.survival else target == 1
    score = fitted.predict_score(table[:150])
    assert score[event[:150]].mean() > score[~event[:150]].mean()


def test_the_same_seed_gives_the_same_predictions_and_rows_do_not_see_each_other(case) -> None:
    _, table, target, model, fitted = case
    again = clone(model).fit(table[:150], target[:150])
    np.testing.assert_array_equal(again.predict_score(table), fitted.predict_score(table))
    shuffled = table.sample(frac=1, random_state=1)
    np.testing.assert_allclose(
        fitted.predict_score(shuffled), fitted.predict_score(table)[table.index.get_indexer(shuffled.index)], rtol=1e-9
    )
    np.testing.assert_allclose(fitted.predict_score(table[:1]), fitted.predict_score(table)[:1], rtol=1e-9)


def test_missing_values_of_new_patients_are_imputed(case) -> None:
    cohort, table, _, _, fitted = case
    holes = table[:5].copy()
    holes[cohort.numeric(cohort.predictors)[0]] = np.nan
    assert np.isfinite(fitted.predict_score(holes)).all()


def test_only_predictors_are_used(case) -> None:
    cohort, table, _, _, fitted = case
    np.testing.assert_array_equal(
        fitted.predict_score(table[cohort.predictors]), fitted.predict_score(table.assign(event=0))
    )
