"""What a service is sent becomes the picture that training makes, or is refused in the right words and little memory."""

import gzip
import io
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from relapse.cohorts.declared.images import DceMri, Preprocessing
from relapse.ground.errors import ImageError
from relapse.imaging.cache import make
from relapse.imaging.faults import FAULTS, UPLOAD_FAULTS
from relapse.imaging.reading.layout import Layout
from relapse.imaging.slices import Picture
from relapse.imaging.uploads import pack, picture_of_volumes, unpack

from .making import BROKEN, PATIENT, mask_path, phase_path, save, series, study, tumour, voxels

IMAGES = DceMri(
    kind="dce_mri", folder="here", block="imaging", preprocessing=Preprocessing(correction=None, size=32, margin=2)
)


def sent(root: Path) -> tuple[list[bytes], bytes]:
    return [phase_path(root, number).read_bytes() for number in range(3)], mask_path(root).read_bytes()


def zipped(*files: bytes, how: int = zipfile.ZIP_DEFLATED, name: str = "Jane Doe/IM{}.dcm") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as archive:
        for number, one in enumerate(files):
            archive.writestr(name.format(number), one)
    return content.getvalue()


def slices(folder: Path, slope: int = 1) -> list[bytes]:
    return [path.read_bytes() for path in series(folder, RescaleSlope=slope, RescaleIntercept=0)]


def equal(one: Picture, other: Picture) -> bool:
    pairs = ((one.channels, other.channels), (one.mask, other.mask), (one.width, other.width))
    return all(np.array_equal(*pair) for pair in pairs)


def refusal(act: Callable[[], object]) -> ImageError:
    with pytest.raises(ImageError) as caught:
        act()
    assert "Jane Doe" not in str(caught.value)
    assert caught.value.code in FAULTS | UPLOAD_FAULTS
    return caught.value


@pytest.mark.parametrize("plain", [False, True])
def test_volumes_become_the_picture_that_training_makes_of_them(tmp_path: Path, plain: bool) -> None:
    study(tmp_path)
    expected = make(Layout(tmp_path).study(PATIENT, IMAGES.phases), IMAGES.preprocessing)
    phases, mask = sent(tmp_path)
    if plain:
        phases[1] = save(tmp_path / "plain.nii", voxels(1)).read_bytes()
    assert equal(picture_of_volumes(phases, mask, IMAGES), expected)


def test_a_zip_of_a_series_is_that_series_whatever_its_files_are_called(tmp_path: Path) -> None:
    phases = [zipped(*slices(tmp_path / str(slope), slope)) for slope in (1, 2, 5)]
    marks = np.zeros((5, 6, 4), np.uint8)
    marks[1:3, 2:4, 1:3] = 1
    where = np.diag([-0.6, -0.5, 2.0, 1.0])
    where[:3, 3] = -10, -20, 30
    mask = save(tmp_path / "mask.nii.gz", marks, where).read_bytes()
    found = picture_of_volumes(phases, mask, IMAGES)
    assert found.channels.shape == (1, 3, 32, 32)
    # Folders and what macOS leaves beside each file do not count.
    content = io.BytesIO(phases[0])
    with zipfile.ZipFile(content, "a") as archive:
        archive.mkdir("more")
        archive.writestr("__MACOSX/._IM0.dcm", b"anything")
        archive.writestr(".DS_Store", b"anything")
    assert equal(picture_of_volumes([content.getvalue(), *phases[1:]], mask, IMAGES), found)


OF_FILES = [one for one in BROKEN if one.code not in {"patient-absent", "phase-absent", "phase-twice", "mask-absent"} and "_as_series" not in one.make.__code__.co_names]  # fmt: skip


@pytest.mark.parametrize("broken", OF_FILES, ids=lambda broken: broken.name)
def test_a_broken_volume_is_refused_as_training_sets_it_aside(tmp_path: Path, broken) -> None:
    broken.make(study(tmp_path))
    assert refusal(lambda: picture_of_volumes(*sent(tmp_path), IMAGES)).code == broken.code


