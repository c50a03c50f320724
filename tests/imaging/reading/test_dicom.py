"""DICOM series: slices come into their order, on the grid that NIfTI's converters put them on."""

from pathlib import Path

import numpy as np
import pytest

from relapse.ground.errors import ImageError
from relapse.imaging.reading.dicom import read_series

from ..making import edit, series


def test_slices_are_sorted_by_where_they_lie_whatever_their_files_are_called(tmp_path: Path) -> None:
    series(tmp_path)
    volume = read_series(tmp_path)
    assert volume.shape == (5, 6, 4)
    np.testing.assert_allclose(volume.values[0, 0], [0, 100, 200, 300])
    np.testing.assert_allclose(volume.values[:, 0, 0], np.arange(5))
    np.testing.assert_allclose(volume.spacing, (0.6, 0.5, 2.0))
    # DICOM's axes point left and back, NIfTI's right and to the front.
    np.testing.assert_allclose(volume.affine[:3, 3], [-10, -20, 30])


def test_each_slice_is_rescaled_by_its_own_factors(tmp_path: Path) -> None:
    files = series(tmp_path, RescaleSlope=1, RescaleIntercept=0)
    edit(files[1], RescaleSlope=2, RescaleIntercept=5)
    np.testing.assert_allclose(read_series(tmp_path).values[0, 0], [0, 205, 200, 300])


def test_the_same_volume_as_simpleitk_reads(tmp_path: Path) -> None:
    import SimpleITK as sitk

    series(tmp_path, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=None)
    for number, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path.stem[-1])):
        edit(path, ImagePositionPatient=[3 - 2.5 * number, 1, 2])
    found = read_series(tmp_path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    image = reader.Execute()
    theirs = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    place = np.array(image.TransformIndexToPhysicalPoint((1, 2, 3))) * [-1, -1, 1]
    mine = np.rint(np.linalg.inv(found.affine) @ [*place, 1])[:3].astype(int)
    assert found.values[tuple(mine)] == theirs[1, 2, 3]


def test_real_slices_of_duke_are_read(duke: Path) -> None:
    volume = read_series(duke)
    assert volume.shape == (512, 512, 3)
    np.testing.assert_allclose(volume.spacing, (0.5859, 0.5859, 3.0), atol=1e-4)
    turned = volume.canonical()
    assert turned.slice_axis == 2
    # From the feet to the head, as the canonical axis runs: the third file lies lowest.
    np.testing.assert_allclose(turned.affine[2, 3], 83.7563, atol=1e-3)
    assert np.asarray(volume.values).max() > 100


def test_no_patient_is_named_where_a_series_is_refused(duke: Path, tmp_path: Path) -> None:
    for number, path in enumerate(sorted(duke.iterdir())[:2]):
        (tmp_path / f"{number}.dcm").write_bytes(path.read_bytes()[: None if number else 20_000])
    with pytest.raises(ImageError, match=r"0\.dcm") as caught:
        read_series(tmp_path)
    assert "Breast_MRI" not in str(caught.value)
