"""The breast in a film: what is tissue stays, what is not goes, and places are found again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from relapse.ground.errors import ImageError
from relapse.imaging.films.breast import WORKING, Breast, breast_of
from relapse.imaging.reading.film import Film

from .drawn import SPACING, Drawn, draw


def read(drawn: Drawn, view: str = "MLO") -> Breast:
    return breast_of(Film(drawn.values.astype(np.float32), SPACING, view=view))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


@pytest.mark.parametrize("wedge", [False, True])
def test_breast_and_muscle_are_found(wedge: bool) -> None:
    drawn = draw(wedge=wedge)
    breast = read(drawn)
    assert overlap(breast.mask, drawn.tissue) > 0.97
    assert overlap(breast.pectoral, drawn.muscle) > 0.9
    assert not (breast.mask & breast.pectoral).any()
    assert not ((breast.mask | breast.pectoral) & drawn.things).any()
    assert breast.notes == ()


def test_the_chest_wall_comes_to_the_left() -> None:
    left, right = read(draw()), read(draw(right=True))
    assert not left.mirrored
    assert right.mirrored
    np.testing.assert_array_equal(left.image, right.image)
    np.testing.assert_array_equal(left.mask, right.mask)


def test_no_tissue_is_lost_where_no_muscle_is_seen() -> None:
    for dense in (0.0, 0.3, 0.6):
        for seed in range(3):
            drawn = draw(seed=seed, muscle=False, dense=dense)
            breast = read(drawn)
            assert overlap(breast.mask, drawn.tissue) > 0.97, (dense, seed)
    assert any("No pectoral muscle" in note for note in breast.notes)


def test_a_view_from_above_is_not_cut() -> None:
    drawn = draw()
    breast = read(drawn, view="CC")
    assert not breast.pectoral.any()
    assert breast.notes == ()
    assert (breast.mask & drawn.muscle).sum() > 0.97 * drawn.muscle.sum()


def test_grey_levels_do_not_depend_on_how_a_film_was_scaled() -> None:
    drawn = draw()
    breast = read(drawn)
    scaled = breast_of(Film(drawn.values.astype(np.float32) * 7 - 300, SPACING, view="MLO"))
    np.testing.assert_allclose(breast.image, scaled.image, atol=1e-4)
    np.testing.assert_array_equal(breast.mask, scaled.mask)
    assert breast.image.min() == 0
    assert breast.image.max() == 1
    assert np.median(breast.image[drawn.things]) == 1  # a label is bright, and still no tissue


def test_a_fine_film_is_looked_at_with_the_working_spacing() -> None:
    drawn = draw(right=True)
    fine = np.kron(drawn.values.astype(np.float32), np.ones((6, 6), dtype=np.float32)).astype(np.float32)
    breast = breast_of(Film(fine, SPACING / 6, view="MLO"))
    assert breast.spacing == pytest.approx(WORKING, rel=0.01)
    assert breast.shape == fine.shape
    assert breast.scale == pytest.approx(WORKING * 6 / SPACING, rel=0.01)
    coarse = read(drawn)
    area = breast.mask.sum() * breast.spacing**2
    assert area == pytest.approx(coarse.mask.sum() * SPACING**2, rel=0.02)


def test_places_are_found_again() -> None:
    drawn = draw(right=True)
    values = drawn.values.astype(np.float32)
    values[200:203, 280:283] = 9000
    breast = breast_of(Film(values, SPACING, view="MLO"))
    row, column = breast.of_film(281, 201)
    assert breast.image[round(row), round(column)] == 1
    assert breast.image[round(row), round(column) + 4] < 1
    for x, y in ((0.0, 0.0), (319.0, 383.0), (12.5, 100.25)):
        assert breast.to_film(*breast.of_film(x, y)) == pytest.approx((x, y))


def test_a_film_without_breast_is_a_fault() -> None:
    values = np.random.default_rng(0).normal(60, 8, (384, 320)).astype(np.float32)
    values[20:30, 20:30] = 4000
    with pytest.raises(ImageError) as caught:
        breast_of(Film(values, SPACING))
    assert caught.value.code == "film-empty"
