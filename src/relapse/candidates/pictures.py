"""Candidates that see pictures: heads of an encoder, an ensemble of them, beside the clinical features.

The log-hazard (or log-odds) of a member is what its head makes of the picture plus a weighted sum of the clinical
columns; head and weights are learnt together. Once fitted, an ensemble is one more column for a linear model: the
*picture's score*, beside the encoded features. So all that can be said of a linear model can be said of it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
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
from relapse.candidates.picture_score import STEP, PictureScore, kept_of, open_encoder, picture_step
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.ground.workspace import project_of
from relapse.imaging.encoder.head import start
from relapse.imaging.encoder.training import HeadSchedule, HeadTask, fit_heads
from relapse.imaging.extra import require
from relapse.preprocessing.iterative import by_columns

if TYPE_CHECKING:
    import pandas as pd

    from relapse.machinery import Machinery

Array = NDArray[np.float64]

#: Heads in an ensemble. They differ in their classifier's first weights, the order of views, and early stopping.
MEMBERS = 3


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
        seen = picture_step(encoding)
        assert seen is not None
        seen.give(stacked, frozen)
        matrix = encoding.transform(table)
        seen.mean_ = float(matrix[:, -1].mean())
        if isinstance(model, SurvivalModel):
            model.transform_, model.regressor_ = encoding, one
            model.baseline_times_, model.baseline_hazard_ = breslow(
                target["time"], target["event"], one.predict(matrix)
            )
        else:
            one.classes_ = model.classes_ = np.array([0, 1])
            model.pipeline_ = Pipeline([*encoding.steps, ("classify", one)])


def picture_family(name: str, title: str, *, description: str, remark: Callable[[Cohort], str | None]) -> Family:
    """A family of ensembles of heads on one encoder; ``remark`` as of :class:`relapse.candidates.base.Family`."""

    def settings(cohort: Cohort) -> dict[str, Any]:
        assert cohort.volumes is not None
        return {"network": name, "weights": cohort.volumes.encoder.file, "views": cohort.volumes.encoder.views}

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
        binary=Head(None, binary, fit_together=fit_together, prepare=prepare, loads=("torch",)),
        survival=Head(None, survival, fit_together=fit_together, prepare=prepare, loads=("torch",)),
        sees=True,
        remark=remark,
    )


def _with_picture(encoder: Any, settings: dict[str, Any]) -> Any:
    """The encoder with the picture's score as its last column."""
    columns = by_columns(encoder)
    columns.set_params(transformers=[*columns.transformers, (STEP, PictureScore(**settings), [IMAGE])])
    return encoder
