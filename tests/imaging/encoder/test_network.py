"""The encoder: its weights come from the published file or are marked, and what is trained is its top tenth."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from relapse.ground.errors import SourceError
from relapse.imaging.encoder import network
from relapse.imaging.encoder.network import DENSENET121, Architecture, build, monai_name

from .making import TINY, encoder


def published(path: Path, *, older: bool = True, drop: str = "") -> dict[str, torch.Tensor]:
    """A file as torchvision publishes it, with random weights of the tiny network."""
    state = encoder(seed=7).module.state_dict()
    named = {
        name.replace(".layers", "")
        .replace("norm1.", "norm.1." if older else "norm1.")
        .replace("norm2.", "norm.2." if older else "norm2.")
        .replace("conv1.", "conv.1." if older else "conv1.")
        .replace("conv2.", "conv.2." if older else "conv2."): values
        for name, values in state.items()
        if not name.startswith("class_layers.") and not name.endswith("num_batches_tracked") and name != drop
    }
    named |= {"classifier.weight": torch.zeros(1000, 20), "classifier.bias": torch.zeros(1000)}
    torch.save(named, path)
    return state


def trust(path: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(network, "PREFIX", hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    return path


def test_the_top_tenth_of_densenet121_is_five_dense_layers_and_the_classifier() -> None:
    assert DENSENET121.layers == 121
    assert DENSENET121.unfrozen(0.1) == 5
    assert DENSENET121.unfrozen(0.0) == 0
    assert DENSENET121.unfrozen(1.0) == 16


@pytest.mark.parametrize("older", [True, False])
def test_published_weights_come_under_monais_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    state = published(tmp_path / "weights.pth", older=older)
    found = build(trust(tmp_path / "weights.pth", monkeypatch), architecture=TINY)
    assert found.pretrained
    for name, values in found.module.state_dict().items():
        if name.startswith("features.") and not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(values, state[name], rtol=0, atol=0)


def test_every_published_name_of_densenet121_has_its_place() -> None:
    from monai.networks.nets.densenet import DenseNet121

    names = {name for name in DenseNet121(2, 3, 1000).state_dict() if not name.endswith("num_batches_tracked")}
    spelled = {name.replace(".layers.norm", ".norm.").replace(".layers.conv", ".conv.") for name in names}
    assert {monai_name(name) for name in spelled} == names


def test_random_weights_are_marked_and_hang_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, other = encoder(3), encoder(3), encoder(4)
    assert not one.pretrained
    assert one.identity == two.identity != other.identity
    assert torch.equal(torch.random.get_rng_state(), before)


def test_normalisations_of_a_random_encoder_are_settled() -> None:
    module = encoder().module
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 3, 64, 64)).astype(np.float32))
    features = module.features(noise)
    assert 0.05 < float(features.std()) < 5


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file. Fetch https"), (b"<html>", "SHA-256 does not begin with a639ec97")],
)
def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "densenet121-a639ec97.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        build(path, architecture=TINY)


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path / "weights.pth", drop="features.conv0.weight")
    path = trust(tmp_path / "weights.pth", monkeypatch)
    with pytest.raises(SourceError, match=r"1 weights do not fit the network, such as features\.conv0\.weight"):
        build(path, architecture=TINY)
    with pytest.raises(SourceError, match="do not fit"):
        build(path, architecture=Architecture(blocks=(2, 3), growth=4, first=16))
