"""The networks as torch's own modules and optimiser have them, one at a time: what the engine is held against."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from relapse.candidates.networks.engine import Schedule, Task
from relapse.candidates.networks.layers import LENGTH, Weights

Array = NDArray[np.float64]


class PlainCNN(nn.Module):
    """The study's 1D-CNN, without dropout."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.expand = nn.Linear(features, LENGTH * width)
        self.first = nn.Conv1d(width, width, 3, padding=1)
        self.pool = nn.AvgPool1d(2)
        self.second = nn.Conv1d(width, 2 * width, 3, padding=1)
        self.dense = nn.Linear(2 * width, 2 * width)
        self.output = nn.Linear(2 * width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (n,) of rows (n, features)."""
        values = torch.relu(self.expand(x)).view(len(x), LENGTH, self.width).transpose(1, 2)
        values = self.pool(torch.relu(self.first(values)))
        values = torch.relu(self.second(values)).mean(2)
        return self.output(torch.relu(self.dense(values)))[:, 0]


class PlainMLP(nn.Sequential):
    """Dense layers with ReLU, without dropout."""

    def __init__(self, features: int, width: int, depth: int) -> None:
        sizes = [features, *[width] * depth]
        hidden = [part for i in range(depth) for part in (nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU())]
        super().__init__(*hidden, nn.Linear(width, 1), nn.Flatten(0))


def loaded(module: nn.Module, weights: Weights) -> nn.Module:
    """The module in the engine's precision with the engine's weights."""
    module = module.double()
    with torch.no_grad():
        for parameter, array in zip(module.parameters(), weights, strict=True):
            turned = array
            if array.ndim == 3:
                turned = array[0].T if parameter.ndim == 2 else array.transpose(2, 1, 0)
            parameter.copy_(torch.tensor(np.ascontiguousarray(turned)))
    return module


def cox_loss(output: torch.Tensor, time: Array, event: NDArray[np.bool_]) -> torch.Tensor:
    """Breslow's partial likelihood, event by event."""
    terms = [output[i] - torch.logsumexp(output[torch.tensor(time >= time[i])], 0) for i in np.flatnonzero(event)]
    return -torch.stack(terms).mean()


def train_alone(module: nn.Module, task: Task, schedule: Schedule) -> nn.Module:
    """The training loop that everybody writes, for a binary target: Adam, early stopping, best weights restored."""
    parts = []
    dtype = next(module.parameters()).dtype
    for rows in (~task.held, task.held):
        parts.append((torch.tensor(task.matrix[rows], dtype=dtype), torch.tensor(task.target[rows], dtype=dtype)))
    (x, y), (held_x, held_y) = parts
    optimiser = torch.optim.Adam(module.parameters(), lr=schedule.learning_rate)
    loss = nn.BCEWithLogitsLoss()
    lowest, waited, best = np.inf, 0, {}
    for _ in range(schedule.epochs):
        optimiser.zero_grad()
        loss(module(x), y).backward()
        optimiser.step()
        with torch.no_grad():
            value = float(loss(module(held_x), held_y))
        if value < lowest:
            lowest, waited = value, 0
            best = {name: part.clone() for name, part in module.state_dict().items()}
        else:
            waited += 1
            if waited == schedule.patience:
                break
    module.load_state_dict(best)
    return module
