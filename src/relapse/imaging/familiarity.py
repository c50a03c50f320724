"""Whether a picture is like those of the training: one that is not gets an answer with a warning.

A picture is looked at in two ways: by plain statistics of its intensities (:func:`statistics`), and by what the encoder
makes of it (:func:`pooled`). The second alone is half blind: to a network that has seen nothing, a picture without
contrast looks like any other. Of each there is a normal distribution of the training's pictures, and a Mahalanobis
distance from it (Lee et al. 2018, NeurIPS).

A DenseNet121 has 864 channels and a study may have 60 pictures, whose covariance cannot be inverted. It is shrunk
towards its diagonal as Ledoit and Wolf (2004, J Multivar Anal 88:365) derive from the data: no number of components has
to be chosen, and what lies outside the training's directions counts. On phantoms this saw more than neighbours
or principal components did, and unlike neighbours it keeps no patient's row. A training picture lies nearer to a
distribution that it was part of than a new one would; the limits are therefore those of distances between pictures and
distributions fitted without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import SourceError
from relapse.imaging.slices import Picture

Array = NDArray[np.float64]

#: Parts that training pictures are divided into for the limits; fewest pictures that say anything.
_PARTS, _FEWEST = 10, 20

#: Smallest deviation that counts, as a share of a picture's own unit and of the largest channel's.
_LEAST = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """A normal distribution and the largest distance that counts as like it.

    Values (…, features) less ``centre``, divided by ``scale``, along ``axes`` (features, features), have the variances
    ``spread``.
    """

    centre: Array
    scale: Array
    axes: NDArray[np.float32]
    spread: Array
    limit: Array

    def ratio(self, values: Array) -> Array:
        """Distance of rows (n, features) from the training's centre, as a multiple of the limit: above 1 is unlike."""
        return _distance(self, values) / self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a picture is from those of the training, in multiples of the limit."""

    intensities: float
    maps: float

    @property
    def unlike(self) -> bool:
        """Whether the picture is flagged."""
        return max(self.intensities, self.maps) > 1


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """What is known of the training's pictures; ``share`` of pictures like them are flagged nevertheless."""

    intensities: Likeness
    maps: Likeness
    share: float

    def judge(self, picture: Picture, maps: NDArray[np.floating]) -> Verdict:
        """Judge a picture and its maps (slices, places, channels)."""
        return Verdict(
            float(self.intensities.ratio(statistics(picture)[None])[0]), float(self.maps.ratio(pooled(maps)[None])[0])
        )

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything as named arrays, to be kept in a file."""
        parts = {"intensities": self.intensities, "maps": self.maps}
        found = {
            f"{name}_{key.name}": getattr(one, key.name) for name, one in parts.items() for key in fields(Likeness)
        }
        return {**found, "share": np.array(self.share)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Familiarity":
        """Take up what :meth:`arrays` gave.

        Raises
        ------
        SourceError
            An array is missing, of another size, or not finite.
        """
        try:
            intensities, maps = (
                Likeness(*(np.asarray(arrays[f"{name}_{key.name}"]) for key in fields(Likeness)))
                for name in ("intensities", "maps")
            )
            share = float(np.asarray(arrays["share"]))
        except (KeyError, TypeError, ValueError):
            raise SourceError("what is known of the training's pictures is incomplete. Make the bundle anew.") from None
        for one in (intensities, maps):
            size = one.centre.size
            shapes = [one.centre.shape, one.scale.shape, one.axes.shape, one.spread.shape, one.limit.shape]
            whole = shapes == [(size,), (size,), (size, size), (size,), ()]
            if not whole or not all(np.isfinite(getattr(one, key.name)).all() for key in fields(Likeness)):
                raise SourceError("what is known of the training's pictures is damaged. Make the bundle anew.")
        return cls(intensities, maps, share)


def learn(pictures: Array, maps: Array, *, share: float = 0.02) -> Familiarity:
    """Learn how pictures of the training look.

    Parameters
    ----------
    pictures, maps
        :func:`statistics` (n, …) and :func:`pooled` maps (n, channels) of one picture a patient, in the same order.
    share
        Share of pictures like them that is flagged; half of it by either way to look. The smallest that n pictures
        allow is 2 / (n + 1): with fewer, the share of the result is larger than what was asked for.

    Raises
    ------
    ValueError
        There are fewer than 20 pictures.
    """
    if len(pictures) < _FEWEST:
        raise ValueError(f"{len(pictures)} pictures do not say what is unlike them; at least {_FEWEST} are needed.")
    # The rank of a new picture's distance among n others' is one of n + 1, each as likely as another.
    size = len(pictures)
    rank = min(size, int(np.ceil((1 - share / 2) * (size + 1))))
    intensities, seen = (_limited(np.asarray(values, dtype=np.float64), rank) for values in (pictures, maps))
    return Familiarity(intensities, seen, share=2 * (1 - rank / (size + 1)))


def statistics(picture: Picture) -> Array:
    """Plain statistics of a picture, the mean over its slices.

    Of each channel the mean within and without the mask, the logarithm of its deviation, and how rough it is; of each
    two that follow each other their correlation and the logarithm of their difference's deviation; the logarithms of
    the square's width and of the mask's share.
    """
    return np.mean([_statistics(*each) for each in zip(picture.channels, picture.mask, picture.width, strict=True)], 0)


def pooled(maps: NDArray[np.floating]) -> Array:
    """The trunk's maps (…, slices, places, channels) as one number a channel: the mean over slices and places."""
    return np.asarray(maps.mean(axis=(-3, -2), dtype=np.float64))


