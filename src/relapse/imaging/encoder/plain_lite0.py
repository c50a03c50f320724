"""Trained heads of EfficientNet-lite0 in numpy alone: what they say of maps, and which places of the picture said it.

The counterpart of a DenseNet's. The output is the mean over places of a weighted sum of the last maps (after their
normalisation and ReLU6), and a constant; so Grad-CAM (Selvaraju et al. 2017, ICCV) at these maps is a sum of shares.
ReLU6 lies before them: where it clips at 6, a place's share is that of 6, and the gradient by the clipped map is the
classifier's weight as everywhere. (By what goes into ReLU6 it would be 0 there, and the strongest places would vanish.)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.encoder.head import Frozen
from relapse.imaging.encoder.lite0 import WEIGHTS

Array = NDArray[np.float32]


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
    constant = heads[WEIGHTS - 1].astype(np.float64).reshape(-1, 1)
    return shares(heads, frozen, maps, side).sum(axis=(2, 3)) + constant


def attention(
    heads: Sequence[Array], frozen: Frozen, maps: Array, side: int, *, lowers: bool = False
) -> NDArray[np.float64]:
    """Grad-CAM of the log-hazard (rows, side, side), 0 or more, averaged over members; with ``lowers`` of minus it."""
    found = shares(heads, frozen, maps, side)
    return np.asarray(np.maximum(-found if lowers else found, 0).mean(axis=0))


def shares(heads: Sequence[Array], frozen: Frozen, maps: Array, side: int) -> NDArray[np.float64]:
    """What each place adds to the output (members, rows, side, side); with the constant they sum to the output."""
    members = zip(*heads[: WEIGHTS - 1], strict=True)
    found = np.stack([_last(member, frozen, maps) @ member[3] for member in members])
    return found.reshape(len(found), len(maps), side, side).astype(np.float64) / (side * side)


def _last(member: Sequence[Array], frozen: Frozen, maps: Array) -> Array:
    """One member's last maps (rows, places, channels)."""
    kernel, scale, shift = member[:3]
    factor = scale * frozen.scales[0]
    return np.clip(maps @ (kernel * factor) + (shift - frozen.means[0] * factor), 0, 6)
