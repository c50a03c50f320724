"""The class of a breast's tissue, as mini-MIAS has it: fatty, fatty-glandular, dense-glandular.

Its probabilities are a mean of those of a regression on features of the tissue and of small networks that see the map
of what is brighter than fat; both are numbers only, so that no machine-learning library is needed to read a film.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]

#: Brings a picture's numbers to about 1, as networks learn from best.
_GAIN = 4.0

#: By how many percent of dense area the two denser classes of BI-RADS part, and how gradually.
_EXTREME, _GRADUAL = 75.0, 6.0


@dataclass(frozen=True, slots=True, eq=False)
class TissueHead:
    """Tells the class of tissue from features and picture of a breast.

    Parameters
    ----------
    mean, deviation
        Of the features (k,).
    kernel, constant
        Of the regression on standardised features: (3, k) and (3,).
    networks
        Weights of each network: kernels (out, in, 3, 3) and constants of its convolutions, then kernel and constant of
        its last layer.
    share
        How much the networks count, 0 to 1; the rest is the regression's.
    """

    mean: Array
    deviation: Array
    kernel: Array
    constant: Array
    networks: tuple[tuple[NDArray[np.float32], ...], ...]
    share: float

    def probabilities(self, features: Array, pictures: NDArray[np.float32]) -> Array:
        """Probabilities (n, 3) of fatty, fatty-glandular and dense-glandular tissue.

        Parameters
        ----------
        features
            (n, k), of :func:`tissue_features`.
        pictures
            (n, 64, 64), of :func:`tissue_picture`.
        """
        found = _softmax((features - self.mean) / self.deviation @ self.kernel.T + self.constant)
        if self.networks and self.share:
            seen = np.mean([_softmax(_outputs(one, pictures)) for one in self.networks], axis=0)
            found = (1 - self.share) * found + self.share * seen
        return np.asarray(found)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name, as ``numpy.savez`` takes them."""
        found: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "deviation": self.deviation,
            "kernel": self.kernel,
            "constant": self.constant,
            "share": np.array(self.share),
        }
        for number, weights in enumerate(self.networks):
            found |= {f"network{number}.{place}": one for place, one in enumerate(weights)}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "TissueHead":
        """Take up what :meth:`to_arrays` gave."""
        networks: list[tuple[NDArray[np.float32], ...]] = []
        while f"network{len(networks)}.0" in arrays:
            name = f"network{len(networks)}."
            count = sum(key.startswith(name) for key in arrays)
            networks.append(tuple(np.asarray(arrays[f"{name}{place}"], dtype=np.float32) for place in range(count)))
        mean, deviation, kernel, constant = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "deviation", "kernel", "constant")
        )
        return cls(mean, deviation, kernel, constant, tuple(networks), float(arrays["share"]))


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _outputs(weights: tuple[NDArray[np.float32], ...], pictures: NDArray[np.float32]) -> Array:
    """What a network says (n, 3) of pictures: convolutions by twos, their means, a last layer."""
    maps = _GAIN * np.asarray(pictures, dtype=np.float32)[:, None]
    *layers, kernel, constant = weights
    for taps, shift in zip(layers[::2], layers[1::2], strict=True):
        padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
        maps = np.tensordot(windows, taps, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + shift[:, None, None]
        maps = np.maximum(maps, 0)
    return np.asarray(maps.mean(axis=(2, 3)) @ kernel.T + constant, dtype=np.float64)


#: Channels of the networks' convolutions; epochs, films a batch, learning rate and decay of their training.
_CHANNELS, _EPOCHS, _BATCH, _RATE, _DECAY = (8, 16, 32), 50, 32, 3e-3, 1e-2

#: Inner folds, each of which trains a network; strengths of the regression and shares of the networks to choose from.
_FOLDS, _STRENGTHS, _SHARES = 4, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0), (0.0, 0.25, 0.5, 0.75)


