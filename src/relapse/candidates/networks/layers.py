"""What a network is made of: layers that are one matrix product each, convolutions among them.

A 1D convolution over a short length is a matrix product whose matrix repeats the kernel: ``placement`` says which tap
of the kernel stands between which input and which output position. Pooling is linear as well, so that it is folded
into the placement of the layer after it. All layers of a network are then products of one form, which batch over
networks without a grouped convolution, and the fitted network is a few small arrays.

Values between layers are flat: (…, length × channels), the channels of one position side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.candidates.sums import OfSums

Array = NDArray[np.float64]

#: Kernel (…, taps, channels in, channels out) and bias (…, channels out) of each layer, one after the other.
Weights = list[Array]

#: Rows that pass the layers together: a layer holds this many times its units for each member, and all took half as
#: long again where that fell out of the processor's cache.
_AT_ONCE = 512

#: Positions that the dense layer of the 1D-CNN expands the features to; halved by its pooling.
LENGTH = 8


@dataclass(frozen=True, slots=True)
class Layer:
    """A matrix product with shared weights.

    ``placement`` (taps, length in, length out) weighs each tap between each pair of positions; ``channels`` are those
    that come in and go out; ``hidden`` layers end in a ReLU, and in dropout too where ``dropped``.
    """

    placement: Array
    channels: tuple[int, int]
    hidden: bool = True
    dropped: bool = False

    @property
    def kernel_shape(self) -> tuple[int, int, int]:
        """(taps, channels in, channels out)."""
        return (self.placement.shape[0], *self.channels)

    @property
    def units(self) -> int:
        """Values that come out: length × channels."""
        return int(self.placement.shape[2] * self.channels[1])


@cache
def multilayer(features: int, *, width: int, depth: int) -> tuple[Layer, ...]:
    """``depth`` dense layers of ``width`` units, each with dropout, and one output."""
    sizes = [features, *[width] * depth]
    dense = [_dense(before, after, dropped=True) for before, after in pairwise(sizes)]
    return (*dense, _output(width))


@cache
def convolutional(features: int, *, width: int) -> tuple[Layer, ...]:
    """The study's 1D-CNN with ``width`` channels.

    Dense expansion to :data:`LENGTH` × ``width`` → convolution of 3 taps → average pooling by 2 → convolution of 3 taps
    to twice the channels → global average pooling → fully connected with dropout → one output.
    """
    half = LENGTH // 2
    pooling = np.kron(np.eye(half), np.full((2, 1), 0.5))
    everywhere = np.full((1, half, 1), 1.0 / half)
    return (
        _dense(features, LENGTH * width),
        Layer(_three_taps(LENGTH), (width, width)),
        Layer(pooling @ _three_taps(half), (width, 2 * width)),
        Layer(everywhere, (2 * width, 2 * width), dropped=True),
        _output(2 * width),
    )


def initial(layers: Sequence[Layer], *, seed: int) -> Weights:
    """Weights drawn evenly from ±1/√(inputs of one unit), the output's from a tenth of that, so that it starts flat."""
    rng = np.random.default_rng(seed)
    weights = []
    for layer in layers:
        taps, inputs, outputs = layer.kernel_shape
        limit = (1.0 if layer.hidden else 0.1) / np.sqrt(taps * inputs)
        weights += [rng.uniform(-limit, limit, (taps, inputs, outputs)), np.zeros(outputs)]
        if layer.hidden:
            weights[-1] = rng.uniform(-limit, limit, outputs)
    return weights


def forward(layers: Sequence[Layer], weights: Sequence[Array], matrix: Array) -> Array:
    """The output (members, n) of networks with ``weights`` (members, …) for a ``matrix`` (n, features); no dropout.

    In double precision; in single, which takes half as long or less, for a matrix that is in single precision.
    """
    rows = matrix if matrix.dtype == np.float32 else np.asarray(matrix, dtype=np.float64)
    products = _products(layers, weights, rows.dtype)
    first = products[0][0]
    return _in_parts(lambda start: _onward(rows[start : start + _AT_ONCE] @ first, products), len(first), len(rows))


def taken_apart(layers: Sequence[Layer], weights: Sequence[Array]) -> OfSums:
    """The output averaged over the members, of what the first layers' units are given; in single precision after it."""
    kernel = _matrices(layers[0], weights[0])
    members, columns, units = kernel.shape
    side_by_side = kernel.swapaxes(0, 1).reshape(columns, members * units)
    products = _products(layers, weights, np.dtype(np.float32))

    def output(sums: Array) -> Array:
        def part(start: int) -> Array:
            given = sums[start : start + _AT_ONCE].astype(np.float32).reshape(-1, members, units)
            return _onward(np.ascontiguousarray(given.swapaxes(0, 1)), products)

        return np.asarray(_in_parts(part, members, len(sums)).mean(axis=0))

    return OfSums(lambda row: row[:, None] * side_by_side, output)


def _products(
    layers: Sequence[Layer], weights: Sequence[Array], kind: "np.dtype[Any]"
) -> list[tuple[Array, Array, bool]]:
    """Matrices (members, inputs, outputs), biases and whether a ReLU follows, of each layer."""
    return [
        (
            _matrices(layer, kernel).astype(kind, copy=False),
            np.tile(bias, layer.placement.shape[2])[:, None, :].astype(kind, copy=False),
            layer.hidden,
        )
        for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True)
    ]


def _onward(values: Array, products: Sequence[tuple[Array, Array, bool]]) -> Array:
    """The output (members, n), from what the first units are given (members, n, units), which is written over."""
    for number, (matrices, bias, hidden) in enumerate(products):
        if number:
            values = values @ matrices
        values += bias
        if hidden:
            np.maximum(values, 0.0, out=values)
    return values[..., 0]


def _in_parts(part: Callable[[int], Array], members: int, rows: int) -> Array:
    found = np.empty((members, rows))
    for start in range(0, rows, _AT_ONCE):
        found[:, start : start + _AT_ONCE] = part(start)
    return found


def _matrices(layer: Layer, kernel: Array) -> Array:
    """A layer's matrices (members, inputs, outputs): its kernel, wherever the placement puts a tap."""
    taps, length, positions = layer.placement.shape
    members, _, inputs, outputs = kernel.shape
    shared = layer.placement.reshape(taps, -1).T @ kernel.reshape(members, taps, -1)
    spread = shared.reshape(members, length, positions, inputs, outputs).swapaxes(2, 3)
    return np.asarray(spread.reshape(members, length * inputs, positions * outputs))


def _dense(inputs: int, outputs: int, *, dropped: bool = False) -> Layer:
    return Layer(np.ones((1, 1, 1)), (inputs, outputs), dropped=dropped)


def _output(inputs: int) -> Layer:
    return Layer(np.ones((1, 1, 1)), (inputs, 1), hidden=False)


def _three_taps(length: int) -> Array:
    """Placement of a convolution of three taps that keeps the length, with zeros beyond both ends."""
    return np.stack([np.eye(length, k=1 - tap) for tap in range(3)])
