import shutil

import numpy as np
import pytest

from relapse.bundle.load import describe_bundle, load_bundle, verify_bundle
from relapse.bundle.manifest import CONTENT, FALLBACK_CONTENT, FORMAT, MANIFEST, SEAL, seal
from relapse.candidates.risk_model import RiskModel
from relapse.ground.errors import BundleError
from relapse.ground.files import read_json, sha256_of_file, write_json
from tests.bundle.blocks import invented
from tests.bundle.making import small_bundle, small_model


@pytest.fixture(scope="module")
def harbour(tmp_path_factory):
    """An invented binary cohort with blocks."""
    return invented(tmp_path_factory.mktemp("declared"), survival=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory, harbour):
    """Its bundle; tests copy it."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    small_bundle(folder, harbour.cohort, harbour.table, "linear", declaration=harbour.declaration)
    return folder


@pytest.fixture
def bundle(written, tmp_path):
    """A bundle of one's own, to break."""
    return shutil.copytree(written, tmp_path / "bundle")


def test_the_bundle_of_a_cohort_with_blocks_holds_the_reference_too(bundle, harbour):
    loaded = load_bundle(bundle)
    assert set(loaded.manifest.files) == {*CONTENT, *FALLBACK_CONTENT}
    assert loaded.optional_blocks == ["texture", "genomic"]
    assert loaded.fallback.title == "Clinical reference"
    assert list(loaded.fallback.reference.typical) == ["age", "grade"]
    assert loaded.fallback.reference.groups == pytest.approx((0.4, 0.6))
    assert isinstance(loaded.fallback_model, RiskModel)
    assert loaded.fallback_model.threshold == 0.3
    assert len(loaded.fallback_refits) == 3
    expected = small_model(harbour.cohort, harbour.table, "reference").predict_risk(harbour.table)
    np.testing.assert_allclose(loaded.fallback_model.predict_risk(harbour.table[["age", "grade"]]), expected)


def test_no_row_of_a_patient_is_in_the_fallback(bundle, harbour):
    typical = read_json(bundle / "fallback.json")["reference"]["typical"]
    rows = {(float(age), grade) for age, grade in zip(harbour.table["age"], harbour.table["grade"], strict=True)}
    assert len(typical["age"]) <= 10
    # A mean that happens to be whole is no row; all of them would be.
    assert not {(age, grade) for age, grade in zip(typical["age"], typical["grade"], strict=True)} <= rows


def test_where_the_champion_is_the_reference_nothing_is_added(tmp_path, harbour):
    manifest = small_bundle(tmp_path / "b", harbour.cohort, harbour.table, "reference", declaration=harbour.declaration)
    assert set(manifest.files) == set(CONTENT)
    loaded = load_bundle(tmp_path / "b")
    assert (loaded.fallback, loaded.fallback_model, loaded.fallback_refits) == (None, None, ())
    assert loaded.optional_blocks == ["texture", "genomic"]


def test_a_bundle_without_blocks_is_as_before(tmp_path, cohorts, tables):
    manifest = small_bundle(tmp_path / "b", cohorts["gbsg"], tables["gbsg"], "linear")
    assert (manifest.format, FORMAT) == (3, 3)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == sorted((*CONTENT, MANIFEST, SEAL))
    assert describe_bundle(tmp_path / "b").optional_blocks == []


def test_a_bundle_of_another_model_from_before_has_no_optional_blocks(bundle):
    for name in FALLBACK_CONTENT:
        (bundle / name).unlink()
    files = {name: digest for name, digest in read_json(bundle / MANIFEST)["files"].items() if name in CONTENT}
    _resealed(bundle, files=files)
    assert load_bundle(bundle).optional_blocks == []


@pytest.mark.parametrize("name", FALLBACK_CONTENT)
def test_an_altered_or_missing_file_of_the_fallback_is_refused(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: altered"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: this file of the bundle is missing"):
        load_bundle(bundle)


def test_half_a_fallback_is_refused(bundle):
    (bundle / "fallback-refits.skops").unlink()
    files = read_json(bundle / MANIFEST)["files"]
    del files["fallback-refits.skops"]
    _resealed(bundle, files=files)
    with pytest.raises(BundleError, match="lists other files"):
        verify_bundle(bundle)


def test_a_fallback_of_other_features_is_refused(bundle):
    found = read_json(bundle / "fallback.json")
    del found["reference"]["typical"]["age"]
    write_json(bundle / "fallback.json", found)
    files = read_json(bundle / MANIFEST)["files"] | {"fallback.json": sha256_of_file(bundle / "fallback.json")}
    _resealed(bundle, files=files)
    with pytest.raises(BundleError, match=r"fallback\.json: its features are not the reference of cohort harbour"):
        describe_bundle(bundle)


def _resealed(folder, **changes):
    write_json(folder / MANIFEST, read_json(folder / MANIFEST) | changes)
    (folder / SEAL).write_text(seal(sha256_of_file(folder / MANIFEST)))
