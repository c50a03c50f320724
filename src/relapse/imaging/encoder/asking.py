"""Heads asked what they say of pictures: many at once, in batches of rows, on the plain view."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.encoder.head import Frozen, Weights, outputs, pooled
from relapse.imaging.encoder.maps import Maps
from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch


def predict_heads(
    maps: Maps,
    frozen: Frozen,
    heads: Sequence[Weights],
    rows: NDArray[np.int_],
    *,
    device: str = "cpu",
    double: bool = False,
) -> NDArray[np.float64]:
    """Outputs (heads, rows) on the plain view, averaged over the slices of a picture.

    Of a head that was trained beside covariates this is the image's part alone.
    """
    import torch

    kind = torch.float64 if double else torch.float32
    images = [head[: frozen.weights] for head in heads]
    leaves = [torch.from_numpy(np.stack(parts)).to(device, kind) for parts in zip(*images, strict=True)]
    values = torch.from_numpy(maps.values)
    with one_thread(), torch.inference_mode():
        return asked(
            values, maps.side, leaves, norms_of(frozen, device, kind), np.tile(rows, (len(heads), 1)), frozen.kind
        )


def asked(
    values: "torch.Tensor",
    side: int,
    leaves: "list[torch.Tensor]",
    norms: "list[tuple[torch.Tensor, torch.Tensor]]",
    rows: NDArray[np.int_],
    network: str,
    *,
    most: int = 32,
) -> NDArray[np.float64]:
    """Outputs (networks, rows) for ``rows`` (networks, rows) of each, on the plain view, averaged over slices."""
    import torch

    found = []
    for first in range(0, rows.shape[1], most):
        chosen = torch.from_numpy(rows[:, first : first + most]).to(values.device)
        per_slice = [
            outputs(leaves, norms, values[chosen, number, 0].to(norms[0][0]), side, network)
            for number in range(values.shape[1])
        ]
        found.append(torch.stack(per_slice).mean(0).cpu().numpy())
    return np.concatenate(found, axis=1).astype(np.float64)


def start_features(
    maps: Maps, beginning: tuple[Weights, Frozen], rows: NDArray[np.int_], device: str, *, most: int = 32
) -> NDArray[np.float64]:
    """What all classifiers start from (pictures, channels): plain views, averaged over slices; of ``rows``, else 0."""
    import torch

    weights, frozen = beginning
    leaves = [torch.from_numpy(one)[None].to(device) for one in weights]
    norms = norms_of(frozen, device, torch.float32)
    found = np.zeros((len(maps.values), weights[-2].size))
    with one_thread(), torch.inference_mode():
        for first in range(0, len(rows), most):
            chosen = rows[first : first + most]
            plain = torch.from_numpy(maps.values[chosen, :, 0]).to(device)
            slices = [pooled(leaves, norms, one[None], maps.side, frozen.kind)[0] for one in plain.unbind(1)]
            found[chosen] = torch.stack(slices).mean(0).cpu().numpy()
    return found


def norms_of(frozen: Frozen, device: str, kind: "torch.dtype") -> "list[tuple[torch.Tensor, torch.Tensor]]":
    """Mean and 1 / deviation of every normalisation, as tensors."""
    import torch

    return [
        (torch.from_numpy(mean).to(device, kind), torch.from_numpy(scale).to(device, kind))
        for mean, scale in zip(frozen.means, frozen.scales, strict=True)
    ]
