"""Pictures like the training's are flagged at the stated share, and pictures of something else are flagged."""

import io
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest

from relapse.cohorts.declared.images import Preprocessing
from relapse.ground.errors import SourceError
from relapse.imaging.encoder.maps import make_maps
from relapse.imaging.encoder.network import Architecture, Encoder, build
from relapse.imaging.familiarity import Familiarity, Likeness, learn, pooled, statistics
from relapse.imaging.phantoms import Phantoms, draw_patients, draw_phantom
from relapse.imaging.slices import Picture, cut, picture
from relapse.workers import one_thread

SMALL = Preprocessing(correction=None, size=48)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return build(None, architecture=Architecture(blocks=(2, 3), growth=8, first=16), share=0.3)


@pytest.fixture(scope="module")
def phantoms() -> list[Picture]:
    drawn = Phantoms(patients=140, shape=(48, 48, 16))
    clinical, truth = draw_patients(drawn)
    made = []
    for number in range(drawn.patients):
        one = draw_phantom(
            drawn, number, texture=truth.texture[number], washout=truth.washout[number], site=clinical.site[number]
        )
        middle = np.array([int(np.flatnonzero(one.mask.any((0, 1))).mean())])
        phases = np.stack([cut(phase, 2, middle).astype(np.float32) for phase in one.phases])
        made.append(picture(phases, cut(one.mask > 0, 2, middle), (1.5, 1.5), SMALL))
    return made


def looked_at(encoder: Encoder, some: list[Picture]) -> tuple[np.ndarray, np.ndarray]:
    with one_thread():
        maps = [pooled(make_maps(encoder, one, 1)[:, 0]) for one in some]
    return np.stack([statistics(one) for one in some]), np.stack(maps)


@pytest.fixture(scope="module")
def seen(encoder: Encoder, phantoms: list[Picture]) -> tuple[np.ndarray, np.ndarray]:
    return looked_at(encoder, phantoms)


@pytest.fixture(scope="module")
def familiarity(seen: tuple[np.ndarray, np.ndarray]) -> Familiarity:
    return learn(seen[0][:60], seen[1][:60], share=0.1)


def test_phantoms_that_were_held_out_are_flagged_at_about_the_stated_share(
    seen: tuple[np.ndarray, np.ndarray],
) -> None:
    shares = []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(140)
        one = learn(seen[0][order[:70]], seen[1][order[:70]], share=0.1)
        ratios = one.intensities.ratio(seen[0][order[70:]]), one.maps.ratio(seen[1][order[70:]])
        shares.append((np.maximum(*ratios) > 1).mean())
    assert 0.03 < np.mean(shares) < 0.15


def test_a_share_that_few_pictures_cannot_give_is_said_as_it_is(seen: tuple[np.ndarray, np.ndarray]) -> None:
    assert learn(seen[0], seen[1], share=0.1).share == pytest.approx(0.1, abs=2 / 141)
    assert learn(seen[0][:60], seen[1][:60], share=0.001).share == pytest.approx(2 / 61)
    with pytest.raises(ValueError, match="at least 20 are needed"):
        learn(seen[0][:19], seen[1][:19])


def _noise(channels: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(channels.shape).astype(np.float16)


@pytest.mark.parametrize(
    "change",
    [_noise, np.negative, np.zeros_like, lambda one: np.repeat(one[:, :1], 3, axis=1), lambda one: one[:, ::-1]],
    ids=["noise", "inverted", "empty", "without contrast", "phases in the wrong order"],
)
def test_pictures_of_something_else_are_flagged(
    encoder: Encoder, phantoms: list[Picture], familiarity: Familiarity, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    for one in phantoms[60:70]:
        other = Picture(change(one.channels), one.mask, one.width)
        with one_thread():
            maps = make_maps(encoder, other, 1)[:, 0]
        assert familiarity.judge(other, maps).unlike


def test_maps_of_another_kind_are_flagged_where_intensities_are_not(
    phantoms: list[Picture], familiarity: Familiarity, encoder: Encoder
) -> None:
    with one_thread():
        maps = make_maps(encoder, phantoms[3], 1)[:, 0]
    plain = familiarity.judge(phantoms[3], maps)
    assert not plain.unlike
    moved = familiarity.judge(phantoms[3], maps * 3)
    assert moved.unlike
    assert moved.intensities == plain.intensities < 1 < moved.maps


def test_a_limit_is_that_of_pictures_that_were_left_out() -> None:
    # Of pictures that it was fitted to, many more channels than pictures would flag none, and all others.
    rng = np.random.default_rng(0)
    values, others = rng.standard_normal((60, 300)), rng.standard_normal((200, 300))
    one = learn(values, values, share=0.2)
    assert 0.02 < (one.maps.ratio(others) > 1).mean() < 0.25
    assert (one.maps.ratio(values) > 1).mean() == 0


def test_it_comes_back_from_a_file_and_damage_is_named(familiarity: Familiarity, phantoms: list[Picture]) -> None:
    content = io.BytesIO()
    np.savez(content, **familiarity.arrays())
    content.seek(0)
    with np.load(content, allow_pickle=False) as stored:
        again = Familiarity.from_arrays(dict(stored))
    assert again.share == familiarity.share
    for key in fields(Likeness):
        np.testing.assert_array_equal(getattr(again.maps, key.name), getattr(familiarity.maps, key.name))
    arrays = familiarity.arrays()
    with pytest.raises(SourceError, match="is incomplete"):
        Familiarity.from_arrays({name: one for name, one in arrays.items() if name != "maps_axes"})
    with pytest.raises(SourceError, match="is damaged"):
        Familiarity.from_arrays(arrays | {"maps_axes": arrays["maps_axes"][:-1]})
    with pytest.raises(SourceError, match="is damaged"):
        Familiarity.from_arrays(arrays | {"intensities_limit": np.array(np.nan)})


def test_slices_are_averaged_and_an_empty_mask_is_no_error(phantoms: list[Picture]) -> None:
    one = phantoms[0]
    twice = Picture(np.repeat(one.channels, 2, 0), np.repeat(one.mask, 2, 0), np.repeat(one.width, 2))
    np.testing.assert_allclose(statistics(twice), statistics(one))
    for mask in (np.zeros_like(one.mask), np.ones_like(one.mask)):
        assert np.isfinite(statistics(Picture(one.channels, mask, one.width))).all()
