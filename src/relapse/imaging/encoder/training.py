"""Heads trained many at once on the trunk's maps: all folds and members of an ensemble as one program.

No operation mixes networks, and each draws its batches and views from a stream of its own, so that a head comes out as
if it were trained alone, up to the rounding of a matrix product.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.encoder.asking import asked, norms_of, start_features
from relapse.imaging.encoder.beginning import ridge
from relapse.imaging.encoder.head import Frozen, Weights, outputs
from relapse.imaging.encoder.maps import Maps

if TYPE_CHECKING:
    import torch

#: Bytes of intermediate results that networks trained at once may take on a CPU: more fall out of its caches.
_AT_ONCE = 256 << 20

#: Name of the covariates among the columns of a batch.
_BESIDE = "covariates"


class Loss(Protocol):
    """A loss for many networks at once, as :class:`relapse.candidates.networks.losses.Loss` is one."""

    @property
    def columns(self) -> "Any":
        """Order of one network's rows, and what the value needs of each, from its targets."""

    @property
    def value(self) -> "Any":
        """One value a network from outputs (networks, rows) and those columns, padded with zeros."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadTask:
    """What one head learns from.

    ``rows`` (n,) of the maps, ``target`` (n,), ``held`` (n,) true for the rows of early stopping, and a ``seed``.
    ``covariates`` (n, p), standardised: what else is known of each row. The head learns beside them: its output is that
    of the image plus ``covariates @ beta``, so that the image is asked for what they do not tell.
    """

    rows: NDArray[np.int_]
    target: NDArray[Any]
    held: NDArray[np.bool_]
    seed: int
    covariates: NDArray[np.float64] | None = None

    @property
    def width(self) -> int:
        """Columns of the covariates."""
        return 0 if self.covariates is None else self.covariates.shape[1]


@dataclass(frozen=True, slots=True)
class HeadSchedule:
    """How heads are trained: Adam with decoupled weight decay on kernels, over batches that all hold events.

    A head stops once ``patience`` epochs have not lowered the loss of its held rows, and goes back to its best weights.
    ``covariate_rate`` is the learning rate of covariates' coefficients, which start at 0 and have some tenths to go
    where kernels have thousandths. ``double`` computes in double precision.

    A head starts from the encoder's weights and a classifier of its own: that of
    :func:`relapse.imaging.encoder.beginning.ridge` on its training rows, where ``expected`` is the deviation of
    log-hazards that the penalty expects; where it is 0, from small random weights.
    """

    learning_rate: float = 1e-4
    covariate_rate: float = 1e-2
    weight_decay: float = 1e-2
    batch: int = 64
    epochs: int = 12
    patience: int = 4
    expected: float = 1.0
    balanced: bool = False
    double: bool = False


def fit_heads(
    maps: Maps,
    beginning: tuple[Weights, Frozen],
    loss: Loss,
    tasks: Sequence[HeadTask],
    schedule: HeadSchedule,
    *,
    device: str = "cpu",
) -> list[Weights]:
    """Train one head a task, as many at once as pay; the weights come back in the order of the tasks.

    Where tasks have covariates, their coefficients ``beta`` (p,) come back as the last of a head's weights.

    Raises
    ------
    ValueError
        Tasks differ in how many covariates they have, or covariates have other rows than their task.
    """
    _check_covariates(tasks)
    together = len(tasks)
    if device == "cpu":
        weights, frozen = beginning
        # Copies of the maps that a head makes on its way; lite0's maps grow fourfold before they are pooled.
        copies = 3 * weights[1].size // weights[0].shape[0] if frozen.kind != "densenet" else len(weights) // 3 + 2
        each = schedule.batch * maps.values.shape[3] * maps.values.shape[4] * 4 * copies
        together = max(1, min(together, _AT_ONCE // each))
    parts = [tasks[first : first + together] for first in range(0, len(tasks), together)]
    seen = None
    if schedule.expected:
        rows = np.unique(np.concatenate([task.rows for task in tasks]))
        seen = start_features(maps, beginning, rows, device)
    return [
        weights for part in parts for weights in _Heads(maps, beginning, loss, part, schedule, device, seen).trained()
    ]


class _Heads:
    """The state of a training: each head's parameters in a row of ``flat``, Adam's moments, best weights, patience."""

    def __init__(
        self,
        maps: Maps,
        beginning: tuple[Weights, Frozen],
        loss: Loss,
        tasks: Sequence[HeadTask],
        schedule: HeadSchedule,
        device: str,
        seen: NDArray[np.float64] | None = None,
    ) -> None:
        import torch

        self.side, self.loss, self.schedule, self.device = maps.side, loss, schedule, device
        self.kind = torch.float64 if schedule.double else torch.float32
        # On a GPU the maps are there once for all heads; a CPU's tensors share the array's memory.
        self.values = torch.from_numpy(maps.values).to(device)
        self.norms, self.network = norms_of(beginning[1], device, self.kind), beginning[1].kind
        self.tasks = list(tasks)
        self.streams = [np.random.default_rng(task.seed) for task in tasks]
        self.images, width = len(beginning[0]), tasks[0].width
        self.shapes = [*(one.shape for one in beginning[0]), *([(width,)] if width else [])]
        begun = [self._begun(beginning[0], number, seen) for number in range(len(tasks))]
        self.flat = torch.from_numpy(np.stack(begun)).to(device, self.kind)
        decayed = [_decays(shape, place, self.images) for place, shape in enumerate(self.shapes)]
        rates = [schedule.learning_rate] * self.images + [schedule.covariate_rate]
        self.decayed, self.rates = (self._spread(values) for values in (decayed, rates[: len(self.shapes)]))
        self.first, self.second = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.steps = torch.zeros(len(tasks), 1, dtype=self.kind, device=device)
        self.lowest = np.full(len(tasks), np.inf)
        self.waited = np.zeros(len(tasks), dtype=np.int_)
        self.position = np.arange(len(tasks))
        self.best = self.flat.clone()
        self._view()

    def trained(self) -> list[Weights]:
        """Train until every head has stopped; one that no epoch makes better stays as it started."""
        self.look()
        for _ in range(self.schedule.epochs):
            self.epoch()
            running = self.look()
            if not running.any():
                break
            if not running.all():
                self._keep(running)
        rows = self.best.cpu().numpy().astype(np.float32)
        sizes = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        return [
            [part.reshape(shape).copy() for part, shape in zip(np.split(row, sizes), self.shapes, strict=True)]
            for row in rows
        ]

    def epoch(self) -> None:
        """One pass over the training rows of every head."""
        dealt = [self._dealt(task, stream) for task, stream in zip(self.tasks, self.streams, strict=True)]
        for number in range(max(len(batches) for batches in dealt)):
            self._step([batches[number] if number < len(batches) else None for batches in dealt])

    def look(self) -> NDArray[np.bool_]:
        """Compare the loss of the held rows with the lowest so far; which heads go on."""
        import torch

        prepared = [self._prepared(task, np.flatnonzero(task.held)) for task in self.tasks]
        rows, columns = self._padded(prepared)
        with torch.no_grad():
            found = asked(self.values, self.side, self.leaves[: self.images], self.norms, rows, self.network)
            output = self._beside(torch.from_numpy(found).to(self.device, self.kind), columns)
            value = self.loss.value(output, columns).cpu().numpy()
        better = value < self.lowest
        self.lowest = np.where(better, value, self.lowest)
        self.best[torch.from_numpy(self.position[better])] = self.flat[torch.from_numpy(np.flatnonzero(better))]
        self.waited = np.where(better, 0, self.waited + 1)
        return np.asarray(self.waited < self.schedule.patience)

    def _step(self, batches: "list[tuple[NDArray[np.int_], dict[str, Any], NDArray[np.int_]] | None]") -> None:
        import torch

        there = next(batch for batch in batches if batch is not None)
        moves = torch.tensor([[batch is not None] for batch in batches], device=self.device)
        # Who has no batch left is given another's, and stands still.
        filled = [there if batch is None else batch for batch in batches]
        rows, columns = self._padded([(rows, found) for rows, found, _ in filled])
        drawn = np.zeros_like(rows)
        for place, (mine, _, views) in enumerate(filled):
            drawn[place, : len(mine)] = views
        chosen, shown = (torch.from_numpy(one).to(self.device) for one in (rows, drawn))
        count = self.values.shape[2]
        seen = self.values[chosen, shown // count, shown % count].to(self.kind)
        output = self._beside(outputs(self.leaves[: self.images], self.norms, seen, self.side, self.network), columns)
        total = self.loss.value(output, columns).sum()
        found = torch.autograd.grad(total, self.leaves)
        gradient = torch.cat([part.reshape(len(self.flat), -1) for part in found], 1)
        self._adam(gradient, moves)

    def _beside(self, output: "torch.Tensor", columns: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        """The image's output (networks, rows) and what covariates add to it."""
        if _BESIDE not in columns:
            return output
        return output + (columns[_BESIDE] * self.leaves[-1][:, None]).sum(2)

    def _adam(self, gradient: "torch.Tensor", moves: "torch.Tensor") -> None:
        """Adam (Kingma and Ba 2015) with decoupled decay, for the heads that move."""
        import torch

        self.steps += moves
        weight = moves.to(self.kind)
        self.first.lerp_(gradient, 0.1 * weight)
        self.second.lerp_(gradient * gradient, 0.001 * weight)
        count = self.steps.clamp_min(1)
        spread = (self.second / (1 - 0.999**count)).sqrt_().add_(1e-8)
        change = self.first / (1 - 0.9**count) / spread + self.schedule.weight_decay * self.decayed * self.flat
        self.flat.sub_(torch.where(moves, self.rates * change, torch.zeros_like(change)))

    def _begun(self, beginning: Weights, number: int, seen: NDArray[np.float64] | None) -> NDArray[np.float32]:
        """The weights that a head starts from, in one row: the encoder's, and a classifier of its own."""
        task = self.tasks[number]
        if seen is None:
            drawn = self.streams[number].normal(0, 0.01, beginning[-2].shape)
            own = np.concatenate([drawn, np.zeros(1 + task.width)])
        else:
            learnt = np.flatnonzero(~task.held)
            known = None if task.covariates is None else task.covariates[learnt]
            own = ridge(
                seen[task.rows[learnt]],
                known,
                task.target[learnt],
                self.loss,
                expected=self.schedule.expected,
                balanced=self.schedule.balanced,
            )
        return np.concatenate([*(one.ravel() for one in beginning[:-2]), own]).astype(np.float32)

    def _dealt(
        self, task: HeadTask, stream: np.random.Generator
    ) -> "list[tuple[NDArray[np.int_], dict[str, Any], NDArray[np.int_]]]":
        """Batches of a head's training rows: events and others dealt out evenly, each row with a view of its own."""
        event = task.target["event"] if task.target.dtype.names else task.target == 1
        groups = [stream.permutation(np.flatnonzero(~task.held & (event == which))) for which in (True, False)]
        # A batch without an event, or without any other row, would teach nothing.
        most = min((len(group) for group in groups if len(group)), default=1)
        count = max(1, min(math.ceil(sum(map(len, groups)) / self.schedule.batch), most))
        batches = []
        for number in range(count):
            rows, columns = self._prepared(task, np.concatenate([group[number::count] for group in groups]))
            views = stream.integers(self.values.shape[1] * self.values.shape[2], size=len(rows))
            batches.append((rows, columns, views))
        return batches

    def _prepared(self, task: HeadTask, places: NDArray[np.int_]) -> tuple[NDArray[np.int_], dict[str, Any]]:
        order, columns = self.loss.columns(task.target[places], self.schedule.balanced)
        if task.covariates is not None and task.width:
            columns = columns | {_BESIDE: task.covariates[places][order]}
        return task.rows[places][order], columns

    def _padded(
        self, prepared: "Sequence[tuple[NDArray[np.int_], Mapping[str, Any]]]"
    ) -> "tuple[NDArray[np.int_], dict[str, torch.Tensor]]":
        import torch

        longest = max(len(rows) for rows, _ in prepared)
        rows = np.zeros((len(prepared), longest), dtype=np.int64)
        columns = {
            name: np.zeros((len(prepared), longest, *column.shape[1:])) for name, column in prepared[0][1].items()
        }
        for place, (mine, found) in enumerate(prepared):
            rows[place, : len(mine)] = mine
            for name, column in found.items():
                columns[name][place, : len(mine)] = column
        return rows, {name: torch.from_numpy(one).to(self.device, self.kind) for name, one in columns.items()}

    def _keep(self, running: NDArray[np.bool_]) -> None:
        import torch

        kept = torch.from_numpy(np.flatnonzero(running)).to(self.device)
        self.flat, self.first, self.second = self.flat[kept], self.first[kept], self.second[kept]
        self.steps = self.steps[kept]
        self.tasks = [one for one, on in zip(self.tasks, running, strict=True) if on]
        self.streams = [one for one, on in zip(self.streams, running, strict=True) if on]
        self.lowest, self.waited, self.position = self.lowest[running], self.waited[running], self.position[running]
        self._view()

    def _spread(self, values: Sequence[float]) -> "torch.Tensor":
        """One value a tensor of weights, as one a weight."""
        import torch

        sizes = [math.prod(shape) for shape in self.shapes]
        return torch.from_numpy(np.repeat(np.asarray(values, dtype=np.float64), sizes)).to(self.device, self.kind)

    def _view(self) -> None:
        self.leaves, begin = [], 0
        for shape in self.shapes:
            end = begin + math.prod(shape)
            self.leaves.append(self.flat[:, begin:end].view(-1, *shape).detach().requires_grad_())
            begin = end


def _decays(shape: tuple[int, ...], place: int, count: int) -> bool:
    """Whether weight decay pulls: at kernels, the classifier's included, and at what follows a head's own weights."""
    return len(shape) == 2 or place == count - 2 or place >= count


def _check_covariates(tasks: Sequence[HeadTask]) -> None:
    if len({task.width for task in tasks}) > 1:
        raise ValueError("heads trained at once have the same covariates.")
    if any(task.covariates is not None and len(task.covariates) != len(task.rows) for task in tasks):
        raise ValueError("covariates: one row is needed for each row of the task.")
