"""A bundle of a cohort with films holds their reader, whole and under its digests."""

import shutil

import pytest

from relapse.bundle.films import KeptReader
from relapse.bundle.load import describe_bundle, load_bundle, verify_bundle
from relapse.bundle.manifest import CONTENT, FILM_READER, MANIFEST, SEAL, seal
from relapse.ground.errors import BundleError, SourceError
from relapse.ground.files import read_json, sha256_of_file, write_json
from relapse.imaging.films.parts import PARTS, read_parts
from relapse.imaging.films.reader import FilmReader
from tests.bundle.filmed import write_bundle_of
from tests.bundle.making import small_bundle


@pytest.fixture
def bundle(pond, tmp_path):
    """A bundle of one's own, to break."""
    return shutil.copytree(pond.bundle, tmp_path / "bundle")


def test_the_readers_parts_are_what_they_were_and_it_is_opened_when_it_is_asked_for(bundle, pond):
    assert set(verify_bundle(bundle).files) == {*CONTENT, *FILM_READER}
    loaded = load_bundle(bundle)
    assert loaded.film_reader.parts == {path.name: path.read_bytes() for path in pond.reader.iterdir()}
    assert loaded.film_reader.opened().identity == FilmReader.open(read_parts(pond.reader)).identity
    assert loaded.film_reader.opened() is loaded.film_reader.opened()
    assert loaded.cohort == pond.cohort


def test_writing_it_again_gives_the_same_bytes(bundle, pond, tmp_path):
    write_bundle_of(pond, tmp_path / "again")
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }


def test_it_needs_what_reads_films_and_a_bundle_without_films_needs_none_of_it(bundle, cohorts, tables, tmp_path):
    needed = {"onnxruntime", "scikit-image", "pydicom", "pillow"}
    assert needed <= set(verify_bundle(bundle).packages)
    plain = small_bundle(tmp_path / "plain", cohorts["wpbc"], tables["wpbc"], "reference", refits=0)
    assert not needed & set(plain.packages)
    assert list(plain.files) == list(CONTENT)
    assert describe_bundle(tmp_path / "plain").film_reader is None


@pytest.mark.parametrize("name", FILM_READER)
def test_an_altered_or_missing_part_is_refused(bundle, name):
    content = (bundle / name).read_bytes()
    (bundle / name).write_bytes(content[:-1] + b"?")
    with pytest.raises(BundleError, match=rf"{name}: altered"):
        load_bundle(bundle)
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: this file of the bundle is missing"):
        load_bundle(bundle)


def _listing(bundle, files):
    """A bundle whose sealed manifest lists these files alone."""
    for name in FILM_READER:
        if name not in files:
            (bundle / name).unlink(missing_ok=True)
    write_json(bundle / MANIFEST, read_json(bundle / MANIFEST) | {"files": files})
    (bundle / SEAL).write_text(seal(sha256_of_file(bundle / MANIFEST)))


def test_a_bundle_that_lists_a_part_of_a_reader_or_none_where_films_are_declared_is_refused(bundle):
    listed = read_json(bundle / MANIFEST)["files"]
    _listing(bundle, {name: digest for name, digest in listed.items() if name != "film-heads.npz"})
    with pytest.raises(BundleError, match="lists other files"):
        describe_bundle(bundle)
    _listing(bundle, {name: digest for name, digest in listed.items() if name not in FILM_READER})
    with pytest.raises(BundleError, match=r"films that cohort\.yaml declares .* do not fit together"):
        describe_bundle(bundle)


def test_a_reader_that_is_not_there_whole_or_cannot_be_opened_stops_the_packaging(pond, tmp_path):
    def write():
        write_bundle_of(pond, tmp_path / "new", reader=reader)

    reader = shutil.copytree(pond.reader, tmp_path / "reader")
    (reader / "heads.npz").write_bytes(b"no heads")
    with pytest.raises(BundleError, match="reader of films cannot be opened"):
        write()
    (reader / "heads.npz").unlink()
    with pytest.raises(SourceError, match=r"heads\.npz cannot be opened.*relapse films train"):
        write()
    assert not (tmp_path / "new").exists()


def test_parts_that_are_no_reader_are_told_when_it_is_opened():
    kept = KeptReader(dict.fromkeys(PARTS, b""))
    with pytest.raises(BundleError, match="reader of films cannot be opened"):
        kept.opened()
