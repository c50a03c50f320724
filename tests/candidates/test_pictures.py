"""Candidates that see pictures: as every other, and alike however they are fitted, asked, kept and shared out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from relapse.bundle.model_file import dump_model, load_model
from relapse.candidates import picture_score
from relapse.candidates.base import BinaryModel, SurvivalModel, outcome
from relapse.candidates.catalogue import family
from relapse.candidates.picture_score import PictureScore, Sight, picture_step
from relapse.candidates.pictures import fit_together
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.explanation.background import typical_patients
from relapse.explanation.shapley import attribute
from relapse.ground.errors import SourceError
from relapse.ground.workspace import kept_maps
from relapse.imaging import extra
from relapse.workers import one_thread
from tests.pictured import ALONE, pictured_cohort, pictured_table, tiny_encoder

KINDS = ("survival", "binary")


@pytest.fixture(scope="module", autouse=True)
def _tiny() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, one_thread():
        tiny_encoder(patch)
        yield


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Cohort, table, target, the unfitted model, and the same fitted on part of the rows."""
    cohort = pictured_cohort(binary=request.param == "binary")
    table = pictured_table(cohort, tmp_path_factory.mktemp(request.param), patients=48)
    target, model = outcome(table, cohort), unfitted(cohort)
    return cohort, table, target, model, clone(model).fit(table[:36], target[:36])


def unfitted(cohort: Cohort, seed: int = 7) -> BinaryModel | SurvivalModel:
    head = family("densenet121").head(cohort)
    assert head is not None
    return head.model(cohort, {}, seed)


def step_of(fitted: BinaryModel | SurvivalModel) -> PictureScore:
    found = picture_step(fitted.transform_ if isinstance(fitted, SurvivalModel) else fitted.pipeline_)
    assert found is not None
    return found


def test_it_is_a_scikit_learn_estimator_and_fit_leaves_its_parameters_alone(case) -> None:
    cohort, table, target, model, _ = case
    assert isinstance(model, SurvivalModel if cohort.survival else BinaryModel)
    before = {key: str(value) for key, value in model.get_params().items()}
    fitted = clone(model)
    assert fitted.fit(table[:36], target[:36]) is fitted
    assert {key: str(value) for key, value in fitted.get_params().items()} == before
    part = step_of(fitted)
    assert {
        key: id(value) for key, value in clone(part, safe=False).get_params().items()
    }.keys() == part.get_params().keys()


def test_scores_are_finite_and_risks_are_probabilities_that_rise_with_score_and_time(case) -> None:
    cohort, table, _, _, fitted = case
    score = fitted.predict_score(table)
    times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
    risk = fitted.predict_risk(table, times)
    assert np.isfinite(score).all()
    assert risk.shape == (48, len(cohort.endpoint.risk_columns))
    assert ((risk >= 0) & (risk <= 1)).all()
    assert (np.diff(risk, axis=1) >= 0).all()
    assert (np.diff(risk[np.argsort(score, kind="stable"), -1]) >= -1e-12).all()


def test_the_same_seed_gives_the_same_predictions_and_rows_do_not_see_each_other(case) -> None:
    _, table, target, model, fitted = case
    again = clone(model).fit(table[:36], target[:36])
    np.testing.assert_array_equal(again.predict_score(table), fitted.predict_score(table))
    shuffled = table.sample(frac=1, random_state=1)
    np.testing.assert_allclose(
        fitted.predict_score(shuffled),
        fitted.predict_score(table)[table.index.get_indexer(shuffled.index)],
        rtol=1e-6,
        atol=1e-6,
    )
    np.testing.assert_allclose(fitted.predict_score(table[:1]), fitted.predict_score(table)[:1], rtol=1e-6, atol=1e-6)


def test_only_its_inputs_are_used_and_missing_values_are_imputed(case) -> None:
    cohort, table, _, _, fitted = case
    np.testing.assert_array_equal(
        fitted.predict_score(table[cohort.inputs]), fitted.predict_score(table.assign(event=0, patient="x"))
    )
    holes = table[:5].copy()
    holes["bulk"] = np.nan
    assert np.isfinite(fitted.predict_score(holes)).all()


