"""Trained heads in numpy alone: what they say of maps, and which places of the picture said it.

What a head says is the mean over places of a weighted sum of its last maps (after the final normalisation and ReLU),
and a constant. So it is a sum of shares, one a place, and they are all that Grad-CAM (Selvaraju et al. 2017, ICCV)
asks gradients for: with one linear layer behind global average pooling, the gradient of the output by a channel's map
is the channel's weight, divided by the number of places, everywhere. Computed here as sums, in closed form.

The ReLU6 of EfficientNet-lite0 lies before its last maps: where it clips at 6, a place's share is that of 6. (By what
goes into ReLU6 the gradient would be 0 there, and the strongest places would vanish.) Its finer maps stand beside the
last ones, in the same places and under the same mean: they are part of the sum.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.encoder.head import Frozen

Array = NDArray[np.float32]

#: Weights of a dense layer and of the end, as :func:`relapse.imaging.encoder.head.start` lays them out.
_EACH, _END = 6, 4


def outputs(heads: Sequence[Array], frozen: Frozen, maps: Array, side: int) -> NDArray[np.float64]:
    """What heads say (members, rows): log-hazards, of which higher ones relapse sooner.

    Parameters
    ----------
    heads
        The weights of :func:`relapse.imaging.encoder.head.start`, each array with the members as its first axis; what
        follows them (coefficients of covariates) is left out.
    frozen
        What all heads share.
    maps
        The trunk's maps (rows, places, channels).
    side
        Places in a row of a map.
    """
    constant = heads[frozen.weights - 1].astype(np.float64).reshape(-1, 1)
    return shares(heads, frozen, maps, side).sum(axis=(2, 3)) + constant


def attention(
    heads: Sequence[Array], frozen: Frozen, maps: Array, side: int, *, lowers: bool = False
) -> NDArray[np.float64]:
    """Grad-CAM of the log-hazard (rows, side, side), 0 or more, averaged over members.

    It shows what raises the log-hazard; with ``lowers`` what lowers it: Grad-CAM of minus the log-hazard, which the
    paper calls a counterfactual explanation. The unit is the log-hazard's: the first less the second, summed over
    places, is the mean output without its constant.
    """
    found = shares(heads, frozen, maps, side)
    return np.asarray(np.maximum(-found if lowers else found, 0).mean(axis=0))


def shares(heads: Sequence[Array], frozen: Frozen, maps: Array, side: int) -> NDArray[np.float64]:
    """What each place adds to the output (members, rows, side, side); with the constant they sum to the output."""
    last = _last_of_lite0 if frozen.kind == "efficientnet-lite0" else _last
    members = zip(*heads[: frozen.weights], strict=True)
    found = np.stack([last(member, frozen, maps, side) @ member[-2] for member in members])
    return found.reshape(len(found), len(maps), side, side).astype(np.float64) / (side * side)


def _last(member: Sequence[Array], frozen: Frozen, maps: Array, side: int) -> Array:
    """One member's last maps of a DenseNet (rows, places, channels), after the final normalisation and ReLU."""
    norms = iter(zip(frozen.means, frozen.scales, strict=True))
    for number in range((len(member) - _END) // _EACH):
        scale1, shift1, kernel1, scale2, shift2, kernel2 = member[_EACH * number : _EACH * (number + 1)]
        squeezed = _active(maps, *next(norms), scale1, shift1) @ kernel1
        spread = _active(squeezed, *next(norms), scale2, shift2) @ kernel2
        maps = np.concatenate([maps, _gathered(spread, side)], axis=2)
    return _active(maps, *next(norms), *member[-_END:-2])


def _last_of_lite0(member: Sequence[Array], frozen: Frozen, maps: Array, side: int) -> Array:
    """One member's last maps (rows, places, channels), after the normalisation and ReLU6; then the finer maps."""
    kernel, scale, shift = member[:3]
    factor = scale * frozen.scales[0]
    last, finer = maps[..., : len(kernel)], maps[..., len(kernel) :]
    seen = np.clip(last @ (kernel * factor) + (shift - frozen.means[0] * factor), 0, 6)
    return np.concatenate([seen, finer], axis=2)


def _active(values: Array, mean: Array, inverse: Array, scale: Array, shift: Array) -> Array:
    factor = scale * inverse
    return np.maximum(values * factor + (shift - mean * factor), 0)


def _gathered(spread: Array, side: int) -> Array:
    """A 3 × 3 convolution's outputs (rows, places, outputs) from what each place gives to its nine neighbours."""
    rows = len(spread)
    given = spread.reshape(rows, side, side, -1, 3, 3)
    taken = np.zeros((rows, side + 2, side + 2, given.shape[3]), dtype=spread.dtype)
    for down in range(3):
        for right in range(3):
            taken[:, down : down + side, right : right + side] += given[..., down, right]
    return taken[:, 1:-1, 1:-1].reshape(rows, side * side, -1)
