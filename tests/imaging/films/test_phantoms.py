"""Drawn masses have the size and the border that they say, and lie where they say."""

import numpy as np
import pytest

from relapse.imaging.films.drawing import drawn_film
from relapse.imaging.films.lesion import largest_diameter
from relapse.imaging.films.phantoms import Image, border, draw_size, lesion_on, power_noise

from .lumps import breast, drawn_tissue, laid


def flat(side: int = 160) -> Image:
    return np.full((side, side), 0.3, np.float32)


@pytest.mark.parametrize("shape", [0, 1])
@pytest.mark.parametrize("margin", [0, 1, 2, 3])
@pytest.mark.parametrize("diameter", [6.0, 15.0, 28.0])
def test_the_masks_largest_diameter_is_what_was_asked_for(shape: int, margin: int, diameter: float) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        _, mask = lesion_on(flat(), 0.2, rng, shape=shape, margin=margin, diameter=diameter)
        assert largest_diameter(mask, 0.2) == pytest.approx(diameter, abs=0.6)


def test_a_mass_adds_to_the_tissue_and_leaves_what_is_far_as_it_was() -> None:
    tissue = drawn_tissue((160, 160), 0.2, np.random.default_rng(0))
    window, mask = lesion_on(
        tissue, 0.2, np.random.default_rng(1), shape=0, margin=0, diameter=8.0, centre=(60.0, 90.0), contrast=0.2
    )
    assert np.argwhere(mask).mean(0) == pytest.approx([60, 90], abs=1.5)
    added = window - tissue
    assert 0.12 < np.median(added[mask]) < 0.28
    rows, columns = np.mgrid[:160, :160]
    assert np.abs(added[np.hypot(rows - 60, columns - 90) > 40]).max() < 1e-6


def test_an_ill_defined_border_falls_more_slowly_than_a_circumscribed_one() -> None:
    steepest = []
    for margin in (0, 2):
        falls = []
        for seed in range(8):
            window, mask = lesion_on(
                flat(), 0.2, np.random.default_rng(seed), shape=1, margin=margin, diameter=20.0, contrast=0.2
            )
            falls.append(np.percentile(np.hypot(*np.gradient(window))[mask], 95))
        steepest.append(np.median(falls))
    assert steepest[0] > 1.5 * steepest[1]


def test_strands_run_out_of_a_spiculated_mass_and_are_not_in_its_mask() -> None:
    beyond = {}
    for margin in (0, 3):
        window, mask = lesion_on(flat(200), 0.2, np.random.default_rng(3), shape=1, margin=margin, diameter=15.0)
        rows, columns = np.mgrid[:200, :200] - 99.5
        ring = (np.hypot(rows, columns) > 1.05 * 7.5 / 0.2) & ~mask
        beyond[margin] = int((window[ring] > 0.32).sum())
    assert beyond[3] > 10 * max(beyond[0], 1)


def test_lobes_make_a_border_that_is_not_convex() -> None:
    rng = np.random.default_rng(0)
    notches = {}
    for margin in (0, 1):
        radii = [border(rng, shape=0, margin=margin, diameter=20.0).radii for _ in range(10)]
        notches[margin] = np.mean([(np.diff(np.sign(np.diff(one))) > 0).sum() for one in radii])
    assert notches[1] > notches[0] + 3


def test_equal_seeds_draw_equal_masses() -> None:
    first, second = (
        lesion_on(flat(), 0.4, np.random.default_rng(5), shape=1, margin=3, diameter=12.0) for _ in range(2)
    )
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_codes_that_no_mass_has_are_refused() -> None:
    with pytest.raises(ValueError, match="shape 2 and margin 0"):
        lesion_on(flat(), 0.4, np.random.default_rng(0), shape=2, margin=0, diameter=12.0)


def test_noise_has_the_spectrum_that_mammograms_have() -> None:
    noise = power_noise((256, 256), np.random.default_rng(0))
    power = np.abs(np.fft.fft2(noise)) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None, :])
    band = (frequency > 0.02) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.15)


def test_a_mass_on_a_breast_lies_within_it() -> None:
    for seed in range(6):
        one = breast(seed)
        whole, mask = laid(one, np.random.default_rng(seed), shape=1, margin=1, diameter=20.0)
        assert mask.any()
        assert not (mask & ~one.mask).any()
        assert np.array_equal(whole.image[~one.mask], one.image[~one.mask])
        assert whole.image[mask].mean() > one.image[mask].mean() + 0.05


@pytest.mark.parametrize("laterality", ["L", "R"])
def test_a_drawn_film_is_what_it_says(laterality: str) -> None:
    film = drawn_film(np.random.default_rng(2), laterality=laterality, dense=0.4, margin=2, diameter=20.0)
    assert film.values.dtype == np.uint8
    assert film.percent == pytest.approx(40, abs=1.5)
    assert largest_diameter(film.lesion, film.spacing) == pytest.approx(20, abs=1.0)
    columns = np.nonzero(film.breast | film.pectoral)[1]
    at_left = columns.mean() < film.values.shape[1] / 2
    assert at_left == (laterality == "L")
    assert np.median(film.values[film.pectoral]) > np.median(film.values[film.breast & ~film.dense])
    assert np.median(film.values[film.dense]) > np.median(film.values[film.breast & ~film.dense])
    row, column = (round(one) for one in film.centre)
    assert film.lesion[row, column]


def test_sizes_are_drawn_within_their_limits() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([draw_size(rng) for _ in range(4000)])
    assert sizes.min() >= 4
    assert sizes.max() <= 60
    assert np.median(sizes) == pytest.approx(15.5, rel=0.06)
