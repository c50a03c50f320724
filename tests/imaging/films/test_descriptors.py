"""Descriptors say of a drawn mass what was drawn."""

import numpy as np
import pytest
from skimage.draw import ellipse

from relapse.imaging.films.descriptors import NAMES, describe
from relapse.imaging.films.phantoms import lesion_on

from .lumps import drawn_tissue


def named(image: np.ndarray, mask: np.ndarray, spacing: float = 0.4) -> dict[str, float]:
    return dict(zip(NAMES, describe(image.astype(np.float32), mask, spacing), strict=True))


def disc(rows: float, columns: float) -> np.ndarray:
    mask = np.zeros((160, 160), np.bool_)
    mask[ellipse(80, 80, rows, columns)] = True
    return mask


def drawn(margin: int, seed: int, *, plain: bool = False) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    tissue = np.full((160, 160), 0.3, np.float32) if plain else drawn_tissue((160, 160), 0.4, rng)
    return named(*lesion_on(tissue, 0.4, rng, shape=1, margin=margin, diameter=22.0, contrast=0.25))


def test_a_disc_is_a_circle() -> None:
    mask = disc(30, 30)
    found = named(0.3 + 0.3 * mask, mask)
    assert found["circularity"] == pytest.approx(1, abs=0.05)
    assert found["solidity"] > 0.96
    assert found["eccentricity"] < 0.15
    assert found["radial spread"] < 0.03
    assert np.exp(found["log diameter"]) == pytest.approx(60 * 0.4, rel=0.03)
    assert found["contrast"] == pytest.approx(0.3, abs=0.02)


def test_an_oval_is_longer_than_wide() -> None:
    mask = disc(20, 40)
    found = named(0.3 + 0.3 * mask, mask)
    assert found["aspect"] == pytest.approx(2, abs=0.1)
    assert found["eccentricity"] == pytest.approx(0.866, abs=0.03)


def test_what_is_described_does_not_hang_on_where_it_lies_or_how_it_is_turned() -> None:
    rng = np.random.default_rng(0)
    image, mask = lesion_on(drawn_tissue((160, 160), 0.4, rng), 0.4, rng, shape=1, margin=2, diameter=20.0)
    first, second = describe(image, mask, 0.4), describe(np.rot90(image), np.rot90(mask), 0.4)
    assert second == pytest.approx(first, rel=0.1, abs=0.08)


def test_a_finer_film_of_the_same_mass_is_described_nearly_alike() -> None:
    rng = np.random.default_rng(4)
    image, mask = lesion_on(np.full((120, 120), 0.3, np.float32), 0.4, rng, shape=0, margin=0, diameter=20.0)
    finer = [np.kron(one, np.ones((2, 2))) for one in (image, mask)]
    found = [named(image, mask, 0.4), named(finer[0], finer[1] > 0, 0.2)]
    for name in ("log diameter", "circularity", "aspect", "contrast", "edge width"):
        assert found[1][name] == pytest.approx(found[0][name], rel=0.12, abs=0.05), name


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("edge gradient", 0, 2),
        ("edge width", 2, 0),
        ("ring variation", 3, 0),
        ("radial roughness", 1, 2),
    ],
)
def test_margins_differ_in_what_is_measured_for_them(name: str, more: int, less: int) -> None:
    values = {margin: np.median([drawn(margin, seed)[name] for seed in range(9)]) for margin in (more, less)}
    assert values[more] > 1.1 * values[less]


def test_strands_raise_the_spiculation_index() -> None:
    # On plain tissue: what strands the tissue itself has blurs the difference.
    values = {
        margin: np.median([drawn(margin, seed, plain=True)["spiculation"] for seed in range(9)]) for margin in (2, 3)
    }
    assert values[3] > 1.3 * values[2]


@pytest.mark.parametrize("mask", [disc(1, 1), disc(79, 79), np.ones((160, 160), np.bool_)])
def test_specks_and_what_fills_the_image_have_finite_descriptors(mask: np.ndarray) -> None:
    found = describe(drawn_tissue((160, 160), 0.4, np.random.default_rng(0)), mask, 0.4)
    assert found.shape == (len(NAMES),)
    assert np.isfinite(found).all()


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to describe"):
        describe(np.zeros((20, 20), np.float32), np.zeros((20, 20), np.bool_), 0.4)
