"""The two losses, for many networks at once: rows of their own, padded to the longest with rows that weigh nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss in two halves.

    ``columns`` prepares one network's targets: the order that its rows have to stand in, and what the value needs of
    each row. ``value`` takes the outputs (networks, rows) and those columns, padded with zeros, and gives one value
    (networks,). ``base`` is the output with which a network starts; ``shifted`` says whether the value depends on
    a constant added to all outputs.
    """

    columns: "Callable[[NDArray[Any], bool], tuple[NDArray[np.int_], dict[str, Array]]]"
    value: "Callable[[torch.Tensor, Mapping[str, torch.Tensor]], torch.Tensor]"
    base: Callable[[dict[str, Array]], float]
    shifted: bool


def _binary_columns(target: NDArray[Any], balanced: bool) -> tuple[NDArray[np.int_], dict[str, Array]]:
    label = target.astype(np.float64)
    # Balanced: both classes together weigh the same, as scikit-learn's class_weight="balanced" has it.
    weight = np.where(label == 1, 0.5 / label.sum(), 0.5 / (1 - label).sum()) if balanced else np.ones(len(label))
    return np.arange(len(label)), {"label": label, "weight": weight / weight.sum()}


def _binary_value(output: "torch.Tensor", columns: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
    """Weighted mean cross-entropy of log-odds."""
    from torch.nn.functional import softplus

    return (columns["weight"] * (softplus(output) - columns["label"] * output)).sum(1)


def _binary_base(columns: dict[str, Array]) -> float:
    share = float((columns["label"] * columns["weight"]).sum())
    return float(np.log(share / (1 - share)))


def _cox_columns(target: NDArray[Any], balanced: bool) -> tuple[NDArray[np.int_], dict[str, Array]]:
    order = np.argsort(-target["time"], kind="stable")
    time, event = target["time"][order], target["event"][order]
    last = np.searchsorted(-time, -time, side="right") - 1
    return order, {"event": event / event.sum(), "present": np.ones(len(time)), "last": last.astype(np.float64)}


def _cox_value(output: "torch.Tensor", columns: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
    """Negative log partial likelihood an event, ties after Breslow; rows stand from the latest time to the first."""
    import torch

    present = columns["present"]
    masked = torch.where(present > 0, output, torch.full_like(output, -torch.inf))
    peak = masked.detach().amax(1, keepdim=True)
    at_risk = torch.cumsum(torch.exp(masked - peak), 1).gather(1, columns["last"].long())
    # Far below the peak, a sum may be rounded to nothing.
    logged = torch.log(at_risk.clamp_min(torch.finfo(output.dtype).tiny))
    return -(columns["event"] * (output - peak - logged)).sum(1)


BINARY = Loss(_binary_columns, _binary_value, _binary_base, shifted=True)
COX = Loss(_cox_columns, _cox_value, lambda columns: 0.0, shifted=False)
