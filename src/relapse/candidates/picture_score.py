"""What an ensemble of heads makes of a patient's picture: one column beside the encoded features.

All that a trained model needs to look at pictures; how heads come to be is told in :mod:`relapse.candidates.pictures`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline

from relapse.candidates.base import SurvivalModel
from relapse.candidates.networks.engine import device
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.sources import expanded
from relapse.ground.workspace import kept_maps, project_of
from relapse.imaging.encoder import plain
from relapse.imaging.encoder.head import Frozen
from relapse.imaging.encoder.maps import Maps, gathered
from relapse.imaging.slices import Picture
from relapse.imaging.stored import open_picture
from relapse.preprocessing.iterative import by_columns

if TYPE_CHECKING:
    import pandas as pd

    from relapse.imaging.encoder.network import Encoder
    from relapse.machinery import Machinery

Array = NDArray[np.float64]
Arrays = Sequence[NDArray[np.float32]]

#: The step of an encoder of columns that looks at pictures.
STEP = "picture"

#: The other encoder's name.
LITE0 = "efficientnet_lite0"


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What an encoder's trunk saw of a picture: maps (slices, places, channels)."""

    maps: NDArray[np.float32]


class PictureScore(TransformerMixin, BaseEstimator):
    """What an ensemble of heads makes of pictures: one column, a part of a log-hazard or of log-odds.

    It is asked for paths of pictures that stages made, or for what was seen of others: a :class:`Sight`.

    Parameters
    ----------
    network, weights, views
        Which encoder, and under how many views its maps are kept: see :func:`open_encoder`.
    heads
        The members' weights, each array with the members first.
    means, scales, kind
        Of the frozen normalisations, and of which network: see :class:`relapse.imaging.encoder.head.Frozen`.

    Attributes
    ----------
    mean_
        The mean score of the rows it was fitted on; who has no picture counts as average.
    """

    def __init__(
        self,
        network: str = "densenet121",
        weights: str | None = None,
        views: int = 4,
        heads: Arrays = (),
        means: Arrays = (),
        scales: Arrays = (),
        kind: Literal["densenet", "efficientnet-lite0"] = "densenet",
    ) -> None:
        self.network = network
        self.weights = weights
        self.views = views
        self.heads = heads
        self.means = means
        self.scales = scales
        self.kind = kind

    def fit(self, X: "pd.DataFrame", y: Any = None) -> Self:
        """Nothing is learnt before heads are given: every picture scores 0."""
        self.mean_ = 0.0
        return self

    def give(self, heads: Arrays, frozen: Frozen) -> None:
        """Take trained heads; who has no picture scores 0 until :attr:`mean_` is set."""
        self.set_params(heads=heads, means=list(frozen.means), scales=list(frozen.scales), kind=frozen.kind)

    def transform(self, X: "pd.DataFrame") -> Array:
        """Scores (n, 1)."""
        items = _items(X)
        there = np.array([len(self.heads) and isinstance(item, str | Sight) for item in items], dtype=bool)
        found = np.full(len(items), self.mean_)
        if there.any():
            found[there] = self._scores([item for item, known in zip(items, there, strict=True) if known])
        return found[:, None]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The name of the one column."""
        return np.array([IMAGE], dtype=object)

    def maps(self, items: "Sequence[str | Sight]") -> tuple[NDArray[np.float32], int]:
        """The trunk's maps (items, slices, places, channels) of pictures in their plain view, and their side."""
        paths = [Path(item) for item in items if isinstance(item, str)]
        if paths:
            kept = kept_of(self.network, self.weights, paths, self.views)
            return kept.values[:, :, 0], kept.side
        values = np.stack([item.maps for item in items if isinstance(item, Sight)])
        return values, round(values.shape[2] ** 0.5)

    def attention(self, item: "str | Sight", *, lowers: bool = False) -> Array:
        """Grad-CAM (slices, side, side) of one picture: what raises the output, or with ``lowers`` what lowers it."""
        values, side = self.maps([item])
        return plain.attention(self.heads, self._frozen, values[0], side, lowers=lowers)

    @property
    def _frozen(self) -> Frozen:
        return Frozen(tuple(self.means), tuple(self.scales), self.kind)

    def _scores(self, items: "Sequence[str | Sight]") -> Array:
        """Scores (n,), each picture looked at once."""
        unique = list(dict.fromkeys(items))
        values, side = self.maps(unique)
        count, slices = values.shape[:2]
        flat = values.reshape(count * slices, *values.shape[2:])
        asked = plain.outputs(self.heads, self._frozen, flat, side)
        score = asked.astype(np.float64).mean(axis=0).reshape(count, slices).mean(axis=1)
        place = {item: number for number, item in enumerate(unique)}
        return np.asarray(score[[place[item] for item in items]])


def score_of(model: RiskModel) -> PictureScore | None:
    """The part of a trained model that looks at pictures, None where it looks at none."""
    inner = model.model
    return picture_step(inner.transform_ if isinstance(inner, SurvivalModel) else inner.pipeline_)


def picture_step(pipeline: Pipeline) -> PictureScore | None:
    """The part of a fitted pipeline that looks at pictures, None where it looks at none."""
    found: PictureScore | None = by_columns(pipeline.named_steps["encode"]).named_transformers_.get(STEP)
    return found


def kept_of(
    network: str, weights: str | None, paths: Sequence[Path], views: int, machinery: "Machinery | None" = None
) -> Maps:
    """The maps of pictures in their order, from the cache of their project, made and kept there where they are not."""
    project = project_of(paths[0])
    return gathered(
        open_encoder(network, weights, project),
        [path.stem for path in paths],
        partial(_opened, {path.stem: path for path in paths}),
        kept_maps(project),
        count=views,
        device=device(),
        machinery=machinery,
    )


@cache
def open_encoder(network: str, weights: str | None, project: Path) -> "Encoder":
    """The encoder of a family.

    Parameters
    ----------
    network
        The family's name.
    weights
        The file of published weights as declared, None for random ones.
    project
        Where a relative path starts from.
    """
    from relapse.imaging.encoder.network import build

    if network == LITE0:
        return build("efficientnet-lite0")
    return build(expanded(weights, root=project, what="file") if weights else None)


def _items(X: "pd.DataFrame") -> list[Any]:
    return list(X.iloc[:, 0])


def _opened(paths: Mapping[str, Path], image: str) -> Picture:
    return open_picture(paths[image])