def _flagged(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def _listing(content: bytes, count: int, size: int | None = None) -> bytes:
    changed = bytearray(content)
    changed[-12:-10] = struct.pack("<H", count)
    if size is not None:
        changed[-10:-6] = struct.pack("<L", size)
    return bytes(changed)


def _lying(content: bytes) -> bytes:
    """An archive that says its first file is small, where it unfolds to far more."""
    changed, at = bytearray(content), content.index(b"PK\x01\x02")
    changed[at + 24 : at + 28] = struct.pack("<L", 1000)
    return bytes(changed)


def _deflated(one: bytes) -> bytes:
    return one.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", 1)


ARCHIVES: dict[str, tuple[Callable[[list[bytes]], bytes], str, str]] = {
    "nothing": (lambda _: b"", "file-empty", "phase 0: the file is empty"),
    "a page": (lambda _: b"<html>Please log in</html>" * 30, "file-foreign", "phase 0: this is no NIfTI file"),
    "an empty archive": (lambda _: zipped(), "not-a-volume", "the series has 0 files"),
    "a truncated archive": (lambda some: zipped(*some)[:-30], "upload-archive", "ends too early"),
    "an archive with a comment": (lambda some: zipped(*some)[:-2] + b"\3\0abc", "upload-archive", "carries a comment"),
    "an archive in 64-bit form": (lambda some: zipped(*some)[:-22] + b"PK\6\7" + bytes(16) + zipped(*some)[-22:], "upload-archive", "64-bit"),
    "an archive of thousands": (lambda _: zipped(*[b""] * 2001), "upload-archive", "lists 2,001 files; at most 2,000"),
    "an archive that hides thousands": (lambda _: _listing(zipped(*[b""] * 2001), 4), "upload-archive", "lists 2,001 files"),
    "a directory of gigabytes": (lambda some: _listing(zipped(*some), 4, 1 << 31), "upload-archive", "at most 2,000"),
    "an encrypted archive": (lambda some: _flagged(zipped(*some)), "upload-encrypted", "without a password"),
    "an archive by another method": (lambda some: zipped(*some, how=zipfile.ZIP_LZMA), "upload-archive", "another way"),
    "an archive within an archive": (lambda some: zipped(some[0], zipped(*some)), "upload-nested", "slice 2 is an archive itself"),
    "a gzipped slice": (lambda some: zipped(some[0], b"\x1f\x8b" + some[1]), "upload-nested", "slice 2"),
    "a bomb": (lambda some: zipped(*some, *[bytes(3 << 20)] * 2), "upload-too-large", "unfolds to 6 MiB; at most 4 MiB"),
    "a bomb below the limit": (lambda _: zipped(bytes(3 << 20)), "upload-too-large", "at most 500 times what was sent"),
    "a bomb that says it is small": (lambda some: _lying(zipped(bytes(100 << 20), *some)), "upload-archive", "damaged"),
    "a file that is too large": (lambda _: bytes(6 << 20), "upload-too-large", "takes 6 MiB; at most 4 MiB"),
    "a changed archive": (lambda some: zipped(*some, how=0).replace(some[1][-20:], bytes(20)), "upload-archive", "damaged"),
    "notes among slices": (lambda some: zipped(*some, b"seen by Jane Doe" * 20), "file-foreign", "slice 5 is no DICOM file"),
    "an empty slice": (lambda some: zipped(*some, b""), "file-empty", "slice 5 is empty"),
    "a deflated slice": (lambda some: zipped(_deflated(some[0]), *some[1:]), "pixels-compressed", "slice 1 is deflated"),
    "a slice missing": (lambda some: zipped(*some[:2], some[3]), "series-gap", "mm apart"),
    "a path out of the folder": (lambda some: zipped(*some[:1], name="../../etc/Jane Doe{}"), "not-a-volume", "1 files"),
}  # fmt: skip


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_broken_upload_is_refused_in_the_right_words_and_in_bounded_memory(tmp_path: Path, case: str) -> None:
    build, code, words = ARCHIVES[case]
    content = build(slices(tmp_path / "series"))
    mask = save(tmp_path / "mask.nii.gz", tumour()).read_bytes()
    tracemalloc.start()
    found = refusal(lambda: picture_of_volumes([content] * 3, mask, IMAGES, limit=4 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.code, words in str(found)) == (code, True), str(found)
    assert peak < 16 << 20


def test_a_bomb_takes_no_memory_of_the_process() -> None:
    script = (
        "import io, resource, zipfile\n"
        "import numpy, pydicom, nibabel, scipy.ndimage\n"
        "from relapse.cohorts.declared.images import DceMri\n"
        "from relapse.ground.errors import ImageError\n"
        "from relapse.imaging.uploads import picture_of_volumes\n"
        "content = io.BytesIO()\n"
        "with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as archive:\n"
        "    with archive.open('one', 'w') as entry:\n"
        "        [entry.write(bytes(1 << 20)) for _ in range(1000)]\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: picture_of_volumes([content.getvalue()] * 3, b'', DceMri(kind='dce_mri', folder='x', block='imaging'))\n"
        "except ImageError as error: print(error.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, grown = ran.stdout.split()
    assert code == "upload-too-large"
    assert int(grown) < 20_000  # KiB


NESTED = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000

#: Bytes of a slice, what takes their place, and the code.
ELEMENTS = {
    "no rows": (b"US\2\0\6\0", b"US\2\0\0\0", "file-truncated"),
    "rows of three bytes": (b"US\2\0\6\0", b"US\3\0\6\0", "file-damaged"),
    "no bits": (b"US\2\0\x10\0", b"US\2\0\0\0", "file-truncated"),
    "spacing that is no number": (b"0.5\\0.6 ", b"nan\\nan ", "orientation-absent"),
    "spacing in words": (b"0.5\\0.6 ", b"Jane\\Doe", "file-damaged"),
    "sequences in sequences": (b"\xe0\x7f\x10\0", NESTED, "file-damaged"),
}


@pytest.mark.parametrize("case", ELEMENTS)
def test_elements_of_a_wrong_kind_are_faults_of_the_file(tmp_path: Path, case: str) -> None:
    right, wrong, code = ELEMENTS[case]
    some = [one.replace(right, wrong, 1 if case != "no bits" else 2) for one in slices(tmp_path / "series")]
    assert some[0] != slices(tmp_path / "again")[0]
    mask = save(tmp_path / "mask.nii.gz", tumour()).read_bytes()
    assert refusal(lambda: picture_of_volumes([zipped(*some)] * 3, mask, IMAGES)).code == code


def test_an_archive_may_hold_a_file_without_a_name(tmp_path: Path) -> None:
    content = zipped(*slices(tmp_path / "series"), name="A{}").replace(b"A3", b"\0A")
    mask = save(tmp_path / "mask.nii.gz", tumour()).read_bytes()
    assert refusal(lambda: picture_of_volumes([content] * 3, mask, IMAGES)).code == "mask-geometry"


@pytest.mark.parametrize("begins", [np.nan, np.inf, -1e30])
def test_a_beginning_of_the_voxels_that_is_no_place_is_a_fault(tmp_path: Path, begins: float) -> None:
    phases, mask = sent(study(tmp_path))
    changed = bytearray(gzip.decompress(phases[0]))
    changed[108:112] = np.array([begins], "<f4").tobytes()
    assert refusal(lambda: picture_of_volumes([bytes(changed), *phases[1:]], mask, IMAGES)).code == "header-broken"


def test_another_number_of_phases_is_refused(tmp_path: Path) -> None:
    phases, mask = sent(study(tmp_path))
    found = refusal(lambda: picture_of_volumes(phases[:2], mask, IMAGES))
    assert (found.code, "2 phases were sent, and 3 are needed: 0, 1, last" in str(found)) == ("upload-phases", True)


def test_a_fault_of_the_mask_is_said_to_be_the_masks(tmp_path: Path) -> None:
    phases, _ = sent(study(tmp_path))
    assert str(refusal(lambda: picture_of_volumes(phases, b"", IMAGES))).startswith("mask: the file is empty")


def drawn(size: int = 32, phases: int = 3, **changed: np.ndarray) -> Picture:
    rng = np.random.default_rng(0)
    mask = np.zeros((1, size, size), bool)
    mask[:, 8:20, 8:20] = True
    parts = {
        "channels": rng.standard_normal((1, phases, size, size)).astype(np.float16),
        "mask": mask,
        "width": np.array([30], np.float32),
    }
    return Picture(**(parts | changed))


def test_a_picture_comes_back_as_it_was_packed(tmp_path: Path) -> None:
    made = picture_of_volumes(*sent(study(tmp_path)), IMAGES)
    assert equal(unpack(pack(made), IMAGES), made)
    assert pack(made) == pack(made)


def _saved(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(content, **arrays)
    return content.getvalue()


def _arrays(one: Picture, **changed: np.ndarray) -> dict[str, np.ndarray]:
    return {"channels": one.channels, "mask": np.packbits(one.mask, axis=-1), "width": one.width} | changed


def _with(place: tuple[int, ...], value: float) -> Picture:
    made = drawn()
    made.channels[place] = value
    return made


def _pickled() -> bytes:
    return _saved(**_arrays(drawn(), width=np.array([object.__name__], dtype=object)))


PICTURES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "nothing": (lambda: b"", "upload-archive", "no zip archive"),
    "a page": (lambda: b"<html>" * 100, "upload-archive", "no zip archive"),
    "a truncated picture": (lambda: pack(drawn())[:-100], "upload-archive", "ends too early"),
    "a damaged picture": (lambda: pack(drawn())[:500] + bytes(200) + pack(drawn())[700:], "upload-archive", "damaged"),
    "a larger picture": (lambda: pack(drawn(64)), "upload-too-large", "one of this model takes at most"),
    "a smaller picture": (lambda: pack(drawn(24)), "upload-picture", "its channels have another size"),
    "another number of phases": (lambda: pack(drawn(phases=2)), "upload-picture", "its channels have another size"),
    "another kind of number": (lambda: _saved(**_arrays(drawn(), channels=drawn().channels.view(np.int16))), "upload-picture", "another kind or shape"),
    "another shape": (lambda: _saved(**_arrays(drawn(), channels=drawn().channels.reshape(3, 1, 32, 32))), "upload-picture", "another kind or shape"),
    "pickled objects": (_pickled, "upload-picture", "packed by this service"),
    "a compressed picture": (lambda: _saved(True, **_arrays(drawn())), "upload-picture", "its channels have another size"),
    "an array too many": (lambda: _saved(**_arrays(drawn()), more=np.zeros(1)), "upload-picture", "does not hold channels, mask and width"),
    "an array missing": (lambda: _saved(channels=drawn().channels), "upload-picture", "does not hold"),
    "a bomb": (lambda: _saved(True, **_arrays(drawn(), channels=np.zeros((1, 3, 4096, 4096), np.float16)))[:], "upload-too-large", "takes"),
    "no numbers": (lambda: pack(_with((0, 1, 5, 5), np.nan)), "not-finite", "not finite"),
    "endless numbers": (lambda: pack(_with((0, 1, 5, 5), np.inf)), "not-finite", "not finite"),
    "intensities as they were": (lambda: pack(_with((0, 1, 5, 5), 900)), "upload-picture", "not standardised: they lie up to 900"),
    "an endless width": (lambda: pack(drawn(width=np.array([np.nan], np.float32))), "not-finite", "not finite"),
    "a width below the margin": (lambda: pack(drawn(width=np.array([3], np.float32))), "upload-picture", "margin of 2 mm"),
    "an impossible width": (lambda: pack(drawn(width=np.array([900], np.float32))), "upload-picture", "its width"),
    "an empty mask": (lambda: pack(drawn(mask=np.zeros((1, 32, 32), bool))), "mask-empty", "marks nothing"),
    "one value": (lambda: pack(_with((0, 0), 1.0)), "constant", "a constant"),
    "no contrast": (lambda: pack(drawn(channels=np.repeat(drawn().channels[:, :1], 3, 1))), "phases-equal", "channel 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", PICTURES)
def test_what_is_no_picture_of_ours_is_refused_in_the_right_words(case: str) -> None:
    build, code, words = PICTURES[case]
    found = refusal(lambda: unpack(build(), IMAGES))
    assert (found.code, words in str(found)) == (code, True), str(found)


def test_a_difference_of_nothing_is_no_contrast() -> None:
    images = IMAGES.model_copy(
        update={"preprocessing": IMAGES.preprocessing.model_copy(update={"channels": "subtraction"})}
    )
    assert refusal(lambda: unpack(pack(_with((0, 1), 0.0)), images)).code == "phases-equal"
    assert unpack(pack(drawn(channels=np.repeat(drawn().channels[:, :1], 3, 1))), images)


def test_every_code_of_uploads_is_planted_and_caught() -> None:
    caught = {code for _, code, _ in (*ARCHIVES.values(), *PICTURES.values())} | {"upload-phases"}
    assert set(UPLOAD_FAULTS) <= caught
