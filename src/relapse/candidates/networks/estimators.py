"""Ensembles of networks behind scikit-learn's interface; once fitted they hold arrays and need no tensor library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from relapse.candidates.networks.engine import Schedule, Task, fit_many
from relapse.candidates.networks.layers import Layer, convolutional, forward, multilayer, taken_apart
from relapse.candidates.networks.losses import BINARY, COX, Loss
from relapse.candidates.networks.validation import validation_rows
from relapse.candidates.sums import OfSums

Array = NDArray[np.float64]

#: Up to so many columns asking about whole rows takes no longer than sums (``benchmarks/explanation.py``).
FEW = 150

#: Networks in an ensemble. They differ in initial weights, dropout and the rows of early stopping.
MEMBERS = 10


@dataclass(frozen=True, slots=True)
class Rows:
    """What an ensemble learns from.

    ``matrix`` (n, columns) is encoded, ``target`` (n,) the outcomes, ``patient`` (n,) says whose rows stay together in
    early stopping. ``sampler`` makes synthetic rows from a member's training rows, so that none is made from, or
    stands among, those that its early stopping looks at; ``expander`` is fitted and turns encoded rows into a network's
    input. ``held`` (n,) names the rows of early stopping, None where each member draws its own.
    """

    matrix: Array
    target: NDArray[Any]
    patient: NDArray[Any]
    sampler: Any = None
    expander: Any = None
    held: NDArray[np.bool_] | None = None

    def task(self, seed: int) -> Task:
        """The rows of one member."""
        event = self.target["event"] if self.target.dtype.names else self.target == 1
        held = validation_rows(event, self.patient, seed=seed) if self.held is None else self.held
        matrix, target = self.matrix, self.target
        if self.sampler is not None:
            sampler = clone(self.sampler).set_params(random_state=seed)
            grown, outcomes = sampler.fit_resample(matrix[~held], target[~held])
            matrix, target = np.vstack([grown, matrix[held]]), np.concatenate([outcomes, target[held]])
            held = np.arange(len(matrix)) >= len(grown)
        return Task(self.expanded(matrix), target, held, seed)

    def expanded(self, matrix: Array) -> Array:
        """Encoded rows as a network takes them."""
        return matrix if self.expander is None else np.asarray(self.expander.transform(matrix), dtype=np.float64)


class _Ensemble(BaseEstimator):
    """Networks of one architecture whose outputs are averaged.

    Parameters
    ----------
    body
        ``mlp`` or ``cnn1d``: see :mod:`relapse.candidates.networks.layers`.
    width
        Units of each hidden layer, or channels of the first convolution.
    depth
        Hidden layers of an ``mlp``; a ``cnn1d`` has its own.
    dropout, weight_decay, learning_rate, balanced
        See :class:`relapse.candidates.networks.engine.Schedule`.
    members
        Networks.
    random_state
        Seed, from which each member has one of its own.
    """

    _loss: Loss

    def __init__(
        self,
        body: str = "mlp",
        width: int = 16,
        depth: int = 1,
        dropout: float = 0.3,
        weight_decay: float = 0.0,
        learning_rate: float = 1e-3,
        balanced: bool = False,
        members: int = MEMBERS,
        random_state: int = 0,
    ) -> None:
        self.body = body
        self.width = width
        self.depth = depth
        self.dropout = dropout
        self.weight_decay = weight_decay
        self.learning_rate = learning_rate
        self.balanced = balanced
        self.members = members
        self.random_state = random_state

    def fit(self, X: Array, y: NDArray[Any], patient: NDArray[Any] | None = None) -> Self:
        """Fit on a matrix ``X`` (n, p) and outcomes ``y`` (n,); rows of one ``patient`` (n,) stay together."""
        fit_ensembles([self], [Rows(X, y, np.arange(len(X)) if patient is None else patient)])
        return self

    def member_outputs(self, X: Array) -> Array:
        """Log-odds or log-hazards (members, n): their spread says how far the networks agree."""
        return forward(self._layers(X.shape[1]), self.weights_, X)

    def taken_apart(self) -> OfSums | None:
        """The mean of the members' outputs, by sums over the columns; None of :data:`FEW` columns or fewer."""
        columns = self.weights_[0].shape[2]
        return taken_apart(self._layers(columns), self.weights_) if columns > FEW else None

    def _output(self, X: Array) -> Array:
        return np.asarray(self.member_outputs(np.asarray(X)).mean(axis=0))

    def _layers(self, features: int) -> tuple[Layer, ...]:
        if self.body == "cnn1d":
            return convolutional(features, width=self.width)
        return multilayer(features, width=self.width, depth=self.depth)

    def _schedule(self) -> Schedule:
        return Schedule(self.learning_rate, self.weight_decay, self.dropout, self.balanced)

    def _tasks(self, rows: Rows) -> list[Task]:
        seeds = np.random.SeedSequence(self.random_state).generate_state(self.members)
        return [rows.task(int(seed)) for seed in seeds]


class NetworkClassifier(ClassifierMixin, _Ensemble):
    """Cross-entropy; the log-odds of the members are averaged."""

    _loss = BINARY

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n, 2) of both classes."""
        risk = expit(self._output(X))
        return np.column_stack([1.0 - risk, risk])

    def predict(self, X: Array) -> NDArray[np.int_]:
        """0 or 1 at probability ½."""
        return (self._output(X) >= 0).astype(np.int64)


class NetworkCox(_Ensemble):
    """Cox partial likelihood (Faraggi and Simon 1995, Stat Med 14:73-82); the members' log-hazards are averaged."""

    _loss = COX

    def predict(self, X: Array) -> Array:
        """Log-hazard (n,)."""
        return self._output(X)


def fit_ensembles(ensembles: Sequence[_Ensemble], rows: Sequence[Rows]) -> None:
    """Fit ensembles that differ in rows, seed and number of members only, all their networks as one program."""
    first = ensembles[0]
    tasks = [one._tasks(mine) for one, mine in zip(ensembles, rows, strict=True)]
    layers = first._layers(tasks[0][0].matrix.shape[1])
    networks = iter(fit_many(layers, first._loss, [task for mine in tasks for task in mine], first._schedule()))
    for ensemble, mine in zip(ensembles, tasks, strict=True):
        members = [next(networks) for _ in mine]
        ensemble.weights_ = [np.stack(parts) for parts in zip(*members, strict=True)]
        if isinstance(ensemble, NetworkClassifier):
            ensemble.classes_ = np.array([0, 1])
