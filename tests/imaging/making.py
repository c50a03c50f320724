"""Small studies in MAMA-MIA's layout and DICOM series, whole and broken in every way that a fault has a code for."""

import gzip
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

PATIENT = "P1"
SHAPE = (12, 14, 6)


def voxels(phase: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    rng = np.random.default_rng(phase)
    return rng.integers(100, 900, shape).astype(np.int16)


def tumour(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[4:8, 5:9, 2:5] = 1
    return mask


def affine(spacing: tuple[float, float, float] = (0.8, 0.7, 2.0)) -> NDArray[np.float64]:
    return np.diag([*spacing, 1.0])


def save(path: Path, values: NDArray[np.generic], where: NDArray[np.float64] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(values, affine() if where is None else where).to_filename(path)
    return path


def phase_path(root: Path, number: int, patient: str = PATIENT) -> Path:
    return root / "images" / patient / f"{patient}_{number:04d}.nii.gz"


def mask_path(root: Path, patient: str = PATIENT) -> Path:
    return root / "segmentations" / "expert" / f"{patient}.nii.gz"


def study(root: Path, patient: str = PATIENT, phases: int = 3) -> Path:
    """A whole study; returns ``root``."""
    for number in range(phases):
        save(phase_path(root, number, patient), voxels(number))
    save(mask_path(root, patient), tumour())
    return root


def series(folder: Path, slices: int = 4, **changed: object) -> list[Path]:
    """A DICOM series of small slices; ``changed`` are elements set on every slice (None: left out)."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number in range(slices):
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"1.2.3.{number + 1}"
        data.SeriesInstanceUID = "1.2.3.99"
        data.Rows, data.Columns = 6, 5
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 0
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.PixelSpacing = [0.5, 0.6]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [10, 20, 30 + 2 * number]
        data.PixelData = (np.arange(30, dtype=np.uint16).reshape(6, 5) + 100 * number).tobytes()
        for name, value in changed.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)
        # Names in another order than places.
        path = folder / f"{(number * 7 + 3) % 11:02d}-{number}.dcm"
        data.save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def edit(path: Path, **elements: object) -> None:
    """Set elements of a DICOM file."""
    import pydicom

    data = pydicom.dcmread(path)
    for name, value in elements.items():
        setattr(data, name, value)
    data.save_as(path)


@contextmanager
def unpacked(path: Path) -> Iterator[bytearray]:
    """The bytes of a gzipped NIfTI file, to be changed in place, and packed again."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    yield content
    path.write_bytes(gzip.compress(bytes(content)))


def _set(path: Path, start: int, kind: str, *values: float) -> None:
    with unpacked(path) as content:
        packed = np.array(values, dtype=kind).tobytes()
        content[start : start + len(packed)] = packed


def _cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-8] ^= 0xFF  # in the checksum
    path.write_bytes(bytes(content))


def _repacked(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def _not_finite(root: Path) -> None:
    values = voxels(1).astype(np.float32)
    values[3, 3, 3] = np.nan
    save(phase_path(root, 1), values)


def _shifted(by: float) -> NDArray[np.float64]:
    moved = affine()
    moved[0, 3] = by
    return moved


def _as_series(root: Path, **changed: object) -> list[Path]:
    phase_path(root, 1).unlink()
    return series(phase_path(root, 1).with_name(f"{PATIENT}_0001"), **changed)


def _bomb(root: Path) -> None:
    """A small file that declares, and holds, far more than it may."""
    path = phase_path(root, 0)
    with unpacked(path) as content:
        content[42:48] = np.array([2000, 2000, 2000], dtype="<i2").tobytes()


@dataclass(frozen=True)
class Broken:
    """One way in which a study is broken: what it is made by, the code, and words that the message has to hold."""

    name: str
    make: Callable[[Path], object]
    code: str
    words: str


BROKEN = (
    Broken("no folder of images", lambda root: shutil.rmtree(root / "images" / PATIENT), "patient-absent", "no folder of this name"),
    Broken("an empty folder", lambda root: [path.unlink() for path in (root / "images" / PATIENT).iterdir()], "phase-absent", "holds no file named"),
    Broken("a phase missing in the middle", lambda root: phase_path(root, 1).unlink(), "phase-absent", "phase 1 is missing; there are 0, 2"),
    Broken("no phase before contrast", lambda root: phase_path(root, 0).unlink(), "phase-absent", "phase 0 is missing"),
    Broken("one phase too few", lambda root: phase_path(root, 2).unlink(), "phase-absent", "one more is needed"),
    Broken("a phase packed and unpacked", lambda root: save(phase_path(root, 1).with_suffix(""), voxels(1)), "phase-twice", "phase 1 is there twice"),
    Broken("no mask", lambda root: mask_path(root).unlink(), "mask-absent", "segmentations/expert"),
    Broken("an empty file", lambda root: phase_path(root, 0).write_bytes(b""), "file-empty", "is empty. Fetch it again"),
    Broken("a truncated gzip file", lambda root: _cut(phase_path(root, 0), 0.6), "file-truncated", "ends in the middle"),
    Broken("a truncated mask", lambda root: _cut(mask_path(root), 0.6), "file-truncated", "P1.nii.gz: the compressed file ends"),
    Broken("a wrong checksum", lambda root: _flip(phase_path(root, 0)), "file-damaged", "is damaged .CRC check failed"),
    Broken("fewer voxels than declared", lambda root: _repacked(phase_path(root, 0), lambda content: content[:-500]), "file-truncated", "declares 2,016 bytes of voxels, and the file holds 1,516"),
    Broken("far more bytes than declared", lambda root: _repacked(phase_path(root, 0), lambda content: content + bytes(100_000)), "header-broken", "goes on after the 2,016 bytes"),
    Broken("a page of HTML", lambda root: phase_path(root, 0).write_text("<html>Please log in</html>" * 30), "file-foreign", "no NIfTI file"),
    Broken("a header without its mark", lambda root: _set(phase_path(root, 0), 344, "u1", 0, 0, 0), "file-foreign", "its mark is missing"),
    Broken("voxels in another file", lambda root: _set(phase_path(root, 0), 344, "u1", *b"ni1"), "file-foreign", "stand in another file"),
    Broken("a decompression bomb", _bomb, "file-too-large", "2000 × 2000 × 2000 voxels of 2 bytes, 15,259 MiB; at most 512 MiB"),
    Broken("negative sizes", lambda root: _set(phase_path(root, 0), 42, "<i2", -3), "header-broken", "declares sizes of -3"),
    Broken("a hundred dimensions", lambda root: _set(phase_path(root, 0), 40, "<i2", 100), "header-broken", "100 dimensions"),
    Broken("four dimensions", lambda root: save(phase_path(root, 0), np.stack([voxels(0), voxels(1)], -1)), "not-a-volume", "12 × 14 × 6 × 2 voxels, not one volume"),
    Broken("a single slice", lambda root: save(phase_path(root, 0), voxels(0)[:, :, :1]), "not-a-volume", "several rows, columns and slices"),
    Broken("complex numbers", lambda root: save(phase_path(root, 0), voxels(0).astype(np.complex64)), "not-greyscale", "complex numbers or colours"),
    Broken("an unknown kind of voxel", lambda root: _set(phase_path(root, 0), 70, "<i2", 4095), "header-broken", "kind of voxel .4095. unknown"),
    Broken("no spacing", lambda root: _set(phase_path(root, 0), 80, "<f4", 0, 0, 0), "spacing-absent", "gives no spacing"),
    Broken("spacing in metres", lambda root: save(phase_path(root, 0), voxels(0), affine((0.0008, 0.0007, 0.002))), "spacing-absent", "0.02 to 30 mm are possible"),
    Broken("no orientation", lambda root: _set(phase_path(root, 0), 252, "<i2", 0, 0), "orientation-absent", "how the voxels lie in the patient"),
    Broken("axes that span no volume", lambda root: _set(phase_path(root, 0), 280, "<f4", 0, 0, 0), "orientation-absent", "do not span a volume"),
    Broken("voxels that are no numbers", _not_finite, "not-finite", "1 of 1,008 voxels are not finite"),
    Broken("a phase of one value", lambda root: save(phase_path(root, 1), np.full(SHAPE, 7, dtype=np.int16)), "constant", "second declared phase are equal"),
    Broken("the same phase twice", lambda root: shutil.copyfile(phase_path(root, 1), phase_path(root, 2)), "phases-equal", "third declared phase is the same image"),
    Broken("phases of other sizes", lambda root: save(phase_path(root, 1), voxels(1, (12, 14, 7))), "geometry-differs", "12 × 14 × 7 and 12 × 14 × 6"),
    Broken("a phase that was moved", lambda root: save(phase_path(root, 1), voxels(1), _shifted(3)), "geometry-differs", "up to 3.00 mm apart"),
    Broken("phases of other spacing", lambda root: save(phase_path(root, 1), voxels(1), affine((0.8, 0.8, 2))), "geometry-differs", "mm apart"),
    Broken("a mask of another size", lambda root: save(mask_path(root), tumour((12, 14, 7))), "mask-geometry", "mask and phases have"),
    Broken("a mask elsewhere", lambda root: save(mask_path(root), tumour(), _shifted(-5)), "mask-geometry", "up to 5.00 mm apart"),
    Broken("an empty mask", lambda root: save(mask_path(root), np.zeros(SHAPE, np.uint8)), "mask-empty", "marks no voxel"),
    Broken("a mask inside out", lambda root: save(mask_path(root), 1 - tumour()), "mask-full", "turned inside out"),
    Broken("a mask of shares", lambda root: save(mask_path(root), tumour() * np.float32(0.5)), "mask-values", "between or below its labels"),
    Broken("a series of one slice", lambda root: _as_series(root, slices=1), "not-a-volume", "the series has 1 files"),
    Broken("a file among slices that is no slice", lambda root: (_as_series(root)[0].parent / "notes.txt").write_text("seen"), "file-foreign", "notes.txt is no DICOM file"),
    Broken("two series in a folder", lambda root: edit(_as_series(root)[1], SeriesInstanceUID="1.2.3.98"), "series-mixed", "2 series"),
    Broken("a slice missing", lambda root: _as_series(root)[2].unlink(), "series-gap", "slices lie 2.00 to 4.00 mm apart"),
    Broken("a slice twice", lambda root: edit(_as_series(root)[2], ImagePositionPatient=[10, 20, 32]), "series-gap", "1 slices are there twice"),
    Broken("slices of other size", lambda root: edit(_as_series(root)[2], Rows=5, Columns=6), "series-uneven", "differ in size"),
    Broken("a slice in another direction", lambda root: edit(_as_series(root)[2], ImageOrientationPatient=[0, 1, 0, 0, 0, 1]), "series-uneven", "differ in direction"),
    Broken("slices without spacing", lambda root: _as_series(root, PixelSpacing=None), "spacing-absent", "PixelSpacing"),
    Broken("slices without a place", lambda root: _as_series(root, ImagePositionPatient=None), "orientation-absent", "where it lies"),
    Broken("a header without an image", lambda root: _as_series(root, Rows=None), "pixels-absent", "Rows is missing"),
    Broken("slices without pixels", lambda root: _as_series(root, PixelData=None), "pixels-absent", "holds no pixels"),
    Broken("slices with too few pixels", lambda root: _as_series(root, PixelData=b"1234"), "file-truncated", "pixels cannot be read"),
    Broken("slices of several frames", lambda root: _as_series(root, NumberOfFrames=2), "not-a-volume", "several frames"),
    Broken("slices in colour", lambda root: _as_series(root, SamplesPerPixel=3), "not-greyscale", "has colours"),
    Broken("a series far too large", lambda root: _as_series(root, Rows=65535, Columns=65535), "file-too-large", "at most 512 MiB are read"),
)  # fmt: skip
