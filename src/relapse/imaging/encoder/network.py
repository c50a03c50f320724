"""Encoders: built, given their published weights, and divided into trunk and head.

DenseNet121 (Huang et al. 2017, CVPR) is built here, EfficientNet-lite0 in :mod:`relapse.imaging.encoder.lite0`. Of a
DenseNet the *head* is the top tenth of its layers: counted as in its name (121 convolutions and the classifier, without
normalisations), at most 12 layers are a tenth, and the most whole dense layers that fit, with the classifier, are five
of two convolutions each: ``features.denseblock4.denselayer12`` to ``denselayer16``, then ``features.norm5`` and
``class_layers.out``. Their normalisations learn scale and shift. Everything before is the *trunk*: frozen, its
normalisations as in use. The means and variances of all normalisations stay what they were: those of a batch of a few
dozen patients would be noise, and would mix patients.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relapse.ground.errors import SourceError
from relapse.imaging.encoder import lite0
from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch

#: The published weights: how the file is called, and how its SHA-256 begins.
FILE, PREFIX = "densenet121-a639ec97.pth", "a639ec97"

#: Where they are published.
URL = f"https://download.pytorch.org/models/{FILE}"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A DenseNet: dense layers a block, channels that each adds, channels of the first convolution."""

    blocks: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    first: int = 64
    channels: int = 3

    @property
    def name(self) -> str:
        """As the field calls it: by its layers."""
        return f"DenseNet{self.layers}"

    @property
    def layers(self) -> int:
        """Convolutions and the classifier, as a DenseNet's name counts them."""
        return 1 + 2 * sum(self.blocks) + len(self.blocks) - 1 + 1

    def unfrozen(self, share: float) -> int:
        """Dense layers at the end of the last block that, with the classifier, are at most ``share`` of the layers."""
        return min(self.blocks[-1], max(0, int((share * self.layers - 1) / 2)))


DENSENET121 = Architecture()


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """A network (``module``, of torch, in evaluation mode) and how many dense layers at its end are to be trained.

    ``depth`` is 0 where the network has no dense layers. ``pretrained`` says whether it has seen photographs before;
    where not, every table and answer has to say so, as ``title`` does.
    """

    module: Any
    architecture: Architecture | lite0.Lite0
    depth: int
    pretrained: bool

    @property
    def title(self) -> str:
        """What it is, in words for tables, cards and answers."""
        weights = "ImageNet weights" if self.pretrained else "random weights (not pretrained)"
        return f"{self.architecture.name}, {weights}"

    @property
    def identity(self) -> str:
        """A digest of the trunk: its weights, and where it ends."""
        digest = hashlib.sha256(f"{self.architecture}{self.depth}".encode())
        for name, values in sorted(self.module.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values.cpu().numpy()).tobytes())
        return digest.hexdigest()


def build(
    weights: Path | Literal["efficientnet-lite0"] | None,
    *,
    seed: int = 0,
    share: float = 0.1,
    architecture: Architecture = DENSENET121,
) -> Encoder:
    """Build an encoder.

    Parameters
    ----------
    weights
        The file of torchvision's published weights; None: random weights, and ``pretrained`` is false;
        ``efficientnet-lite0``: that network with the ImageNet weights of an installed package, whatever else is asked.
    seed
        Of random weights.
    share
        Share of the layers of a DenseNet that is trained.

    Raises
    ------
    SourceError
        The file is not there, or is another one.
    """
    if weights == "efficientnet-lite0":
        return Encoder(lite0.module(), lite0.Lite0(), 0, True)
    import torch
    from monai.networks.nets.densenet import DenseNet

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = DenseNet(
            spatial_dims=2,
            in_channels=architecture.channels,
            out_channels=1,
            init_features=architecture.first,
            growth_rate=architecture.growth,
            block_config=architecture.blocks,
        )
        if weights is None:
            _settle(module, architecture.channels, seed)
    if isinstance(weights, Path):
        module.load_state_dict(_published(weights, module.state_dict()))
    module.eval().requires_grad_(False)
    return Encoder(module, architecture, architecture.unfrozen(share), weights is not None)


def monai_name(name: str) -> str:
    """MONAI's name of one of torchvision's weights, in the older spelling (``norm.1``) or the newer (``norm1``)."""
    name = re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", name)
    return re.sub(r"(denselayer\d+)\.(?=norm|conv)", r"\1.layers.", name)


def _published(path: Path, wanted: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The published weights under MONAI's names; the classifier of photographs gives way to the one that is there."""
    import torch

    if not path.is_file():
        raise SourceError(f"{path}: no such file. Fetch {URL}, or start from random weights.")
    content = path.read_bytes()
    if not hashlib.sha256(content).hexdigest().startswith(PREFIX):
        raise SourceError(
            f"{path}: this is not {FILE}: its SHA-256 does not begin with {PREFIX}. Fetch it again: {URL}"
        )
    stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    found = {monai_name(name): values for name, values in stored.items() if not name.startswith("classifier.")}
    kept = {name: values for name, values in wanted.items() if name.startswith("class_layers.")}
    # Files as old as this one do not count batches.
    kept |= {name: values for name, values in wanted.items() if name.endswith("num_batches_tracked")}
    other = sorted(
        name
        for name in (wanted.keys() - kept.keys()) ^ (found.keys() - kept.keys())
        | {name for name in wanted.keys() & found.keys() if wanted[name].shape != found[name].shape}
    )
    if other:
        raise SourceError(f"{path}: {len(other)} weights do not fit the network, such as {other[0]}.")
    return kept | found


def _settle(module: "torch.nn.Module", channels: int, seed: int) -> None:
    """Set means and variances of the normalisations by smooth noise: untrained, they would be 0 and 1 of nothing.

    Noise, not pictures: what is learnt from pictures has to be learnt within a fold.
    """
    import torch
    from torch.nn.functional import avg_pool2d

    drawn = np.random.default_rng([seed, 121]).standard_normal((16, channels, 64, 64)).astype(np.float32)
    images = torch.from_numpy(drawn)
    for _ in range(2):
        # Half of the images is made smooth, and as strong as the others.
        images = torch.cat([images[:8], avg_pool2d(images[8:], 5, stride=1, padding=2) * 3])
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        module.train()(images)
