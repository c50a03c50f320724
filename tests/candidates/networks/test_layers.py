"""Layers are what torch's modules are, without torch."""

import numpy as np
import pytest
import torch

from relapse.candidates.networks.layers import convolutional, forward, initial, multilayer

from .plain import PlainCNN, PlainMLP, loaded

X = np.random.default_rng(0).normal(size=(40, 7)) * 2


@pytest.mark.parametrize("width", [4, 8])
def test_the_convolutional_network_is_that_of_torch(width: int) -> None:
    layers = convolutional(7, width=width)
    weights = initial(layers, seed=3)
    theirs = loaded(PlainCNN(7, width), weights)(torch.tensor(X)).detach().numpy()
    ours = forward(layers, [array[None] for array in weights], X)
    assert ours.shape == (1, 40)
    assert np.ptp(ours) > 0.001
    np.testing.assert_allclose(ours[0], theirs, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_multilayer_perceptron_is_that_of_torch(depth: int) -> None:
    layers = multilayer(7, width=5, depth=depth)
    weights = initial(layers, seed=3)
    theirs = loaded(PlainMLP(7, 5, depth), weights)(torch.tensor(X)).detach().numpy()
    np.testing.assert_allclose(forward(layers, [array[None] for array in weights], X)[0], theirs, atol=1e-12)


def test_members_do_not_see_each_other() -> None:
    layers = convolutional(7, width=4)
    drawn = [initial(layers, seed=seed) for seed in range(3)]
    together = forward(layers, [np.stack(parts) for parts in zip(*drawn, strict=True)], X)
    alone = [forward(layers, [array[None] for array in weights], X)[0] for weights in drawn]
    np.testing.assert_allclose(together, alone, atol=1e-12)
    assert not np.allclose(together[0], together[1])


def test_initial_weights_come_from_the_seed_alone() -> None:
    layers = multilayer(7, width=5, depth=2)
    for first, second in zip(initial(layers, seed=1), initial(layers, seed=1), strict=True):
        np.testing.assert_array_equal(first, second)