def fit_tissue(
    features: Array,
    pictures: NDArray[np.float32],
    labels: NDArray[np.int_],
    groups: NDArray[Any],
    *,
    seed: int = 0,
    epochs: int = _EPOCHS,
) -> TissueHead:
    """Learn the class of tissue.

    Parameters
    ----------
    features
        (n, k).
    pictures
        (n, 64, 64).
    labels
        (n,), 0 to 2; each class occurs in four groups at least.
    groups
        (n,), whose film it is: women are never parted between inner folds.
    seed
        Of folds and networks.
    epochs
        Of each network.

    Notes
    -----
    The strength of the regression and the share of the networks are those with the least log-loss on held-out women of
    inner folds. The network of each inner fold, which has not seen the fold, is kept, and all of them are averaged.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    parts = list(StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(features, labels, groups))
    regressed = {strength: np.zeros((len(labels), 3)) for strength in _STRENGTHS}
    seen = np.zeros((len(labels), 3))
    networks = []
    for number, (inner, held) in enumerate(parts):
        for strength, found in regressed.items():
            mean, deviation, kernel, constant = _regression(features[inner], labels[inner], strength)
            found[held] = _softmax((features[held] - mean) / deviation @ kernel.T + constant)
        weights = _network(pictures[inner], labels[inner], seed * _FOLDS + number, epochs)
        seen[held] = _softmax(_outputs(weights, pictures[held]))
        networks.append(weights)
    strength = min(_STRENGTHS, key=lambda one: _log_loss(regressed[one], labels))
    best = regressed[strength]
    share = min(_SHARES, key=lambda one: _log_loss((1 - one) * best + one * seen, labels))
    return TissueHead(*_regression(features, labels, strength), tuple(networks), share)


def _log_loss(probabilities: Array, labels: NDArray[np.int_]) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-9)).mean())


def _regression(features: Array, labels: NDArray[np.int_], strength: float) -> tuple[Array, Array, Array, Array]:
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-9)
    model = LogisticRegression(C=strength, max_iter=2000).fit((features - mean) / deviation, labels)
    return mean, deviation, np.asarray(model.coef_), np.asarray(model.intercept_)


def _network(
    pictures: NDArray[np.float32], labels: NDArray[np.int_], seed: int, epochs: int
) -> tuple[NDArray[np.float32], ...]:
    """Train one network; its weights as :class:`TissueHead` keeps them."""
    import torch

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[torch.nn.Module] = []
        for before, after in zip((1, *_CHANNELS), _CHANNELS, strict=False):
            layers += [torch.nn.Conv2d(before, after, 3, stride=2, padding=1), torch.nn.ReLU()]
        last = torch.nn.Linear(_CHANNELS[-1], 3)
        network = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), last)
        images, classes = _GAIN * torch.tensor(pictures)[:, None], torch.tensor(labels, dtype=torch.int64)
        batches = -(-len(labels) // _BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=epochs * batches)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(_BATCH):
                loss = torch.nn.functional.cross_entropy(network(_varied(images[rows])), classes[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return tuple(one.detach().numpy().copy() for one in network.parameters())


def _varied(images: "torch.Tensor") -> "torch.Tensor":
    """Pictures moved by a few rows, some upside down, a little brighter or darker."""
    import torch

    gain = 1 + 0.1 * torch.randn(len(images), 1, 1, 1)
    moved = torch.roll(images, int(torch.randint(-4, 5, ())), dims=2)
    turned = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(turned, moved.flip(2), moved) * gain


def bi_rads(tissue: tuple[float, float, float], percent: float) -> tuple[float, float, float, float]:
    """Probabilities of four classes like those of BI-RADS, from the three of mini-MIAS.

    Fatty and fatty-glandular tissue are the first two. Dense-glandular tissue is the third or the fourth: the fourth
    edition of BI-RADS parts them at 75% of the area, here gradually. They are no radiologist's BI-RADS classes: nobody
    read any for these films.
    """
    fatty, glandular, dense = tissue
    extreme = 1 / (1 + float(np.exp((_EXTREME - percent) / _GRADUAL)))
    return fatty, glandular, dense * (1 - extreme), dense * extreme
