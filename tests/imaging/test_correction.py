"""N4 undoes a bias field that was planted, and leaves alone what has none."""

import numpy as np
import pytest

from relapse.cohorts.declared.images import Correction
from relapse.imaging.correction import BiasField, estimate, foreground
from relapse.imaging.phantoms import FAT, SITES, Phantoms, draw_phantom

FLAT = Phantoms(patients=1, shape=(96, 96, 24), bias=0.0, sites=0.0)
BENT = Phantoms(patients=1, shape=(96, 96, 24), bias=0.3, sites=0.0)


def spread(values: np.ndarray) -> float:
    return float(np.log(values).std())


@pytest.mark.parametrize("of", ["slice", pytest.param("volume", marks=pytest.mark.slow)])
def test_a_planted_bias_field_is_undone(of: str) -> None:
    planted_spread, left = [], []
    # How well tissue and coil can be told apart differs from one breast to the next: several are looked at.
    for number in range(9 if of == "slice" else 2):
        made = draw_phantom(BENT, number, texture=0, washout=0, site=SITES[1])
        before, planted = made.phases[0], made.bias
        if of == "slice":
            before, planted = before[:, :, 12], planted[:, :, 12]
        field = estimate(before, (1.5, 1.5, 3.0)[: before.ndim], Correction(of=of, shrink=3))
        found = field.factor(*[slice(None)] * before.ndim, shape=before.shape)
        tissue = foreground(before)
        planted_spread.append(spread(planted[tissue]))
        left.append(spread(planted[tissue] / found[tissue]) / planted_spread[-1])
    assert np.median(planted_spread) > 0.15
    assert np.median(left) < 0.55


def test_fat_is_more_even_without_the_field_and_the_field_found_follows_the_planted_one() -> None:
    followed, before, after = [], [], []
    for number in range(6):
        made = draw_phantom(Phantoms(patients=6), number, texture=0, washout=0, site=SITES[1])
        seen, planted = made.phases[0][:, :, 20], np.log(made.bias[:, :, 20])
        found = estimate(seen, (1.5, 1.5), Correction()).factor(slice(None), slice(None), shape=seen.shape)
        tissue, fat = foreground(seen), made.tissue[:, :, 20] == FAT
        followed.append(np.corrcoef(planted[tissue], np.log(found[tissue]))[0, 1])
        before.append(seen[fat].std() / seen[fat].mean())
        after.append((seen / found)[fat].std() / (seen / found)[fat].mean())
    assert np.median(followed) > 0.75
    assert np.median(after) < 0.75 * np.median(before)


def test_where_there_is_no_field_hardly_any_is_found() -> None:
    before = draw_phantom(FLAT, 1, texture=0, washout=0, site=SITES[1]).phases[0][:, :, 12]
    found = estimate(before, (1.5, 1.5), Correction(shrink=3)).factor(slice(None), slice(None), shape=before.shape)
    # What is left is tissue that N4 takes for coil: it cannot know better.
    assert spread(found[foreground(before)]) < 0.12


def test_a_field_is_known_at_single_slices_as_it_is_everywhere() -> None:
    rng = np.random.default_rng(0)
    field = BiasField(rng.normal(0, 0.1, (5, 6, 7)).astype(np.float32), start=(1, 0, 1), step=(4, 2, 3))
    shape = (20, 12, 21)
    whole = field.factor(slice(None), slice(None), slice(None), shape=shape)
    part = field.factor(slice(None), slice(None), np.array([3, 17]), shape=shape)
    np.testing.assert_array_equal(part, whole[:, :, [3, 17]])
    np.testing.assert_allclose(np.log(whole[1, 0, 1]), field.logarithm[0, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(np.log(whole[5, 2, 4]), field.logarithm[1, 1, 1], rtol=1e-5)


def test_the_same_field_is_found_again() -> None:
    before = draw_phantom(BENT, 0, texture=0, washout=0, site=SITES[1]).phases[0][:, :, 12]
    one, two = (estimate(before, (1.5, 1.5), Correction(iterations=(20,))).logarithm for _ in range(2))
    np.testing.assert_array_equal(one, two)
