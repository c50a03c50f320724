"""Every way in which a patient's images can be broken ends in the right words, and has its code."""

import pickle
from pathlib import Path

import pytest

from relapse.ground.errors import ImageError, SourceError
from relapse.imaging.checks import check_contrast, check_grid, check_mask, check_phase
from relapse.imaging.faults import FAULTS, fault
from relapse.imaging.reading.layout import Layout, read_volume

from .making import BROKEN, PATIENT, Broken, phase_path, series, study

PHASES = (0, 1, "last")


def read(root: Path) -> None:
    """Read and check a whole study."""
    files = Layout(root).study(PATIENT, PHASES)
    first = read_volume(files.phases[0])
    check_mask(read_volume(files.mask), first)
    former = first
    for number, path in enumerate(files.phases, start=1):
        volume = read_volume(path)
        check_grid(volume, first, code="geometry-differs", what="phases")
        check_phase(volume, number=number)
        if number > 1:
            check_contrast(former.values, volume.values, number=number)
        former = volume


def test_a_whole_study_passes(tmp_path: Path) -> None:
    read(study(tmp_path))


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_broken_study_ends_in_the_right_words(tmp_path: Path, broken: Broken) -> None:
    study(tmp_path)
    broken.make(tmp_path)
    with pytest.raises(ImageError, match=broken.words) as caught:
        read(tmp_path)
    assert caught.value.code == broken.code


def test_every_code_is_planted_and_caught() -> None:
    elsewhere = {"patient-name", "file-unreadable", "pixels-compressed"}
    assert {broken.code for broken in BROKEN} | elsewhere == set(FAULTS)


@pytest.mark.parametrize("name", ["../P1", "P1/..", "", "..", "/etc", "P1\n", "a b"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match="letters, digits, dots") as caught:
        Layout(study(tmp_path)).study(name, PHASES)
    assert caught.value.code == "patient-name"


def test_names_are_found_in_upper_and_lower_case(tmp_path: Path) -> None:
    study(tmp_path, "duke_001")
    (tmp_path / "images" / "duke_001").rename(tmp_path / "images" / "DUKE_001")
    layout = Layout(tmp_path)
    assert layout.patients() == ("DUKE_001",)
    found = layout.study("DUKE_001", PHASES)
    assert [path.name for path in found.files] == [f"duke_001_000{k}.nii.gz" for k in range(3)] + ["duke_001.nii.gz"]


def test_a_folder_without_images_is_a_fault_of_the_declaration(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"images: no such folder. Images are expected as") as caught:
        Layout(tmp_path).patients()
    assert not isinstance(caught.value, ImageError)


def test_a_file_that_may_not_be_opened_is_named(tmp_path: Path) -> None:
    study(tmp_path)
    path = phase_path(tmp_path, 1)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ImageError, match=r"P1_0001.nii.gz: cannot be opened") as caught:
        read(tmp_path)
    assert caught.value.code == "file-unreadable"


def test_pixels_compressed_in_a_way_that_is_not_read_are_named(tmp_path: Path) -> None:
    import pydicom
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    for path in series(tmp_path / "P1_0001"):
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = JPEG2000Lossless
        data.PixelData = encapsulate([b"not looked at"])
        data["PixelData"].is_undefined_length = True
        data.save_as(path)
    with pytest.raises(ImageError, match=r"is compressed .JPEG 2000") as caught:
        read_volume(tmp_path / "P1_0001")
    assert caught.value.code == "pixels-compressed"


def test_a_fault_comes_whole_out_of_a_worker() -> None:
    error = pickle.loads(pickle.dumps(fault("mask-empty", "the words")))
    assert (error.code, str(error)) == ("mask-empty", "the words")
    with pytest.raises(KeyError):
        fault("not-a-code", "")
