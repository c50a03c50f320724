"""Density: dense tissue is found where it is, and tissue is told apart by who has learnt it."""

import io
from functools import cache

import numpy as np
import pytest

from relapse.imaging.films.breast import breast_of
from relapse.imaging.films.density import (
    FEATURES,
    PICTURE,
    dense_tissue,
    tissue_features,
    tissue_of,
    tissue_picture,
)
from relapse.imaging.films.tissue import TissueHead, bi_rads, fit_tissue
from relapse.imaging.reading.film import Film

from .drawn import SPACING, draw


def test_dense_tissue_is_found_where_it_is_and_more_of_it_is_a_higher_share() -> None:
    shares = []
    for dense in (0.0, 0.1, 0.2, 0.35):
        drawn = draw(dense=dense)
        breast = breast_of(Film(drawn.values.astype(np.float32), SPACING, view="MLO"))
        found, percent = dense_tissue(tissue_of(breast))
        assert found.shape == breast.image.shape
        assert not (found & ~breast.mask).any()
        if dense:
            assert 2 * (found & drawn.dense).sum() / (found.sum() + drawn.dense.sum()) > 0.8
        assert percent == pytest.approx(100 * dense, abs=6)
        shares.append(percent)
    assert shares == sorted(shares)
    assert shares[0] < 2


def test_features_have_names_and_are_finite_even_of_little_tissue() -> None:
    drawn = draw()
    breast = breast_of(Film(drawn.values.astype(np.float32), SPACING, view="MLO"))
    features = tissue_features(tissue_of(breast))
    assert features.shape == (len(FEATURES),)
    assert np.isfinite(features).all()
    assert len(set(FEATURES)) == len(FEATURES)
    picture = tissue_picture(tissue_of(breast))
    assert picture.shape == (PICTURE, PICTURE)
    assert picture.dtype == np.float32
    flat = np.zeros((384, 320), dtype=np.float32)
    flat[100:180, :80] = 1
    little = breast_of(Film(flat, SPACING))
    assert np.isfinite(tissue_features(tissue_of(little))).all()


@cache
def learnt(share: float) -> tuple[TissueHead, np.ndarray, np.ndarray, np.ndarray]:
    """A head of 30 women with two films each; the class shows in the picture, and weakly in the features."""
    rng = np.random.default_rng(2)
    labels = np.repeat(rng.permutation(np.repeat(np.arange(3), 10)), 2)
    groups = np.repeat(np.arange(30), 2)
    features = rng.normal(size=(60, 5)) + share * labels[:, None]
    pictures = rng.normal(0, 0.1, (60, PICTURE, PICTURE)).astype(np.float32)
    pictures[:, 20:44, 20:44] += 0.3 * labels[:, None, None]
    return fit_tissue(features, pictures, labels, groups, seed=1, epochs=60), features, pictures, labels


def test_networks_count_where_the_picture_says_more_than_the_features() -> None:
    head, features, pictures, labels = learnt(0.0)
    found = head.probabilities(features, pictures)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert head.share >= 0.5
    assert (found.argmax(axis=1) == labels).mean() > 0.8


def test_a_head_is_the_same_once_stored_and_whoever_learns_it_again() -> None:
    head, features, pictures, _ = learnt(1.0)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **head.to_arrays())
    stream.seek(0)
    with np.load(stream) as arrays:
        again = TissueHead.from_arrays(dict(arrays))
    found = head.probabilities(features, pictures)
    np.testing.assert_array_equal(again.probabilities(features, pictures), found)
    np.testing.assert_array_equal(learnt.__wrapped__(1.0)[0].probabilities(features, pictures), found)
    # One film alone has the probabilities that it has among others.
    np.testing.assert_allclose(head.probabilities(features[3:4], pictures[3:4]), found[3:4], rtol=1e-5)


def test_a_network_computes_without_torch_what_it_computed_with_it() -> None:
    import torch

    head, _, pictures, _ = learnt(0.0)
    from relapse.imaging.films.tissue import _GAIN, _outputs

    *layers, kernel, constant = (torch.tensor(one) for one in head.networks[0])
    maps = _GAIN * torch.tensor(pictures)[:, None]
    for taps, shift in zip(layers[::2], layers[1::2], strict=True):
        maps = torch.relu(torch.nn.functional.conv2d(maps, taps, shift, stride=2, padding=1))
    expected = maps.mean(dim=(2, 3)) @ kernel.T + constant
    np.testing.assert_allclose(_outputs(head.networks[0], pictures), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_denser_classes_part_at_three_quarters_of_the_area() -> None:
    assert bi_rads((0.2, 0.3, 0.5), 75) == pytest.approx((0.2, 0.3, 0.25, 0.25))
    assert bi_rads((0.0, 0.0, 1.0), 95)[3] > 0.95
    assert bi_rads((0.0, 0.0, 1.0), 40)[2] > 0.95
    assert sum(bi_rads((0.1, 0.2, 0.7), 60)) == pytest.approx(1)
