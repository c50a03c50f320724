"""Wide blocks in every family: reduced as the search says, nothing learnt outside the training rows, limits kept."""

import numpy as np
import optuna
import pytest
from sklearn.base import clone

from relapse.bundle.model_file import dump_model, load_model, needed_packages
from relapse.candidates.base import outcome
from relapse.candidates.catalogue import MODULES, family
from relapse.candidates.limits import Limit, within
from relapse.candidates.risk_model import RiskModel
from relapse.candidates.width import FEWEST, MOST, split
from relapse.cohorts.declared.blocks import METHODS
from relapse.preprocessing.reduction import Reduction
from tests.wide import wide_cohort, wide_table

#: Small models, by family; the second are for the survival endpoint.
SMALL = {
    "reference": ({}, {}),
    "linear": (
        {"C": 0.1, "l1_ratio": 0.5, "scaling": "yeo-johnson"},
        {"penalty": 0.05, "l1_ratio": 0.5, "scaling": "standard"},
    ),
    "svm": ({"kernel": "linear", "C": 0.1}, {"kernel": "rbf", "gamma": 0.02}),
    "forest": ({"min_samples_leaf": 10}, {"min_samples_leaf": 10, "n_estimators": 10}),
    "xgboost": ({"n_estimators": 10}, {"n_estimators": 10}),
    "catboost": ({"iterations": 5, "depth": 2}, {"iterations": 5, "depth": 2}),
    "mlp": ({"width": 4, "members": 2, "learning_rate": 0.01},) * 2,
    "cnn1d": ({"width": 4, "members": 2, "learning_rate": 0.01},) * 2,
}

#: Families that see images are for cohorts that have them.
TABULAR = [name for name in MODULES if not family(name).sees]

REDUCED = {
    "screen": {"reduce_mri_scan": "screen", "columns_mri_scan": 5},
    "pca": {"reduce_mri_scan": "pca", "columns_mri_scan": 5},
    "filter": {"reduce_mri_scan": "filter"},
}


@pytest.mark.parametrize("survival", [False, True])
@pytest.mark.parametrize("candidate", TABULAR)
def test_every_family_fits_a_harmonised_block_in_any_width_and_is_saved(tmp_path, candidate, survival):
    cohort = wide_cohort(survival=survival, harmonise="combat")
    table = wide_table(cohort)
    target = outcome(table, cohort)
    head = family(candidate).head(cohort)
    for method, choice in REDUCED.items():
        params = SMALL[candidate][survival] | ({} if head.space is None else choice)
        model = head.model(cohort, params, 1)
        fitted = clone(model).fit(table[:90], target[:90])
        score = fitted.predict_score(table[90:])
        assert np.isfinite(score).all()
        np.testing.assert_allclose(fitted.predict_score(table[90:95]), score[:5], rtol=1e-9)
        if method == "screen":
            path = tmp_path / "model.skops"
            dump_model(RiskModel(fitted), path)
            np.testing.assert_array_equal(load_model(path).predict_score(table[90:]), score)
            assert not any("combat" in name.lower() for name in needed_packages(path))
            # A table without sites, such as a request to the service, is of a site not known.
            np.testing.assert_array_equal(
                fitted.predict_score(table[90:].drop(columns="site")),
                fitted.predict_score(table[90:].assign(site="elsewhere")),
            )


@pytest.mark.parametrize("survival", [False, True])
@pytest.mark.parametrize("method", ["screen", "clusters", "pca", "filter"])
def test_networks_batched_on_a_wide_block_are_those_fitted_alone(survival, method):
    cohort = wide_cohort(survival=survival)
    table = wide_table(cohort)
    head = family("mlp").head(cohort)
    params = SMALL["mlp"][survival] | {"reduce_mri_scan": method}
    if method != "filter":
        params |= {"columns_mri_scan": 50}
    parts = [table[:70], table[20:110], table[40:]]
    targets = [outcome(part, cohort) for part in parts]
    together = [head.model(cohort, params, seed) for seed in range(3)]
    head.fit_together(together, parts, targets)
    for seed, (model, part, target) in enumerate(zip(together, parts, targets, strict=True)):
        alone = head.model(cohort, params, seed).fit(part, target)
        np.testing.assert_allclose(model.predict_score(part), alone.predict_score(part), atol=2e-5)  # single precision


def test_what_is_done_to_a_wide_block_is_in_every_search():
    drawn = {}
    cohort = wide_cohort(survival=True, columns=100)
    for candidate in TABULAR:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        head = family(candidate).head(cohort)
        found = [head.draw(study.ask(), cohort) for _ in range(40)]
        if head.space is None:
            assert found == [{}] * 40
            continue
        drawn[candidate] = {params["reduce_mri_scan"] for params in found}
        sizes = [params["columns_mri_scan"] for params in found if "columns_mri_scan" in params]
        assert FEWEST <= min(sizes) <= 6 < 40 <= max(sizes) <= MOST
    assert set(map(frozenset, drawn.values())) == {frozenset(METHODS)}


def test_a_block_that_is_not_wide_changes_no_search_unless_it_is_declared():
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask
    head = family("xgboost").head(wide_cohort(survival=True))
    assert "reduce_mri_scan" not in head.draw(trial(), wide_cohort(survival=True, columns=30))
    assert head.draw(trial(), wide_cohort(survival=True, columns=3, reduce="pca"))["columns_mri_scan"] == 3


def test_hyperparameters_of_a_family_and_of_blocks_are_told_apart():
    own, reductions = split({"depth": 2, "reduce_a": "pca", "columns_a": 8, "reduce_b": "none"})
    assert own == {"depth": 2}
    assert reductions == {"a": Reduction("pca", 8), "b": Reduction("none")}


def test_a_limit_takes_methods_out_of_the_search_or_says_why_nothing_is_begun():
    limit = Limit(cells=5000, reason="a fit takes minutes")
    cohort = wide_cohort(survival=True, columns=200)
    assert within(cohort, limit, rows=20) is cohort
    assert within(cohort, None, rows=10**6) is cohort
    assert within(cohort, limit, rows=60).block_methods("mri_scan") == ("clusters", "screen", "pca")
    assert "90 rows of 202 predictors are more than it is fitted to" in within(cohort, limit, rows=90)
    assert "reduce: clusters, screen, pca" in within(
        wide_cohort(survival=True, columns=200, reduce="filter"), limit, rows=60
    )


def test_a_limit_of_rows_is_one_that_no_reduction_helps():
    cohort = wide_cohort(survival=True, columns=200)
    limit = Limit(rows=1000, reason="a fit takes minutes")
    assert within(cohort, limit, rows=1000) is cohort
    assert within(cohort, limit, rows=1001) == (
        "1,001 rows are more than it is fitted to (1,000): a fit takes minutes. Leave it out."
    )
