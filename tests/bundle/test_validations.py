"""What is known of external validations stands beside a sealed bundle, and is about that bundle and no other."""

import shutil
from pathlib import Path

import pytest

from relapse.bundle.load import describe_bundle, verify_bundle
from relapse.bundle.validations import (
    Validation,
    in_words,
    read_validations,
    section,
    validations_file,
    write_validations,
)
from relapse.ground.errors import BundleError
from tests.bundle.making import small_bundle

FOUND = (Validation(cohort="elsewhere", result="ROC AUC 0.700 (0.600 to 0.800)", day="2026-11-27", run="ab12"),)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, cohorts, _tables) -> Path:
    folder = tmp_path_factory.mktemp("validated") / "bundle"
    small_bundle(folder, cohorts["wpbc"], _tables["wpbc"], "reference")
    return folder


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def _write(bundle: Path, found: tuple[Validation, ...]) -> Path:
    return write_validations(bundle, model="relapse-wpbc", version="3", asked="2026-11-28", found=found)


def test_what_is_written_beside_a_bundle_is_described_with_it_and_leaves_its_seal_alone(copy: Path) -> None:
    before = verify_bundle(copy)
    assert describe_bundle(copy).validations is None
    _write(copy, FOUND)
    assert verify_bundle(copy) == before
    known = describe_bundle(copy).validations
    assert known is not None
    assert (known.version, known.asked, known.found) == ("3", "2026-11-28", FOUND)


def test_a_card_says_on_which_day_one_looked_and_tells_none_from_not_known(copy: Path) -> None:
    assert in_words(None).startswith("Not known here")
    _write(copy, ())
    none = section(read_validations(copy))
    assert none.paragraphs[0].startswith("None was recorded in the registry on 2026-11-28")
    assert none.table is None
    _write(copy, FOUND)
    some = section(read_validations(copy))
    assert some.table is not None
    assert some.table.rows == (("elsewhere", FOUND[0].result, "2026-11-27", "ab12"),)


def test_what_is_about_another_bundle_is_refused(copy: Path, tables, cohorts) -> None:
    _write(copy, FOUND)
    small_bundle(copy, cohorts["wpbc"], tables["wpbc"], "linear")
    with pytest.raises(BundleError, match="is about another bundle than"):
        describe_bundle(copy)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": "relapse-wpbc"}'])
def test_a_broken_file_is_named(copy: Path, text: str) -> None:
    validations_file(copy).write_text(text)
    with pytest.raises(BundleError, match=r"bundle\.validations\.json: not as expected"):
        describe_bundle(copy)


def test_a_bundle_named_by_a_dot_has_its_file_beside_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(copy, FOUND)
    monkeypatch.chdir(copy)
    assert read_validations(Path()) is not None
