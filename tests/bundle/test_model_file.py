import pickle
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator

from relapse.bundle.model_file import TRUSTED_TYPES, dump_model, load_model, needed_packages
from relapse.candidates.base import outcome
from relapse.candidates.catalogue import family
from relapse.candidates.risk_model import Isotonic, RiskModel
from relapse.ground.errors import BundleError
from tests.bundle.making import PAIRS, small_model
from tests.gaps import OPEN, RULES, gappy_cohort, gappy_model, gappy_table
from tests.pictured import pictured_cohort, pictured_table, tiny_encoder
from tests.wide import wide_cohort, wide_table

BUILT: list[str] = []


class Foreign(BaseEstimator):
    """An estimator that nobody trusts, and that tells when it is built."""

    def __setstate__(self, state):
        BUILT.append("built")


@pytest.fixture(scope="module")
def files(tmp_path_factory, cohorts, _tables):
    """The model file of every candidate and cohort, with the model that was written."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for name, candidate in PAIRS:
        model = small_model(cohorts[name], _tables[name], candidate)
        path = folder / f"{name}-{candidate}.skops"
        dump_model(model, path)
        made[name, candidate] = (path, model)
    return made


@pytest.mark.parametrize(("name", "candidate"), PAIRS)
def test_a_model_read_back_gives_exactly_the_same_scores_and_risks(files, cohorts, tables, name, candidate):
    path, model = files[name, candidate]
    read, table = load_model(path), tables[name]
    survival = cohorts[name].survival
    times = [horizon.time for horizon in survival.horizons] if survival else None
    np.testing.assert_array_equal(read.predict_score(table), model.predict_score(table))
    np.testing.assert_array_equal(read.predict_risk(table, times), model.predict_risk(table, times))
    assert (read.recalibration, read.threshold) == (model.recalibration, model.threshold)


def test_the_trusted_types_are_those_that_the_candidates_need_and_no_others(files, tmp_path, monkeypatch):
    cohort = wide_cohort(survival=True, harmonise="combat")
    table = wide_table(cohort)
    params = {"penalty": 0.05, "l1_ratio": 0.5, "scaling": "standard", "reduce_mri_scan": "pca", "columns_mri_scan": 4}
    wide = family("linear").head(cohort).model(cohort, params, 1).fit(table, outcome(table, cohort))
    dump_model(RiskModel(wide), tmp_path / "wide.skops")
    gappy = gappy_cohort(dict(zip(OPEN, [*RULES, "median"], strict=True)), survival=False)
    dump_model(gappy_model(gappy, gappy_table(gappy), "linear"), tmp_path / "gappy.skops")
    tiny_encoder(monkeypatch)
    for kind, seen in {"survival": pictured_cohort(), "binary": pictured_cohort(binary=True)}.items():
        table = pictured_table(seen, tmp_path / kind, patients=24)
        model = family("densenet121").head(seen).model(seen, {}, 1).fit(table, outcome(table, seen))
        dump_model(RiskModel(model), tmp_path / f"{kind}.skops")
    paths = [*tmp_path.glob("*.skops"), *(path for path, _ in files.values())]
    found = {kind for path in paths for kind in skops.io.get_untrusted_types(file=path)}
    assert found == set(TRUSTED_TYPES)


@pytest.mark.parametrize(("name", "candidate"), PAIRS)
def test_fitting_again_with_the_same_seed_writes_the_same_bytes(files, cohorts, tables, tmp_path, name, candidate):
    path, _ = files[name, candidate]
    dump_model(small_model(cohorts[name], tables[name], candidate), tmp_path / "again.skops")
    assert (tmp_path / "again.skops").read_bytes() == path.read_bytes()


def test_a_type_that_is_not_trusted_is_refused_and_never_built(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump({"model": Foreign(), "recalibration": None, "threshold": None}, path)
    with pytest.raises(BundleError, match=r"not trusted: .*Foreign.*not loaded"):
        load_model(path)
    assert BUILT == []


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model": 1}))


def _other_content(path: Path) -> None:
    skops.io.dump([1, 2], path)


def _truncated(path: Path) -> None:
    _other_content(path)
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("write", [_pickled, _other_content, _truncated, lambda path: path.write_bytes(b"")])
def test_a_file_that_is_no_model_is_refused_with_its_name(tmp_path, write):
    write(tmp_path / "model.skops")
    with pytest.raises(BundleError, match=r"model\.skops is no readable model file"):
        load_model(tmp_path / "model.skops")


def test_only_models_that_use_them_need_survival_and_boosting_libraries(files):
    needs = {key: set(needed_packages(path)) for key, (path, _) in files.items()}
    assert {key for key, names in needs.items() if "scikit-survival" in names} == {("gbsg", "forest")}
    boosted = {key for key, names in needs.items() if any(name.startswith("xgboost") for name in names)}
    assert boosted == {("gbsg", "xgboost"), ("wpbc", "xgboost")}


def test_an_isotonic_recalibration_is_read_back_as_it_was(cohorts, tables, tmp_path):
    model = small_model(cohorts["wpbc"], tables["wpbc"], "reference")
    curve = Isotonic((-2.0, 0.5), (0.1, 0.9))
    dump_model(RiskModel(model.model, curve, 0.4), tmp_path / "model.skops")
    read = load_model(tmp_path / "model.skops")
    assert read.recalibration == curve
    np.testing.assert_array_equal(
        read.predict_risk(tables["wpbc"])[:, 0], curve.risk(model.predict_score(tables["wpbc"]))
    )


def test_serving_imports_catboost_only_for_its_own_model(files):
    for key, (path, _) in files.items():
        assert ("catboost" in needed_packages(path)) == (key[1] == "catboost")


def test_a_model_that_looks_at_pictures_needs_what_reads_and_draws_volumes(tmp_path):
    cohort = pictured_cohort()
    dump_model(RiskModel(family("densenet121").head(cohort).build(cohort, {}, 1)), tmp_path / "model.skops")
    needed = set(needed_packages(tmp_path / "model.skops"))
    assert needed >= {"onnxruntime", "nibabel", "pydicom", "simpleitk", "matplotlib"}
    assert needed & {"torch", "monai", "onnx", "onnxscript"} == set()