def test_models_that_are_fitted_together_come_out_as_if_each_were_fitted_alone(case) -> None:
    cohort, table, target, _, _ = case
    parts = [np.arange(48) % 3 != out for out in range(2)]
    together = [unfitted(cohort, seed) for seed in range(2)]
    fit_together(together, [table[part] for part in parts], [target[part] for part in parts])
    for seed, (model, part) in enumerate(zip(together, parts, strict=True)):
        alone = unfitted(cohort, seed).fit(table[part], target[part])
        np.testing.assert_allclose(model.predict_score(table), alone.predict_score(table), atol=1e-4)


def test_rows_of_early_stopping_may_be_given(case) -> None:
    cohort, table, target, _, _ = case
    held = np.arange(48) % 4 >= 2
    model, other = unfitted(cohort), unfitted(cohort)
    fit_together([model], [table], [target], held=[held])
    fit_together([other], [table], [target])
    assert np.abs(model.predict_score(table) - other.predict_score(table)).max() > 1e-6


def test_pictures_and_covariates_are_both_learnt_from(tmp_path: Path) -> None:
    cohort = pictured_cohort()
    table = pictured_table(cohort, tmp_path, patients=60)
    fitted = unfitted(cohort).fit(table, outcome(table, cohort))
    assert len(fitted.regressor_.coef_) > 1
    assert fitted.regressor_.coef_[-1] == 1.0
    assert np.abs(fitted.regressor_.coef_[:-1]).max() > 0.01
    seen = step_of(fitted).transform(table[[IMAGE]])
    assert seen.shape == (60, 1)
    assert seen.std() > 0.01
    moved = fitted.predict_score(table.assign(bulk=table["bulk"] + 1)) - fitted.predict_score(table)
    assert np.ptp(moved) < 1e-9
    assert abs(moved[0]) > 1e-3


def test_a_model_read_back_gives_exactly_the_same_scores(case, tmp_path: Path) -> None:
    cohort, table, _, _, fitted = case
    path = tmp_path / "model.skops"
    dump_model(RiskModel(fitted), path)
    read = load_model(path)
    times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
    np.testing.assert_array_equal(read.predict_score(table), fitted.predict_score(table))
    np.testing.assert_array_equal(read.model.predict_risk(table, times), fitted.predict_risk(table, times))
    dump_model(read, tmp_path / "again.skops")
    assert (tmp_path / "again.skops").read_bytes() == path.read_bytes()


def test_what_was_seen_of_a_picture_scores_as_the_picture_does_and_none_scores_as_the_average(case) -> None:
    _, table, _, _, fitted = case
    step = step_of(fitted)
    maps, _ = step.maps(list(table[IMAGE]))
    seen = table.assign(**{IMAGE: [Sight(one) for one in maps]})
    np.testing.assert_allclose(fitted.predict_score(seen), fitted.predict_score(table), atol=1e-9)
    some = table.assign(**{IMAGE: [None, *table[IMAGE][1:]]})
    np.testing.assert_allclose(fitted.predict_score(some)[1:], fitted.predict_score(table)[1:], atol=1e-9)
    assert step.transform(table[[IMAGE]][:36]).mean() == pytest.approx(step.mean_, abs=1e-6)
    for nobody in (None, np.nan):
        none = pd.DataFrame({IMAGE: [nobody] * 3}, dtype=object)
        np.testing.assert_allclose(step.transform(none)[:, 0], step.mean_)


def test_images_alone_are_enough(case) -> None:
    cohort, table, target, _, _ = case
    alone = cohort.restricted([IMAGE], name="alone")
    fitted = unfitted(alone).fit(table[:36], target[:36])
    score = fitted.predict_score(table[["patient", IMAGE]])
    assert np.isfinite(score).all()
    assert np.ptp(score) > 0
    np.testing.assert_array_equal(fitted.predict_score(table.assign(bulk=0.0)), score)


