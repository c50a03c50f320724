"""From slices to squares: the right slice, turned the right way up, cropped to the tumour at the declared scale."""

from pathlib import Path

import numpy as np
import pytest

from relapse.cohorts.declared.images import Preprocessing
from relapse.imaging.slices import (
    cut,
    largest_piece,
    picture,
    plane_axis,
    sampled,
    square,
    standardised,
    tumour_slices,
)

PLAIN = Preprocessing(correction=None, spacing=None, margin=2, size=32, clip=(0, 100))


def test_the_middle_slice_of_the_tumour_is_taken_and_several_are_spread_over_it() -> None:
    mask = np.zeros((4, 5, 20), dtype=bool)
    mask[2, 2, 4:13] = True
    assert tumour_slices(mask, 2, 1).tolist() == [8]
    assert tumour_slices(mask, 2, 3).tolist() == [5, 8, 11]
    assert tumour_slices(mask, 0, 3).tolist() == [2, 2, 2]


def test_slices_are_turned_as_they_are_looked_at() -> None:
    # Axes run to the left-to-right, back-to-front and feet-to-head side; the value says where.
    where = np.stack(np.meshgrid(*[np.arange(size) for size in (3, 4, 5)], indexing="ij"), -1)
    axial = cut(where[..., 1], 2, np.array([0]))[0]
    assert axial.shape == (4, 3)
    assert (axial[0, 0], axial[-1, 0]) == (3, 0)  # front up
    assert cut(where[..., 0], 2, np.array([0]))[0][0].tolist() == [2, 1, 0]  # the patient's right on the left
    assert cut(where[..., 2], 0, np.array([0]))[0][:, 0].tolist() == [4, 3, 2, 1, 0]  # head up


@pytest.mark.parametrize(("plane", "axis"), [("acquired", 1), ("axial", 2), ("sagittal", 0), ("coronal", 1)])
def test_planes_are_axes_of_the_patient_or_the_scanners(plane: str, axis: int) -> None:
    assert plane_axis(Preprocessing(plane=plane), 1) == axis


def test_specks_do_not_decide_the_crop() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[4:8, 5:9] = True
    mask[18, 18] = True
    assert largest_piece(mask).sum() == 16
    assert square(largest_piece(mask), (1.0, 1.0), 0)[1] == 4
    assert square(mask, (1.0, 1.0), 0)[1] == 15


def test_a_square_is_measured_in_millimetres_and_lies_around_the_tumour() -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[10:14, 6:16] = True
    corner, width = square(mask, (2.0, 0.5), 3.0)
    assert width == 4 * 2.0 + 2 * 3.0
    assert corner == (10 * 2.0 - 3.0, 8 * 0.5 + 1.5 - 7.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0)])
def test_a_ramp_stays_the_same_ramp(spacing: tuple[float, float]) -> None:
    rows = (np.arange(40) + 0.5) * spacing[0]
    image = np.repeat(rows[:, None], 40, 1).astype(np.float32)
    found = sampled(image, (5.0, 5.0), 8.0, spacing, 16, nearest=False)
    np.testing.assert_allclose(found[:, 0], 5.0 + (np.arange(16) + 0.5) * 0.5, atol=1e-5)


def test_all_phases_of_a_slice_share_one_mean_and_one_deviation() -> None:
    rng = np.random.default_rng(0)
    phases = rng.uniform(0, 1, (3, 40, 40)).astype(np.float32)
    phases[:, 10:30, 10:30] += np.array([5, 9, 8], dtype=np.float32)[:, None, None]
    found = standardised(phases, (0, 100))
    inside = found[:, 10:30, 10:30]
    np.testing.assert_allclose((inside.mean(), inside.std()), (0, 1), atol=1e-3)
    assert inside[0].mean() < inside[2].mean() < inside[1].mean()
    # Gain and offset of a scanner are gone.
    np.testing.assert_allclose(standardised(3 * phases + 7, (0, 100)), found, atol=1e-4)


def test_the_tumour_fills_the_square_but_for_its_margin() -> None:
    phases = np.random.default_rng(0).uniform(1, 2, (3, 1, 50, 50)).astype(np.float32)
    mask = np.zeros((1, 50, 50), dtype=bool)
    mask[0, 20:32, 25:37] = True
    made = picture(phases, mask, (1.0, 1.0), PLAIN)
    assert made.channels.shape == (1, 3, 32, 32)
    assert made.width.tolist() == [16]
    assert made.mask[0, 4:28, 4:28].all()
    assert made.mask.sum() == 24 * 24


def test_subtraction_shows_uptake_and_wash_out() -> None:
    phases = np.ones((3, 1, 40, 40), dtype=np.float32)
    phases[:, :, 10:30, 10:30] = np.array([2, 9, 6], dtype=np.float32)[:, None, None, None]
    mask = np.zeros((1, 40, 40), dtype=bool)
    mask[0, 12:28, 12:28] = True
    made = picture(phases, mask, (1.0, 1.0), PLAIN.model_copy(update={"channels": "subtraction"}))
    middle = made.channels[0, :, 16, 16]
    assert middle[1] > 0 > middle[2]


def test_a_slice_without_contrast_of_any_kind_gives_no_infinities() -> None:
    mask = np.zeros((1, 40, 40), dtype=bool)
    mask[0, 3:5, 3:5] = True
    made = picture(np.full((3, 1, 40, 40), 7, dtype=np.float32), mask, (1.0, 1.0), PLAIN)
    assert np.isfinite(made.channels).all()


def test_real_slices_become_squares_around_their_masks(slices: Path) -> None:
    from PIL import Image

    for path in sorted((slices / "images").iterdir())[:6]:
        image = np.asarray(Image.open(path), dtype=np.float32)
        mask = largest_piece(np.asarray(Image.open(slices / "masks" / path.name)).max(-1) > 0)
        made = picture(image[None, None], mask[None], (0.7, 0.7), Preprocessing())
        assert made.channels.shape == (1, 1, 224, 224)
        assert 0.002 < made.mask.mean() < 0.9
        assert made.mask[0, 60:164, 60:164].any()
        assert made.channels.astype(np.float32).std() > 0.1
