"""Ratios are those of lifelines and R in the units of the declaration, and none is given where none can be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.survival.lifelines_quietly import lifelines_quietly
from relapse.explanation.ratios import (
    COMPONENTS,
    NO_MAXIMUM,
    PENALISED,
    beside_outcome,
    cox_fit,
    penalised_ratios,
    reference_ratios,
)
from relapse.explanation.regression import regression
from relapse.explanation.terms import coefficients, matrix, terms
from tests.evaluation.statistics.reference import case_ids, load
from tests.explanation.conftest import Fitted


@pytest.mark.parametrize("name", case_ids("cox"))
def test_coefficients_errors_and_intervals_are_those_of_r(name: str) -> None:
    case, data = load(name)
    efron, columns = case["expected"]["efron"], case["args"]["covariates"]
    fitted = cox_fit(data[columns].to_numpy(dtype=float), data)
    assert fitted is not None
    for found, key in ((fitted.params_, "coef"), (fitted.standard_errors_, "se")):
        np.testing.assert_allclose(found.to_numpy(), [efron[key][column] for column in columns], rtol=1e-5)


def test_hazard_ratios_are_per_unit_and_level_of_the_declaration(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    from lifelines import CoxPHFitter

    table = tables["gbsg"]
    plain = table[["tsize", "pnodes", "time", "event"]].astype(float)
    plain["tgrade"] = table["tgrade"].cat.codes.astype(float)
    with lifelines_quietly():
        expected = CoxPHFitter().fit(plain, "time", "event").summary
    found = {row.label: row for row in reference_ratios(fitted("gbsg", "reference").model, table, cohorts["gbsg"]).rows}
    names = {"Tumour size": "tsize", "Positive lymph nodes": "pnodes", "Tumour grade": "tgrade"}
    assert found.keys() == names.keys()
    for label, name in names.items():
        row = found[label]
        wanted = expected.loc[name, ["exp(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"]]
        np.testing.assert_allclose([row.ratio, row.lower, row.upper, row.p], wanted.to_numpy(dtype=float), rtol=1e-5)
    assert (found["Tumour size"].step, found["Tumour grade"].step) == ("per mm", "per level, from I on")


def test_what_is_tabled_is_the_model_that_predicts(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    for name in ("gbsg", "wpbc", "radiomics"):
        model = fitted(name, "reference").model
        own, named = coefficients(model), terms(model, cohorts[name])
        assert own is not None
        assert named is not None
        found = reference_ratios(model, tables[name], cohorts[name])
        ratios = [np.exp(beta / term.scale) for beta, term in zip(own, named, strict=True)]
        np.testing.assert_allclose([row.ratio for row in found.rows], ratios, rtol=1e-3)


def test_nominal_levels_stand_each_against_the_first_declared(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort = cohorts["gbsg"].model_copy(update={"reference": ("age", "horTh")})
    table = tables["gbsg"]
    head = family("reference").survival
    assert head is not None
    model = head.model(cohort, {}, 1).fit(table, outcome(table, cohort))
    first, second = reference_ratios(model, table, cohort).rows
    assert (first.label, first.step, second.step) == ("Hormonal therapy", "yes against no", "per year")
    assert first.ratio < 1
    columns = matrix(model, table)
    np.testing.assert_array_equal(columns[:, 0], table["horTh"] == "yes")
    named = terms(model, cohort)
    assert named is not None
    np.testing.assert_allclose(columns[:, 1] * named[1].scale + named[1].centre, table["age"].to_numpy(dtype=float))


def test_odds_ratios_agree_with_a_likelihood_maximised_by_scipy(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    from scipy.optimize import minimize

    model, table = fitted("wpbc", "reference").model, tables["wpbc"]
    design = np.column_stack([np.ones(len(table)), matrix(model, table)])
    event = table["event"].to_numpy()
    named = terms(model, cohorts["wpbc"])
    assert named is not None
    best = minimize(
        lambda beta: np.logaddexp(0, design @ beta).sum() - event @ (design @ beta), np.zeros(3), method="BFGS"
    )
    mean = 1 / (1 + np.exp(-design @ best.x))
    errors = np.sqrt(np.diag(np.linalg.inv((design.T * (mean * (1 - mean))) @ design)))
    for place, row in enumerate(reference_ratios(model, table, cohorts["wpbc"]).rows):
        beta, error, scale = best.x[place + 1], errors[place + 1], named[place].scale
        reach = stats.norm.ppf(0.975) * error
        expected = [*np.exp(np.array([beta, beta - reach, beta + reach]) / scale), 2 * stats.norm.sf(abs(beta) / error)]
        np.testing.assert_allclose([row.ratio, row.lower, row.upper, row.p], expected, rtol=1e-3)


def test_rows_of_a_patient_said_twice_leave_the_interval_as_wide(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    for name in ("gbsg", "wpbc"):
        model, once = fitted(name, "reference").model, tables[name]
        twice = pd.concat([once, once], ignore_index=True)
        apart = twice.assign(patient=[str(place) for place in range(len(twice))])
        by_patient, as_if_new = (reference_ratios(model, rows, cohorts[name]) for rows in (twice, apart))
        assert "robust by patient" in by_patient.method
        assert "robust" not in as_if_new.method
        for kept, narrow in zip(by_patient.rows, as_if_new.rows, strict=True):
            assert kept.ratio == pytest.approx(narrow.ratio, rel=1e-4)
            assert kept.upper / kept.lower > narrow.upper / narrow.lower


def test_a_penalised_model_has_ratios_and_says_why_no_p(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    found = penalised_ratios(fitted("gbsg", "linear").model, cohorts["gbsg"])
    assert found is not None
    assert found.note == PENALISED
    assert len(found.rows) == len(cohorts["gbsg"].features)
    assert all(np.isnan([row.lower, row.upper, row.p]).all() and row.ratio > 0 for row in found.rows)
    models = {name: fitted("gbsg", name) for name in ("reference", "linear", "forest")}
    assert set(regression(models, tables["gbsg"], cohorts["gbsg"])[0].penalised) == {"linear"}


def test_where_no_ratio_can_be_given_the_reason_stands_in_its_place(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], fitted: Fitted
) -> None:
    cohort, table, model = cohorts["wpbc"], tables["wpbc"], fitted("wpbc", "reference").model
    told_apart = table.assign(event=(table["tsize"] > table["tsize"].median()).astype(int))
    assert reference_ratios(model, told_apart, cohort).note == NO_MAXIMUM
    timed = tables["gbsg"]
    same = timed.assign(pnodes=timed["tsize"].round())
    refitted = fitted("gbsg", "reference").model
    assert cox_fit(matrix(refitted, same)[:, [0, 0, 1]], same) is None
    reduced = replace(fitted("wpbc", "reference"), model=model.__class__(None, None, None, reducer=object())).model
    assert reference_ratios(reduced, table, cohort).note == COMPONENTS


def test_columns_are_named_by_place_so_that_no_feature_can_be_taken_for_the_outcome(
    tables: dict[str, pd.DataFrame],
) -> None:
    found = beside_outcome(np.zeros((len(tables["gbsg"]), 2)), tables["gbsg"])
    assert list(found) == ["0", "1", "time", "event"]