def test_several_rows_of_a_patient_are_one_patient_to_early_stopping(tmp_path: Path) -> None:
    cohort = pictured_cohort()
    table = pictured_table(cohort, tmp_path, patients=30, views=2)
    fitted = unfitted(cohort).fit(table, outcome(table, cohort))
    score = fitted.predict_score(table)
    np.testing.assert_allclose(score[:30], score[30:])


def test_an_explanation_adds_up_and_gives_the_images_block_its_share(case) -> None:
    cohort, table, _, _, fitted = case
    model = RiskModel(fitted)
    background = typical_patients(table[:36], cohort, size=4)
    assert background.table[IMAGE].isna().all()
    found = attribute(model, table[36:], background, cohort)
    assert found.values.shape == (12, len(cohort.explained))
    np.testing.assert_allclose(found.output, found.base + found.values.sum(axis=1), atol=1e-9)
    share = found.values[:, cohort.explained.index("scan")]
    expected = step_of(fitted).transform(table[[IMAGE]][36:])[:, 0] - step_of(fitted).mean_
    np.testing.assert_allclose(share, expected, atol=1e-9)
    without = table[36:].assign(**{IMAGE: None})
    assert np.abs(attribute(model, without, background, cohort).values[:, cohort.explained.index("scan")]).max() < 1e-9


def test_kept_maps_change_no_prediction(case, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, table, target, model, fitted = case
    monkeypatch.setattr(picture_score, "kept_maps", lambda project: tmp_path / "none yet")
    fresh = clone(model).fit(table[:36], target[:36])
    np.testing.assert_array_equal(fresh.predict_score(table), fitted.predict_score(table))
    kept = sorted((tmp_path / "none yet").rglob("*.npy"))
    assert len(kept) == 48
    kept[0].write_bytes(b"damaged")
    np.testing.assert_array_equal(fresh.predict_score(table), fitted.predict_score(table))


def test_the_maps_of_all_pictures_are_made_once_before_any_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = pictured_cohort()
    table = pictured_table(cohort, tmp_path, patients=24)
    head = family("densenet121").head(cohort)
    assert head is not None
    assert head.prepare is not None
    head.prepare(table, cohort, ALONE)
    assert len(list(kept_maps(tmp_path).rglob("*.npy"))) == 24
    monkeypatch.setattr("relapse.imaging.encoder.maps.make_maps", lambda *_, **__: pytest.fail("made again"))
    unfitted(cohort).fit(table, outcome(table, cohort))


def test_without_the_extra_one_message_says_so_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = pictured_cohort()
    table = pictured_table(cohort, tmp_path, patients=4)
    monkeypatch.setattr(extra, "NEEDED", ("monai_of_another_name",))
    head = family("densenet121").head(cohort)
    assert head is not None
    assert head.prepare is not None
    with pytest.raises(SourceError, match=r"DenseNet121 cannot be used: .*monai_of_another_name.*relapse\[imaging\]"):
        head.prepare(table, cohort, ALONE)
    assert not kept_maps(tmp_path).exists()


def test_a_family_that_sees_suits_a_cohort_with_images_and_the_others_one_with_features() -> None:
    cohort = pictured_cohort()
    alone = cohort.restricted([IMAGE], name="alone")
    assert [family(name).suits(cohort) for name in ("densenet121", "linear")] == [True, True]
    assert [family(name).suits(alone) for name in ("densenet121", "linear")] == [True, False]
    without = cohort.restricted(["bulk"], name="without")
    assert [family(name).suits(without) for name in ("densenet121", "linear")] == [False, True]


def test_random_weights_are_told_wherever_the_family_is_named() -> None:
    assert family("densenet121").called(pictured_cohort()) == "DenseNet121 (not pretrained)"
    content = {"weights": "imagenet", "file": "w.pth"}
    images = pictured_cohort().images
    assert images is not None
    pretrained = pictured_cohort(images=images.model_dump() | {"encoder": content})
    assert family("densenet121").called(pretrained) == "DenseNet121"


def test_heavy_packages_are_not_loaded_to_say_that_a_family_is_not_for_a_cohort() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from relapse.candidates.catalogue import family; family('densenet121');"
        "print([name for name in ('torch', 'monai', 'SimpleITK', 'nibabel', 'onnx', 'pydicom') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
