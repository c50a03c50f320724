"""Candidates that see pictures: heads of an encoder, an ensemble of them, beside the clinical features.

The log-hazard (or log-odds) of a member is what its head makes of the picture plus a weighted sum of the clinical
columns; head and weights are learnt together. Once fitted, an ensemble is one more column for a linear model: the
*picture's score*, beside the encoded features. So all that can be said of a linear model can be said of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from relapse.candidates.base import (
    BinaryModel,
    Family,
    Head,
    Params,
    SurvivalModel,
    binary_model,
    breslow,
    encoding_steps,
    survival_model,
)
from relapse.candidates.networks.engine import device
from relapse.candidates.networks.losses import BINARY, COX
from relapse.candidates.networks.validation import validation_rows
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import IMAGE, Cohort
from relapse.cohorts.sources import expanded
from relapse.ground.workspace import kept_maps, project_of
from relapse.imaging.encoder import plain, plain_lite0
from relapse.imaging.encoder.head import Frozen, start
from relapse.imaging.encoder.maps import Maps, gathered
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, fit_heads
from relapse.imaging.extra import require
from relapse.imaging.slices import Picture
from relapse.imaging.stored import open_picture

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

#: Heads in an ensemble. They differ in their classifier's first weights, the order of views, and early stopping.
MEMBERS = 3


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
    means, scales
        Of the frozen normalisations.

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
    ) -> None:
        self.network = network
        self.weights = weights
        self.views = views
        self.heads = heads
        self.means = means
        self.scales = scales

    def fit(self, X: "pd.DataFrame", y: Any = None) -> Self:
        """Learn what an average picture scores; the heads are given, and without them every picture scores 0."""
        self.mean_ = float(self._scores(_items(X)).mean()) if len(self.heads) else 0.0
        return self

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
        return self._plain.attention(self.heads, self._frozen, values[0], side, lowers=lowers)

    @property
    def _plain(self) -> Any:
        """The module that runs this encoder's heads."""
        return plain_lite0 if self.network == LITE0 else plain

    @property
    def _frozen(self) -> Frozen:
        return Frozen(tuple(self.means), tuple(self.scales))

    def _scores(self, items: "Sequence[str | Sight]") -> Array:
        """Scores (n,), each picture looked at once."""
        unique = list(dict.fromkeys(items))
        values, side = self.maps(unique)
        count, slices = values.shape[:2]
        flat = values.reshape(count * slices, *values.shape[2:])
        asked = self._plain.outputs(self.heads, self._frozen, flat, side)
        score = asked.astype(np.float64).mean(axis=0).reshape(count, slices).mean(axis=1)
        place = {item: number for number, item in enumerate(unique)}
        return np.asarray(score[[place[item] for item in items]])


class _Sum(BaseEstimator):
    """The sum of a matrix's columns, each with its weight; fitted by :func:`fit_together`.

    Parameters
    ----------
    network, weights, views
        As of :class:`PictureScore`.
    members, random_state
        Heads in the ensemble, and the seed from which each has one of its own.
    """

    def __init__(
        self,
        network: str = "densenet121",
        weights: str | None = None,
        views: int = 4,
        members: int = MEMBERS,
        random_state: int = 0,
    ) -> None:
        self.network = network
        self.weights = weights
        self.views = views
        self.members = members
        self.random_state = random_state

    def fit(self, X: Array, y: Any = None) -> Self:
        """Refuse: weights are learnt together with heads."""
        raise TypeError("fitted together with heads of pictures only: see fit_together.")

    def _sum(self, X: Array) -> Array:
        return np.asarray(X @ self.coef_)


class PictureCox(_Sum):
    """The log-hazard."""

    def predict(self, X: Array) -> Array:
        """Log-hazard (n,)."""
        return self._sum(X)


