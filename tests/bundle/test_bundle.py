import json
import shutil

import numpy as np
import pytest

from relapse.bundle import load, write
from relapse.bundle.load import check_packages, describe_bundle, load_bundle, verify_bundle
from relapse.bundle.manifest import CONTENT, MANIFEST, SEAL, seal
from relapse.ground.errors import BundleError
from relapse.ground.files import read_json, sha256_of_file, write_json
from tests.bundle.making import CARD, CHECKLIST, HASH, ROOT, small_bundle

FILES = (*CONTENT, MANIFEST, SEAL)


@pytest.fixture(scope="module")
def written(tmp_path_factory, cohorts, _tables):
    """A written bundle; tests copy it."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    small_bundle(folder, cohorts["gbsg"], _tables["gbsg"], "reference")
    return folder


@pytest.fixture
def bundle(written, tmp_path):
    """A bundle of one's own, to break."""
    return shutil.copytree(written, tmp_path / "bundle")


def _resealed(folder, **changes):
    """Change keys of the manifest and seal it again, as somebody who means to would."""
    write_json(folder / MANIFEST, read_json(folder / MANIFEST) | changes)
    (folder / SEAL).write_text(seal(sha256_of_file(folder / MANIFEST)))


def test_a_bundle_tells_what_was_written_into_it(bundle, cohorts, tables):
    loaded = load_bundle(bundle)
    assert loaded.cohort == cohorts["gbsg"]
    assert (loaded.manifest.rows, loaded.manifest.patients, loaded.manifest.events) == (686, 686, 299)
    assert (loaded.manifest.name, loaded.manifest.version) == ("relapse-gbsg", HASH[:12])
    assert loaded.decision == {"verdict": "promoted"}
    assert (loaded.card, loaded.checklist) == (CARD, CHECKLIST)
    assert [(metric.key, metric.value, metric.upper) for metric in loaded.metrics] == [("concordance", 0.7, None)]
    assert np.isfinite(loaded.model.predict_score(tables["gbsg"])).all()
    assert sorted(path.name for path in bundle.iterdir()) == sorted(FILES)


def test_the_summary_of_the_training_data_holds_ranges_and_counts_and_no_rows(bundle, tables):
    summary = read_json(bundle / "training.json")
    assert summary["age"] == {"minimum": 21.0, "maximum": 80.0, "missing": 0.0}
    assert summary["tgrade"]["counts"] == {"I": 81, "II": 444, "III": 161}
    assert {key for item in summary.values() for key in item} == {"minimum", "maximum", "counts", "missing"}


def test_writing_a_bundle_again_gives_the_same_bytes(bundle, cohorts, tables, tmp_path):
    small_bundle(tmp_path / "again", cohorts["gbsg"], tables["gbsg"], "reference")
    assert {name: (tmp_path / "again" / name).read_bytes() for name in FILES} == {
        name: (bundle / name).read_bytes() for name in FILES
    }


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_flipped_byte_in_any_file_is_refused(bundle, name, place):
    content = bytearray((bundle / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"({name}|{MANIFEST}).*altered"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}.* is missing"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["extra.txt", ".hidden", "model.skops.bak"])
def test_an_extra_file_is_refused(bundle, name):
    (bundle / name).write_text("x")
    with pytest.raises(BundleError, match=rf"{name}: not a part of the bundle"):
        verify_bundle(bundle)


def test_digests_are_compared_before_anything_is_parsed(bundle, monkeypatch):
    (bundle / "cohort.yaml").write_text("name: other\n")
    monkeypatch.setattr(load, "read_cohort", lambda path: pytest.fail("was parsed"))
    with pytest.raises(BundleError, match=r"cohort\.yaml: altered"):
        describe_bundle(bundle)


def test_a_folder_without_bundle_says_how_to_get_one(tmp_path):
    with pytest.raises(BundleError, match=r"no bundle.*package stage"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, r"format 2; this version of relapse reads format 3"),
        ({"author": "x"}, r"not as expected at author"),
        ({"rows": -1}, r"not as expected at rows"),
        ({"files": {}}, r"lists other files"),
        ({"cohort": "wpbc"}, r"the manifest is of cohort wpbc"),
    ],
)
def test_a_sealed_manifest_that_says_something_else_is_refused(bundle, changes, message):
    _resealed(bundle, **changes)
    with pytest.raises(BundleError, match=message):
        describe_bundle(bundle)


def test_a_content_file_of_another_shape_is_refused(bundle):
    (bundle / "training.json").write_text(json.dumps({"age": {"minimum": 1, "maximum": 2, "missing": 0}}))
    files = read_json(bundle / MANIFEST)["files"] | {"training.json": sha256_of_file(bundle / "training.json")}
    _resealed(bundle, files=files)
    with pytest.raises(BundleError, match=r"training\.json: its features are not the predictors"):
        describe_bundle(bundle)


def test_a_missing_package_is_named_with_its_version(bundle):
    with pytest.raises(BundleError, match=r"Install no-such-package==1\.2"):
        check_packages(verify_bundle(bundle).packages | {"no-such-package": "1.2"})


def test_another_minor_version_of_scikit_learn_is_refused_another_patch_is_not(bundle):
    manifest = verify_bundle(bundle)
    major, minor, _ = manifest.packages["scikit-learn"].split(".", 2)
    check_packages({"scikit-learn": f"{major}.{minor}.99"})
    with pytest.raises(BundleError, match=r"written with scikit-learn 0\.1\.0"):
        check_packages({"scikit-learn": "0.1.0"})


def test_a_failure_while_writing_leaves_the_old_bundle_and_nothing_else(bundle, cohorts, tables, monkeypatch):
    before = {name: (bundle / name).read_bytes() for name in FILES}
    monkeypatch.setattr(write, "needed_packages", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        small_bundle(bundle, cohorts["gbsg"], tables["gbsg"], "reference")
    assert {name: (bundle / name).read_bytes() for name in FILES} == before
    assert sorted(path.name for path in bundle.parent.iterdir()) == [
        "bundle",
        "bundle-0.skops",
        "bundle-1.skops",
        "bundle-2.skops",
        "bundle.skops",
    ]


def test_a_model_that_cannot_be_loaded_is_not_packaged(tmp_path, tables):
    (tmp_path / "model.skops").write_bytes(b"no model")
    with pytest.raises(BundleError, match="no readable model file"):
        write.write_bundle(
            tmp_path / "bundle",
            model=tmp_path / "model.skops",
            declaration=ROOT / "data" / "cohorts" / "gbsg.yaml",
            table=tables["gbsg"],
            candidate="linear",
            title="Elastic net",
            content_hash=HASH,
            table_hash=HASH,
            git_commit=None,
            metrics=[],
            decision={},
            card=CARD,
            checklist=CHECKLIST,
        )
    assert not (tmp_path / "bundle").exists()
