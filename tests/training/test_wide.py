"""Wide tables in the protocol: a screen that saw the test rows is caught, and limits are kept before anything is fitted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.limits import Limit
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.ranking.binary import roc_auc
from relapse.ground.errors import NoTrialError
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.training.nested import Trained, train
from relapse.training.record import search_space, write_record
from relapse.training.splits import fold_numbers, outer_folds
from relapse.training.tuning import discrimination
from tests.candidates.test_width import SMALL
from tests.wide import wide_cohort, wide_table

SCREEN = {"reduce_mri_scan": "screen", "columns_mri_scan": 20}


def _noise(seed: int) -> tuple[Cohort, pd.DataFrame]:
    """100 patients, 500 textures that have nothing to do with the outcome."""
    cohort = wide_cohort(survival=False, columns=500).model_copy(update={"imbalance": "none"})
    table, rng = wide_table(cohort, rows=100, seed=seed, effect=0.0), np.random.default_rng(1000 + seed)
    noise = pd.DataFrame(rng.normal(size=(100, 500)), columns=cohort.block_features("mri_scan"))
    return cohort, table.assign(**noise, event=(rng.permutation(100) < 50).astype(float))


def _auc(cohort: Cohort, table: pd.DataFrame, *, before: bool, seed: int) -> float:
    """Cross-validated AUC, twenty textures screened in the training part, or on all rows before the split."""
    head, target = family("linear").head(cohort), outcome(table, cohort)
    params = SMALL["linear"][False] | {"scaling": "standard"}
    if before:
        textures = cohort.block_features("mri_scan")
        strength = {name: abs(roc_auc(target, table[name].to_numpy()) - 0.5) for name in textures}
        kept = sorted(textures, key=lambda name: -strength[name])[:20]
        cohort = cohort.restricted([*cohort.reference, *kept], name="screened")
    else:
        params |= SCREEN
    number = fold_numbers(table, folds=5, seed=seed)
    values = []
    for fold in range(5):
        test = number == fold
        fitted = head.model(cohort, params, 1).fit(table[~test], target[~test])
        values.append(discrimination(target[test], fitted.predict_score(table[test]), cohort))
    return float(np.mean(values))


def test_a_screen_inside_the_fold_finds_nothing_in_noise_and_one_before_the_split_is_seen_to_leak():
    data = [_noise(seed) for seed in range(6)]
    inside = [_auc(*one, before=False, seed=seed) for seed, one in enumerate(data)]
    outside = [_auc(*one, before=True, seed=seed) for seed, one in enumerate(data)]
    assert 0.42 < np.mean(inside) < 0.58
    assert np.mean(outside) > 0.7


def _train(cohort: Cohort, table: pd.DataFrame, candidate: str, *, trials: int = 3) -> Trained:
    return train(
        table,
        cohort,
        candidate,
        outer_folds(table, folds=2, repeats=1, seed=5),
        params=TrainParams(inner_folds=2, trials=trials),
        seed=5,
        machinery=Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork"),
    )


@pytest.mark.parametrize("candidate", ["linear", "mlp"])
def test_the_inner_folds_choose_what_is_done_to_a_block(candidate, tmp_path):
    cohort = wide_cohort(survival=True, reduce=["pca", "screen"])
    table = wide_table(cohort)
    trained = _train(cohort, table, candidate)
    for fold in trained.folds:
        assert fold["params"]["reduce_mri_scan"] in ("screen", "pca")
        assert 4 <= fold["params"]["columns_mri_scan"] <= 40
    write_record(
        tmp_path / "r.json",
        trained,
        table,
        cohort=cohort,
        candidate=candidate,
        seed=5,
        settings=TrainParams(inner_folds=2, trials=3),
    )
    assert '"reduce_mri_scan": "screen or pca"' in (tmp_path / "r.json").read_text()


def test_a_candidate_that_a_table_is_too_wide_for_fits_nothing_and_says_why(monkeypatch):
    class Never:
        def __call__(self, *args):
            raise AssertionError("a model was built")

    plain = family("forest")
    limit = Limit(cells=1000, reason="a fit takes minutes")
    small = replace(plain, survival=replace(plain.survival, limit=limit, build=Never()))
    monkeypatch.setattr("relapse.training.nested.family_called", lambda name: small)
    cohort = wide_cohort(survival=True)
    with pytest.raises(NoTrialError, match=r"^Random forest is not begun. 120 rows of 42 predictors are more than"):
        _train(cohort, wide_table(cohort), "forest")


def test_a_reduction_that_keeps_a_candidate_within_its_limit_is_all_it_chooses_from(monkeypatch):
    plain = family("linear")
    limit = Limit(cells=120 * 70, reason="a fit takes minutes")
    small = replace(plain, survival=replace(plain.survival, limit=limit))
    monkeypatch.setattr("relapse.training.nested.family_called", lambda name: small)
    cohort = wide_cohort(survival=True, columns=80)
    trained = _train(cohort, wide_table(cohort), "linear", trials=6)
    assert "none or filter" in search_space("linear", cohort)["reduce_mri_scan"]
    chosen = trained.trials["params"].str.extract('"reduce_mri_scan": "([a-z]+)"')[0]
    assert set(chosen) <= {"clusters", "screen", "pca"}