class PictureClassifier(ClassifierMixin, _Sum):
    """The log-odds."""

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n, 2) of both classes."""
        risk = expit(self._sum(X))
        return np.column_stack([1.0 - risk, risk])


class PictureSurvivalModel(SurvivalModel):
    """An ensemble of log-hazards over one Breslow baseline."""

    def fit(self, X: "pd.DataFrame", y: NDArray[Any]) -> Self:
        """Fit on a canonical table ``X`` and a structured array ``y`` (n,) with fields ``event`` and ``time``."""
        fit_together([self], [X], [y])
        return self


class PictureBinaryModel(BinaryModel):
    """An ensemble of log-odds."""

    def fit(self, X: "pd.DataFrame", y: NDArray[np.int_]) -> Self:
        """Fit on a canonical table ``X`` and outcomes ``y`` (n,) of 0 and 1."""
        fit_together([self], [X], [y])
        return self


def fit_together(
    models: "Sequence[BinaryModel | SurvivalModel]",
    tables: "Sequence[pd.DataFrame]",
    targets: Sequence[NDArray[Any]],
    held: Sequence[NDArray[np.bool_] | None] | None = None,
) -> None:
    """Fit models that differ in rows and seed only, all their heads as one program on one set of maps.

    As :class:`relapse.candidates.base.FitTogether` has it.
    """
    ensembles = [clone(model.regressor if isinstance(model, SurvivalModel) else model.classifier) for model in models]
    first: _Sum = ensembles[0]
    paths = sorted({Path(path) for table in tables for path in table[IMAGE]})
    place = {str(path): number for number, path in enumerate(paths)}
    maps = kept_of(first.network, first.weights, paths, first.views)
    beginning, frozen = start(open_encoder(first.network, first.weights, project_of(paths[0])))
    encodings, tasks = [], []
    for model, one, table, target, looked_at in zip(
        models, ensembles, tables, targets, held or [None] * len(models), strict=True
    ):
        encoding = Pipeline([*encoding_steps(model), ("expand", clone(model.expander))])
        # The picture's own column stands last; before any head is there, it is empty.
        columns = np.asarray(encoding.fit_transform(table, target), dtype=np.float64)[:, :-1]
        encodings.append(encoding)
        rows = np.array([place[path] for path in table[IMAGE]])
        event, patient = (target["event"] if target.dtype.names else target == 1), table["patient"].to_numpy()
        for seed in map(int, np.random.SeedSequence(one.random_state).generate_state(one.members)):
            stopping = validation_rows(event, patient, seed=seed) if looked_at is None else looked_at
            tasks.append(HeadTask(rows, target, stopping, seed, columns if columns.size else None))
    loss = COX if isinstance(models[0], SurvivalModel) else BINARY
    heads = iter(fit_heads(maps, (beginning, frozen), loss, tasks, HeadSchedule(), device=device()))
    for model, one, encoding, table, target in zip(models, ensembles, encodings, tables, targets, strict=True):
        members = [next(heads) for _ in range(one.members)]
        stacked = [np.stack(parts) for parts in zip(*members, strict=True)]
        clinical = np.empty(0)
        if len(stacked) > len(beginning):
            clinical = stacked.pop().astype(np.float64).mean(axis=0)
        one.coef_ = np.concatenate([clinical, [1.0]])
        picture_step(encoding).set_params(heads=stacked, means=list(frozen.means), scales=list(frozen.scales)).fit(
            table[[IMAGE]]
        )
        if isinstance(model, SurvivalModel):
            model.transform_, model.regressor_ = encoding, one
            log_hazard = one.predict(encoding.transform(table))
            model.baseline_times_, model.baseline_hazard_ = breslow(target["time"], target["event"], log_hazard)
        else:
            one.classes_ = model.classes_ = np.array([0, 1])
            model.pipeline_ = Pipeline([*encoding.steps, ("classify", one)])


def score_of(model: RiskModel) -> PictureScore | None:
    """The part of a trained model that looks at pictures, None where it looks at none."""
    inner = model.model
    pipeline = inner.transform_ if isinstance(inner, SurvivalModel) else inner.pipeline_
    found: PictureScore | None = pipeline.named_steps["encode"].named_transformers_.get(STEP)
    return found


def picture_step(pipeline: Pipeline) -> PictureScore:
    """The part of a fitted pipeline that looks at pictures."""
    found: PictureScore = pipeline.named_steps["encode"].named_transformers_[STEP]
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


def picture_family(name: str, title: str, *, description: str, remark: Callable[[Cohort], str | None]) -> Family:
    """A family of ensembles of heads on one encoder; ``remark`` as of :class:`relapse.candidates.base.Family`."""

    def settings(cohort: Cohort) -> dict[str, Any]:
        assert cohort.images is not None
        return {"network": name, "weights": cohort.images.encoder.file, "views": cohort.images.encoder.views}

    def binary(cohort: Cohort, params: Params, seed: int) -> PictureBinaryModel:
        plain = binary_model(
            cohort, PictureClassifier(**settings(cohort), random_state=seed), seed=seed, resample=False
        )
        return PictureBinaryModel(_with_picture(plain.encoder, settings(cohort)), plain.expander, plain.classifier)

    def survival(cohort: Cohort, params: Params, seed: int) -> PictureSurvivalModel:
        plain = survival_model(cohort, PictureCox(**settings(cohort), random_state=seed))
        seen = _with_picture(plain.encoder, settings(cohort))
        return PictureSurvivalModel(seen, plain.expander, plain.regressor, plain.horizon)

    def prepare(table: "pd.DataFrame", cohort: Cohort, machinery: "Machinery") -> None:
        require(title)
        asked = settings(cohort)
        paths = sorted({Path(path) for path in table[IMAGE]})
        kept_of(asked["network"], asked["weights"], paths, asked["views"], machinery)

    return Family(
        name=name,
        title=title,
        description=description,
        binary=Head(None, binary, fit_together=fit_together, prepare=prepare),
        survival=Head(None, survival, fit_together=fit_together, prepare=prepare),
        sees=True,
        remark=remark,
    )


def _with_picture(encoder: ColumnTransformer, settings: dict[str, Any]) -> ColumnTransformer:
    """The encoder with the picture's score as its last column."""
    return encoder.set_params(transformers=[*encoder.transformers, (STEP, PictureScore(**settings), [IMAGE])])


def _items(X: "pd.DataFrame") -> list[Any]:
    return list(X.iloc[:, 0])


def _opened(paths: Mapping[str, Path], image: str) -> Picture:
    return open_picture(paths[image])
