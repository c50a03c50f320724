"""Many networks as one program: every tensor has the networks as its first axis.

Networks of one architecture and one set of hyperparameters are trained together, each on rows, weights, dropout and
early stopping of its own. No operation mixes networks, so that each comes out as if it were trained alone, up to the
rounding of a matrix product; the sequence of operations does not depend on the machine's number of workers.

Products are in single precision, which takes less than half the time, losses in double. The last digit of a network
may so hang on what stands beside it in its batch, and now and then the epoch in which it stops. What stands in a batch
never hangs on the number of workers; of a search's second round it hangs on what the other tables chose in the first
(:mod:`relapse.training.joint`), so that such rounding may reach the comparison of sets, not the models that are kept:
those are trained each with its own members alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.candidates.networks.layers import Layer, Weights, initial
from relapse.candidates.networks.losses import Loss
from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]

#: Values of a layer that a batch may have on a CPU: with twice as many, nothing was gained.
_VALUES = 320_000


@dataclass(frozen=True, slots=True)
class Task:
    """What one network learns from.

    ``matrix`` (n, features), ``target`` (n,) as :func:`relapse.candidates.base.outcome` gives it, ``held`` (n,) true
    for the rows of early stopping, ``seed`` of initial weights and dropout.
    """

    matrix: Array
    target: NDArray[Any]
    held: NDArray[np.bool_]
    seed: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """How networks are trained: full-batch Adam (Kingma and Ba 2015) with decoupled weight decay on the kernels.

    ``balanced`` weighs both outcomes of a binary endpoint alike. A network stops once ``patience`` epochs have not
    lowered its validation loss, and goes back to its best weights.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.0
    balanced: bool = False
    epochs: int = 200
    patience: int = 25


