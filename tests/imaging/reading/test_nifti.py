"""NIfTI files: what was written comes back, in its place; what was not is refused before it takes memory."""

import gzip
import io
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from relapse.ground.errors import ImageError
from relapse.imaging.reading.nifti import nifti_from, read_nifti

from ..making import affine, save, unpacked, voxels


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_voxels_and_their_places_are_what_nibabel_reads(tmp_path: Path, kind: type, ending: str) -> None:
    path = save(tmp_path / f"volume{ending}", (voxels() % 200).astype(kind))
    found, expected = read_nifti(path), nib.load(path)
    np.testing.assert_array_equal(found.values, np.asanyarray(expected.dataobj))
    np.testing.assert_allclose(found.affine, expected.affine)
    np.testing.assert_allclose(found.spacing, (0.8, 0.7, 2.0))


def test_the_other_byte_order_and_the_second_version_are_read(tmp_path: Path) -> None:
    image = nib.Nifti2Image(voxels(), affine())
    image.to_filename(tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "two.nii.gz").values, voxels())
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nib.Nifti1Image(voxels(), affine(), header=header).to_filename(tmp_path / "big.nii")
    np.testing.assert_array_equal(read_nifti(tmp_path / "big.nii").values, voxels())


def test_scaled_voxels_are_scaled(tmp_path: Path) -> None:
    path = save(tmp_path / "scaled.nii.gz", voxels())
    with unpacked(path) as content:
        content[112:120] = np.array([0.5, -3.0], dtype="<f4").tobytes()
    np.testing.assert_allclose(read_nifti(path).values, voxels() * 0.5 - 3.0)


def test_a_gzipped_file_may_be_named_as_if_it_were_not(tmp_path: Path) -> None:
    path = save(tmp_path / "volume.nii", voxels())
    packed = tmp_path / "packed.nii"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read_nifti(packed).values, voxels())


def test_turning_to_the_patients_axes_moves_no_voxel_and_knows_the_slices(tmp_path: Path) -> None:
    # Sagittal slices: columns run to the back, rows downwards, slices to the right.
    sagittal = np.array([[0, 0, 3.0, -5], [-1.0, 0, 0, 7], [0, -1.5, 0, 9], [0, 0, 0, 1]])
    found = read_nifti(save(tmp_path / "volume.nii.gz", voxels(), sagittal))
    turned = found.canonical()
    np.testing.assert_allclose(turned.spacing, (3.0, 1.0, 1.5))
    assert turned.slice_axis == 0
    place = np.linalg.inv(turned.affine) @ found.affine @ [2, 3, 4, 1]
    index = tuple(np.rint(place[:3]).astype(int))
    np.testing.assert_allclose(place[:3], index, atol=1e-6)
    assert turned.values[index] == found.values[2, 3, 4]


def test_a_bomb_takes_no_memory() -> None:
    stream = io.BytesIO()
    nib.Nifti1Image(voxels(), affine()).to_stream(stream)
    header = bytearray(stream.getvalue()[:352])
    header[42:48] = np.array([1000, 1000, 100], dtype="<i2").tobytes()
    packed = io.BytesIO(gzip.compress(bytes(header) + bytes(200_000_000), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(ImageError, match="at most 16 MiB"):
        nifti_from(packed, limit=1 << 24)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
