"""One file a patient: found again, made anew when anything changes, and nobody hindered by a broken neighbour."""

from pathlib import Path

import numpy as np
import pytest

from relapse.cohorts.declared.images import DceMri, Preprocessing
from relapse.ground.errors import DeclarationError, SourceError
from relapse.ground.files import sha256_of_file
from relapse.imaging import cache
from relapse.imaging.cache import picture_path, prepare
from relapse.imaging.contact_sheet import contact_sheets
from relapse.imaging.stored import read_picture
from relapse.machinery import Machinery

from .making import BROKEN, PATIENT, Broken, phase_path, save, study, voxels

SMALL = Preprocessing(correction=None, size=32, margin=2)
IMAGES = DceMri(kind="dce_mri", folder="here", block="imaging", preprocessing=SMALL)


def machine(workers: int = 1, backend: str = "threading") -> Machinery:
    return Machinery(workers=workers, tracking_uri="", artifact_root=None, backend=backend)


def made(root: Path, *patients: str, images: DceMri = IMAGES, workers: int = 1) -> tuple[cache.Prepared, ...]:
    return prepare(patients or (PATIENT,), images, root, root / "cache", machine(workers))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_patient_is_set_aside_in_the_right_words_and_the_rest_goes_on(tmp_path: Path, broken: Broken) -> None:
    study(tmp_path)
    study(tmp_path, "P2")
    broken.make(tmp_path)
    first, second = made(tmp_path, PATIENT, "P2")
    assert (first.patient, first.image, first.fault) == (PATIENT, None, broken.code)
    assert second.fault is None
    assert read_picture(tmp_path / "cache", str(second.image)).channels.shape == (1, 3, 32, 32)


def test_what_is_there_is_not_made_again_and_comes_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(tmp_path)
    (first,) = made(tmp_path)
    path = picture_path(tmp_path / "cache", str(first.image))
    before = sha256_of_file(path)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "make", lambda *_: pytest.fail("made again"))
        assert made(tmp_path) == (first,)
    path.unlink()
    assert made(tmp_path) == (first,)
    assert sha256_of_file(path) == before


def test_the_address_follows_files_parameters_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study(tmp_path)
    seen = {made(tmp_path)[0].image}
    seen.add(
        made(tmp_path, images=IMAGES.model_copy(update={"preprocessing": SMALL.model_copy(update={"size": 64})}))[
            0
        ].image
    )
    seen.add(made(tmp_path, images=IMAGES.model_copy(update={"phases": (0, 1)}))[0].image)
    save(phase_path(tmp_path, 2), voxels(7))
    seen.add(made(tmp_path)[0].image)
    monkeypatch.setattr(cache, "VERSION", "another")
    seen.add(made(tmp_path)[0].image)
    assert len(seen) == 5


def test_the_same_comes_out_for_any_number_of_workers_and_in_the_order_asked_for(tmp_path: Path) -> None:
    patients = ["P3", "P1", "P2"]
    for patient in patients:
        study(tmp_path, patient)
    one = made(tmp_path, *patients)
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.unlink()
    assert made(tmp_path, *patients, workers=2) == one
    assert [item.patient for item in one] == patients


@pytest.mark.parametrize("of", ["slice", "volume"])
def test_one_field_is_taken_out_of_all_phases(tmp_path: Path, of: str) -> None:
    study(tmp_path)
    correction = {"of": of, "shrink": 2, "iterations": (5,)}
    wanted = Preprocessing.model_validate(SMALL.model_dump() | {"correction": correction, "slices": 2})
    (found,) = made(tmp_path, images=IMAGES.model_copy(update={"preprocessing": wanted}))
    picture = read_picture(tmp_path / "cache", str(found.image))
    assert picture.channels.shape == (2, 3, 32, 32)
    assert np.isfinite(picture.channels).all()


def test_a_damaged_picture_is_named_with_what_to_do(tmp_path: Path) -> None:
    study(tmp_path)
    (found,) = made(tmp_path)
    path = picture_path(tmp_path / "cache", str(found.image))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match="Remove it, and run the stage"):
        read_picture(tmp_path / "cache", str(found.image))


def test_a_data_set_that_is_not_there_stops_everything(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Images are expected as"):
        made(tmp_path)


def test_contact_sheets_show_every_slice_of_who_is_kept_and_are_the_same_bytes(tmp_path: Path) -> None:
    for number in range(3):
        study(tmp_path, f"P{number}")
    phase_path(tmp_path, 0, "P1").unlink()
    found = made(tmp_path, "P0", "P1", "P2")
    pages = contact_sheets(found, tmp_path / "cache", tmp_path / "sheets")
    assert [page.name for page in pages] == ["001.png"]
    before = pages[0].read_bytes()
    assert before.startswith(b"\x89PNG")
    contact_sheets(found, tmp_path / "cache", tmp_path / "sheets")
    assert pages[0].read_bytes() == before
    assert contact_sheets([], tmp_path / "cache", tmp_path / "none") == ()


def test_a_phase_is_declared_once() -> None:
    from relapse.ground.declarations import parse

    with pytest.raises(DeclarationError, match="phases: each is named once"):
        parse(DceMri, {"kind": "dce_mri", "folder": "x", "block": "b", "phases": [0, 1, 1]}, origin=Path("cohort.yaml"))