def device() -> str:
    """Where networks are trained: a GPU where there is one. The reference results are those of the CPU."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def fit_many(layers: Sequence[Layer], loss: Loss, tasks: Sequence[Task], schedule: Schedule) -> list[Weights]:
    """Train one network a task, as many at once as pay; the weights come back in the order of the tasks."""
    on = device()
    together = len(tasks)
    if on == "cpu":
        rows = max(len(task.matrix) for task in tasks)
        most = max(1, _VALUES // (rows * max(layer.units for layer in layers)))
        together = math.ceil(len(tasks) / math.ceil(len(tasks) / most))
    batches = [tasks[start : start + together] for start in range(0, len(tasks), together)]
    with one_thread():
        return [weights for batch in batches for weights in _trained(_Batch(layers, loss, batch, schedule, on))]


def _trained(batch: "_Batch") -> list[Weights]:
    import torch

    for epoch in range(1, batch.schedule.epochs + 1):
        batch.step(epoch)
        with torch.no_grad():
            running = batch.look()
        if not running.any():
            break
        # Leaving out those that have stopped costs a copy, so a few wait for each other.
        if running.sum() <= 0.75 * len(running):
            batch.keep(running)
    return batch.weights()


class _Part:
    """The training or the validation rows of all networks, padded to the longest: ``x`` (networks, rows, features)."""

    def __init__(self, x: "torch.Tensor", columns: "dict[str, torch.Tensor]", sizes: list[int]) -> None:
        self.x, self.columns, self.sizes = x, columns, sizes

    def keep(self, which: "torch.Tensor") -> "_Part":
        columns = {name: column[which] for name, column in self.columns.items()}
        return _Part(self.x[which], columns, [size for size, kept in zip(self.sizes, which, strict=True) if kept])


class _Batch:
    """The state of a training: parameters, Adam's moments, best weights and patience of each network.

    All parameters of a network lie in one row of ``flat`` (networks, parameters), which makes Adam a handful of
    operations; ``leaves`` are views of it, one for each kernel and bias.
    """

    def __init__(
        self, layers: Sequence[Layer], loss: Loss, tasks: Sequence[Task], schedule: Schedule, device: str
    ) -> None:
        import torch

        self.layers, self.loss, self.schedule, self.device = layers, loss, schedule, device
        prepared = [[_rows(loss, task, part, schedule.balanced) for task in tasks] for part in (False, True)]
        self.train, self.validation = (_padded(rows, device) for rows in prepared)
        self.placements = [_tensor(layer.placement.reshape(len(layer.placement), -1).T, device) for layer in layers]
        drawn = [initial(layers, seed=task.seed) for task in tasks]
        for weights, (_, columns) in zip(drawn, prepared[0], strict=True):
            weights[-1][:] = loss.base(columns)
        self.shapes = [array.shape for array in drawn[0]]
        self.flat = _tensor(np.stack([np.concatenate([array.ravel() for array in one]) for one in drawn]), device)
        # Decay pulls at kernels, not at biases; and a bias that the loss cannot see must not follow rounding errors.
        marks = [np.full(shape, float(len(shape) == 3)) for shape in self.shapes]
        self.decayed = _tensor(np.concatenate([mark.ravel() for mark in marks]), device)
        free = [np.ones(shape) for shape in self.shapes]
        free[-1] *= loss.shifted
        self.free = _tensor(np.concatenate([mark.ravel() for mark in free]), device)
        self.first, self.second = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.streams = [np.random.Generator(np.random.SFC64(task.seed)) for task in tasks]
        self.position = torch.arange(len(tasks), device=device)
        self.lowest = torch.full((len(tasks),), torch.inf, dtype=torch.float64, device=device)
        self.waited = torch.zeros(len(tasks), dtype=torch.int64, device=device)
        self.best = self.flat.clone()
        self._view()

    def step(self, epoch: int) -> None:
        """One epoch of Adam on all training rows."""
        import torch

        output = self._output(self.train, drop=self.schedule.dropout > 0).double()
        total = self.loss.value(output, self.train.columns).sum()
        found = torch.autograd.grad(total, self.leaves)
        gradient = torch.cat([part.reshape(len(self.flat), -1) for part in found], 1) * self.free
        rate = self.schedule.learning_rate
        self.first.lerp_(gradient, 0.1)
        self.second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        spread = (self.second / (1 - 0.999**epoch)).sqrt_().add_(1e-8)
        if self.schedule.weight_decay:
            self.flat.mul_(1 - rate * self.schedule.weight_decay * self.decayed)
        self.flat.addcdiv_(self.first, spread, value=-rate / (1 - 0.9**epoch))

    def look(self) -> "torch.Tensor":
        """Compare validation losses with the lowest so far; which networks (networks,) go on."""
        import torch

        value = self.loss.value(self._output(self.validation, drop=False).double(), self.validation.columns)
        running = self.waited < self.schedule.patience
        better = (value < self.lowest) & running
        self.lowest = torch.where(better, value, self.lowest)
        self.best[self.position[better]] = self.flat[better]
        self.waited = torch.where(better, torch.zeros_like(self.waited), self.waited + 1)
        return running & (self.waited < self.schedule.patience)

    def keep(self, which: "torch.Tensor") -> None:
        """Leave out the networks that have stopped."""
        self.train, self.validation = self.train.keep(which), self.validation.keep(which)
        self.flat, self.first, self.second = self.flat[which], self.first[which], self.second[which]
        self.position, self.lowest, self.waited = self.position[which], self.lowest[which], self.waited[which]
        self.streams = [one for one, kept in zip(self.streams, which, strict=True) if kept]
        self._view()

    def weights(self) -> list[Weights]:
        """The best weights of every network."""
        sizes = np.cumsum([np.prod(shape, dtype=int) for shape in self.shapes])[:-1]
        rows = self.best.cpu().numpy().astype(np.float64)
        return [
            [part.reshape(shape) for part, shape in zip(np.split(row, sizes), self.shapes, strict=True)] for row in rows
        ]

    def _view(self) -> None:
        self.leaves, start = [], 0
        for shape in self.shapes:
            stop = start + int(np.prod(shape))
            # Detached, so that gradients are taken for each; still the same memory, so that Adam moves them all.
            self.leaves.append(self.flat[:, start:stop].view(-1, *shape).detach().requires_grad_())
            start = stop

    def _output(self, part: _Part, *, drop: bool) -> "torch.Tensor":
        import torch

        values = part.x
        for index, layer in enumerate(self.layers):
            kernel, bias = self.leaves[2 * index], self.leaves[2 * index + 1]
            values = torch.baddbmm(self._bias(layer, bias), values, self._matrix(index, kernel))
            if layer.hidden:
                values = values.relu_()
            if drop and layer.dropped:
                values = values * self._noise(part, layer.units)
        return values[..., 0]

    def _matrix(self, index: int, kernel: "torch.Tensor") -> "torch.Tensor":
        """A layer's matrices (networks, inputs, outputs): its kernel, wherever the placement puts a tap."""
        import torch

        layer = self.layers[index]
        taps, length, positions = layer.placement.shape
        if length == positions == taps == 1:
            return kernel[:, 0]
        inputs, outputs = layer.channels
        shared = torch.matmul(self.placements[index], kernel.reshape(-1, taps, inputs * outputs))
        spread = shared.view(-1, length, positions, inputs, outputs).transpose(2, 3)
        return spread.reshape(-1, length * inputs, positions * outputs)

    def _bias(self, layer: Layer, bias: "torch.Tensor") -> "torch.Tensor":
        positions = layer.placement.shape[2]
        if positions == 1:
            return bias[:, None, :]
        return bias[:, None, None, :].expand(-1, 1, positions, -1).reshape(len(bias), 1, -1)

    def _noise(self, part: _Part, units: int) -> "torch.Tensor":
        """Dropout's factors, 0 or 1 / (1 - dropout); every network draws from a stream of its own, for its own rows."""
        import torch

        # A byte a unit is an eighth of the work of a number a unit, and divides the interval finely enough.
        cut = round(256 * self.schedule.dropout)
        drawn = np.zeros((len(part.sizes), part.x.shape[1], units), dtype=np.uint8)
        for row, size, stream in zip(drawn, part.sizes, self.streams, strict=True):
            row[:size] = np.frombuffer(stream.bytes(size * units), dtype=np.uint8).reshape(size, units)
        return torch.from_numpy(drawn >= cut).to(self.device, self.flat.dtype).mul_(256 / (256 - cut))


def _rows(loss: Loss, task: Task, part: bool, balanced: bool) -> tuple[Array, dict[str, Array]]:
    """The validation rows of a task (or, where ``part`` is false, its training rows) in the loss's order."""
    mine = task.held == part
    order, columns = loss.columns(task.target[mine], balanced)
    return task.matrix[mine][order], columns


def _padded(rows: list[tuple[Array, dict[str, Array]]], device: str) -> _Part:
    import torch

    sizes = [len(matrix) for matrix, _ in rows]
    longest = max(sizes)

    def pad(arrays: list[Array]) -> Array:
        stacked = np.zeros((len(arrays), longest, *arrays[0].shape[1:]))
        for row, array in zip(stacked, arrays, strict=True):
            row[: len(array)] = array
        return stacked

    # What losses take stays in double precision.
    columns = {name: torch.from_numpy(pad([found[name] for _, found in rows])).to(device) for name in rows[0][1]}
    return _Part(_tensor(pad([matrix for matrix, _ in rows]), device), columns, sizes)


def _tensor(array: Array, device: str) -> "torch.Tensor":
    import torch

    return torch.tensor(array, dtype=torch.float32, device=device)
