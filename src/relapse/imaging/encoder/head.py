"""The head of a DenseNet, for many networks at once: every tensor has the networks as its first axis.

It takes the trunk's maps (networks, rows, places, channels) and gives one number a row. It computes what the network's
own last layers compute, written as products of matrices, which are the same operations for one network and for many.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.encoder import lite0
from relapse.imaging.encoder.network import Encoder

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float32]

#: The weights of one head, in the order of :func:`start`.
Weights = list[Array]

#: Weights of a dense layer: scale, shift and kernel of either convolution; of the end: scale, shift, kernel, constant.
_EACH, _END = 6, 4


@dataclass(frozen=True, slots=True, eq=False)
class Frozen:
    """What all heads share: mean and 1 / deviation of every normalisation, in their order.

    ``kind`` says of which network they are the head.
    """

    means: tuple[Array, ...]
    scales: tuple[Array, ...]
    kind: Literal["densenet", "efficientnet-lite0"] = "densenet"

    @property
    def weights(self) -> int:
        """How many tensors a head's weights are."""
        if self.kind == "efficientnet-lite0":
            return lite0.WEIGHTS
        return _EACH * (len(self.means) // 2) + _END


def start(encoder: Encoder) -> tuple[Weights, Frozen]:
    """The weights that every head starts from, and what stays frozen.

    The last two are the classifier and its constant. What of a DenseNet comes before them is told here; of
    EfficientNet-lite0 it is the kernel (inputs, outputs) of the last convolution, and scale and shift after it; the
    first of its thousand classes stands for the classifier until training draws one, and takes nothing of finer maps.

    Kernels are kept as matrices: that of a 3 × 3 convolution as (inputs, outputs × 9), its taps turned round, since it
    is computed from its inputs outwards.
    """
    import torch

    if isinstance(encoder.architecture, lite0.Lite0):
        kernel, norm, out = encoder.module._conv_head, encoder.module._bn1, encoder.module._fc
        classifier = torch.cat([out.weight[0], out.weight.new_zeros(lite0.FINE_CHANNELS)])
        weights = [kernel.weight[:, :, 0, 0].T, norm.weight, norm.bias, classifier, out.bias[:1]]
        scale = torch.rsqrt(norm.running_var + norm.eps)
        frozen = Frozen((_array(norm.running_mean),), (_array(scale),), "efficientnet-lite0")
        return [_array(one) for one in weights], frozen
    features, out = encoder.module.features, encoder.module.class_layers.out
    layers = list(features.get_submodule(f"denseblock{len(encoder.architecture.blocks)}").children())
    norms, weights = [], []
    for layer in layers[len(layers) - encoder.depth :]:
        parts = layer.layers
        second = parts.conv2.weight
        norms += [parts.norm1, parts.norm2]
        weights += [parts.norm1.weight, parts.norm1.bias, parts.conv1.weight[:, :, 0, 0].T]
        weights += [parts.norm2.weight, parts.norm2.bias, second.flip(2, 3).permute(1, 0, 2, 3).flatten(1)]
    norms.append(features.norm5)
    weights += [features.norm5.weight, features.norm5.bias, out.weight[0], out.bias]
    frozen = Frozen(
        tuple(_array(norm.running_mean) for norm in norms),
        tuple(_array(torch.rsqrt(norm.running_var + norm.eps)) for norm in norms),
    )
    return [_array(one) for one in weights], frozen


def put_in(encoder: Encoder, weights: Weights) -> None:
    """Give a network the weights of a trained head: what :func:`start` took out.

    EfficientNet-lite0 has no place for what a classifier takes of finer maps: that is left out.
    """
    import torch

    given = [torch.from_numpy(np.ascontiguousarray(one)) for one in weights]
    if isinstance(encoder.architecture, lite0.Lite0):
        kernel, norm, out = encoder.module._conv_head, encoder.module._bn1, encoder.module._fc
        with torch.no_grad():
            kernel.weight.copy_(given[0].T[:, :, None, None])
            for place, values in ((norm.weight, given[1]), (norm.bias, given[2])):
                place.copy_(values)
            out.weight[0], out.bias[0] = given[3][: -lite0.FINE_CHANNELS], given[4][0]
        return
    features, out = encoder.module.features, encoder.module.class_layers.out
    layers = list(features.get_submodule(f"denseblock{len(encoder.architecture.blocks)}").children())
    with torch.no_grad():
        for number, layer in enumerate(layers[len(layers) - encoder.depth :]):
            parts, mine = layer.layers, given[_EACH * number : _EACH * (number + 1)]
            inputs, outputs = parts.conv2.weight.shape[1], parts.conv2.weight.shape[0]
            parts.norm1.weight.copy_(mine[0])
            parts.norm1.bias.copy_(mine[1])
            parts.conv1.weight.copy_(mine[2].T[:, :, None, None])
            parts.norm2.weight.copy_(mine[3])
            parts.norm2.bias.copy_(mine[4])
            parts.conv2.weight.copy_(mine[5].view(inputs, outputs, 3, 3).permute(1, 0, 2, 3).flip(2, 3))
        features.norm5.weight.copy_(given[-4])
        features.norm5.bias.copy_(given[-3])
        out.weight.copy_(given[-2][None])
        out.bias.copy_(given[-1])


def outputs(
    leaves: "list[torch.Tensor]",
    norms: "list[tuple[torch.Tensor, torch.Tensor]]",
    maps: "torch.Tensor",
    side: int,
    kind: str = "densenet",
) -> "torch.Tensor":
    """The output (networks, rows) of heads: their classifiers' sums of what :func:`pooled` gives; its parameters."""
    import torch

    seen = pooled(leaves, norms, maps, side, kind)
    return torch.bmm(seen, leaves[-2][..., None])[..., 0] + leaves[-1]


def pooled(
    leaves: "list[torch.Tensor]",
    norms: "list[tuple[torch.Tensor, torch.Tensor]]",
    maps: "torch.Tensor",
    side: int,
    kind: str = "densenet",
) -> "torch.Tensor":
    """What the classifiers of heads take: the mean over places of each channel (networks, rows, channels).

    Of EfficientNet-lite0 also those of the finer maps.

    Parameters
    ----------
    leaves
        The weights of :func:`start`, each with the networks as its first axis.
    norms
        Mean and 1 / deviation of every normalisation.
    maps
        (networks, rows, places, channels).
    kind
        Of which network, as :class:`Frozen` says.
    """
    import torch
    from torch.nn.functional import fold

    if kind == "efficientnet-lite0":
        return lite0.pooled(leaves, norms, maps)

    networks, rows, places, base = maps.shape
    flat = maps.reshape(networks, rows * places, base)
    grown: torch.Tensor | None = None

    def active(
        values: "torch.Tensor", number: int, which: slice, scale: "torch.Tensor", shift: "torch.Tensor"
    ) -> "torch.Tensor":
        mean, inverse = (one[which] for one in norms[number])
        factor = scale[:, which] * inverse
        return torch.addcmul((shift[:, which] - mean * factor)[:, None], values, factor[:, None]).relu_()

    # What comes from the trunk and what the head adds are kept apart: the trunk's maps are never copied.
    old, new = slice(0, base), slice(base, None)
    for number in range((len(leaves) - _END) // _EACH):
        scale1, shift1, kernel1, scale2, shift2, kernel2 = leaves[_EACH * number : _EACH * (number + 1)]
        squeezed = torch.bmm(active(flat, 2 * number, old, scale1, shift1), kernel1[:, old])
        if grown is not None:
            squeezed = torch.baddbmm(squeezed, active(grown, 2 * number, new, scale1, shift1), kernel1[:, new])
        spread = torch.bmm(active(squeezed, 2 * number + 1, slice(None), scale2, shift2), kernel2)
        spread = spread.view(networks * rows, places, -1).transpose(1, 2)
        added = fold(spread, (side, side), kernel_size=3, padding=1).flatten(2).transpose(1, 2)
        added = added.reshape(networks, rows * places, -1)
        grown = added if grown is None else torch.cat([grown, added], 2)
    scale, shift = leaves[-_END:-2]
    last = len(norms) - 1
    ends = [(flat, old)] if grown is None else [(flat, old), (grown, new)]
    means = [
        active(values, last, which, scale, shift).view(networks, rows, places, -1).mean(2) for values, which in ends
    ]
    return torch.cat(means, 2)


def _array(values: "torch.Tensor") -> Array:
    # A copy: the network may be trained, or given other weights, while these are still asked for.
    return np.array(values.detach().cpu().numpy(), dtype=np.float32, order="C")