def _statistics(channels: NDArray[np.floating], mask: NDArray[np.bool_], width: float) -> list[float]:
    found = []
    shown: Sequence[Array] = list(channels.astype(np.float64))
    for one in shown:
        deviation = one.std() + _LEAST
        found += [one[mask].mean() if mask.any() else 0.0, one[~mask].mean() if not mask.all() else 0.0]
        steps = np.sqrt(np.mean(np.diff(one, axis=0) ** 2) + np.mean(np.diff(one, axis=1) ** 2))
        found += [np.log(deviation), steps / deviation]
    for former, latter in pairwise(shown):
        together = np.mean((former - former.mean()) * (latter - latter.mean()))
        found.append(together / ((former.std() + _LEAST) * (latter.std() + _LEAST)))
        found.append(np.log((latter - former).std() + _LEAST))
    return [*found, float(np.log(width)), float(np.log(mask.mean() + _LEAST))]


def _limited(values: Array, rank: int) -> Likeness:
    """The distribution of rows, with the ``rank``-th smallest of their distances as the limit."""
    # Neighbours in the table may be of one site: parts are drawn.
    part = np.random.default_rng(0).permutation(len(values)) % _PARTS
    distances = np.empty(len(values))
    for number in range(_PARTS):
        distances[part == number] = _distance(_fitted(values[part != number], 1.0), values[part == number])
    return _fitted(values, float(np.sort(distances)[rank - 1]))


def _fitted(values: Array, limit: float) -> Likeness:
    from sklearn.covariance import ledoit_wolf

    centre, scale = values.mean(axis=0), values.std(axis=0)
    # What never varies in training is the picture of a constant; any change in it counts, but not infinitely.
    scale = np.maximum(scale, max(_LEAST * float(scale.max()), 1e-12))
    covariance, _ = ledoit_wolf((values - centre) / scale, assume_centered=True)
    spread, axes = np.linalg.eigh(covariance)
    return Likeness(centre, scale, axes.astype(np.float32), np.maximum(spread, 1e-12), np.array(limit))


def _distance(likeness: Likeness, values: Array) -> Array:
    along = ((values - likeness.centre) / likeness.scale) @ likeness.axes.astype(np.float64)
    return np.asarray(np.sqrt(np.mean(along**2 / likeness.spread, axis=-1)))
