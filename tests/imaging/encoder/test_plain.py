"""Heads in numpy say what heads in torch say, and their attention is what gradients give."""

import numpy as np
import pytest
import torch

from relapse.imaging.encoder.asking import predict_heads
from relapse.imaging.encoder.head import put_in, start
from relapse.imaging.encoder.maps import Maps, make_maps
from relapse.imaging.encoder.network import Encoder
from relapse.imaging.encoder.plain import attention, outputs, shares

from .making import encoder, pictures


def moved(made: Encoder, members: int) -> list[list[np.ndarray]]:
    """Heads that differ from the beginning, and from each other."""
    rng = np.random.default_rng(5)
    return [
        [one + 0.1 * rng.standard_normal(one.shape).astype(np.float32) for one in start(made)[0]]
        for _ in range(members)
    ]


def stacked(heads: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.stack(parts) for parts in zip(*heads, strict=True)]


def mapped(made: Encoder, count: int) -> tuple[np.ndarray, int]:
    values = np.concatenate([make_maps(made, one, 1)[:, 0] for one in pictures(count)])
    return values, round(values.shape[1] ** 0.5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_heads_say_the_same_with_and_without_torch(share: float) -> None:
    made = encoder(share=share)
    heads, frozen = moved(made, 3), start(made)[1]
    values, side = mapped(made, 4)
    expected = predict_heads(Maps(values[:, None, None], side), frozen, heads, np.arange(4))
    np.testing.assert_allclose(outputs(stacked(heads), frozen, values, side), expected, atol=1e-5)


def gradients(made: Encoder, head: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Grad-CAM by its definition, from the network itself: weights are mean gradients of the last feature maps."""
    put_in(made, head)
    images = torch.from_numpy(np.concatenate([one.channels for one in pictures(4)]).astype(np.float32))
    features = made.module.class_layers.relu(made.module.features(images)).detach().requires_grad_()
    pooled = made.module.class_layers.flatten(made.module.class_layers.pool(features))
    made.module.class_layers.out(pooled).sum().backward()
    weights = features.grad.mean((2, 3), keepdim=True)
    return torch.relu((weights * features).sum(1)).detach().numpy(), torch.relu(
        -(weights * features).sum(1)
    ).detach().numpy()


def test_attention_is_what_gradients_give_averaged_over_members() -> None:
    made = encoder()
    heads, frozen = moved(made, 3), start(made)[1]
    values, side = mapped(made, 4)
    raises, lowers = (np.mean(each, axis=0) for each in zip(*(gradients(made, head) for head in heads), strict=True))
    found = attention(stacked(heads), frozen, values, side)
    assert found.shape == (4, side, side)
    assert found.min() >= 0 < found.max()
    np.testing.assert_allclose(found, raises, atol=1e-6)
    np.testing.assert_allclose(attention(stacked(heads), frozen, values, side, lowers=True), lowers, atol=1e-6)


def test_attention_is_monais_grad_cam() -> None:
    from monai.visualize import GradCAM

    made = encoder()
    (head,), frozen = moved(made, 1), start(made)[1]
    values, side = mapped(made, 4)
    found = attention(stacked([head]), frozen, values, side)
    put_in(made, head)
    made.module.requires_grad_(True)
    # Neither spread over the picture nor stretched to 0..1, which MONAI does otherwise.
    cam = GradCAM(
        made.module, "class_layers.relu", upsampler=lambda *_: lambda one: one, postprocessing=lambda one: one
    )
    for number, one in enumerate(pictures(4)):
        theirs = cam(torch.from_numpy(one.channels.astype(np.float32)), class_idx=0).detach()
        np.testing.assert_allclose(found[number], theirs[0, 0], atol=1e-6)


def test_shares_of_all_places_and_the_constant_are_the_output() -> None:
    made = encoder()
    heads, frozen = stacked(moved(made, 2)), start(made)[1]
    values, side = mapped(made, 3)
    total = shares(heads, frozen, values, side).sum((2, 3)) + heads[-1]
    np.testing.assert_allclose(total, outputs(heads, frozen, values, side), atol=1e-6)
    both = [attention(heads, frozen, values, side, lowers=lowers).sum((1, 2)) for lowers in (False, True)]
    np.testing.assert_allclose(both[0] - both[1] + heads[-1].mean(), total.mean(0), atol=1e-6)
