"""Candidates made of networks: the models of :mod:`relapse.candidates.base`, fitted many at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from relapse.candidates.base import BinaryModel, Params, SurvivalModel, binary_model, breslow, survival_model
from relapse.candidates.networks.estimators import NetworkClassifier, NetworkCox, fit_ensembles
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import pandas as pd

#: While hyperparameters are compared, smaller ensembles are enough.
DRAFT: Params = {"members": 2}


class NetworkBinaryModel(BinaryModel):
    """An ensemble of classifiers; rows of one patient stay on one side of early stopping."""

    def fit(self, X: "pd.DataFrame", y: NDArray[np.int_]) -> Self:
        """Fit on a canonical table ``X`` and outcomes ``y`` (n,) of 0 and 1."""
        fit_together([self], [X], [y])
        return self


class NetworkSurvivalModel(SurvivalModel):
    """An ensemble of log-hazards over one Breslow baseline; rows of one patient stay on one side of early stopping."""

    def fit(self, X: "pd.DataFrame", y: NDArray[Any]) -> Self:
        """Fit on a canonical table ``X`` and a structured array ``y`` (n,) with fields ``event`` and ``time``."""
        fit_together([self], [X], [y])
        return self


def fit_together(
    models: Sequence[BinaryModel | SurvivalModel], tables: "Sequence[pd.DataFrame]", targets: Sequence[NDArray[Any]]
) -> None:
    """Fit models that share their hyperparameters, each on a table and target of its own, as one program."""
    transforms, matrices, ensembles = [], [], []
    for model, table in zip(models, tables, strict=True):
        transform = Pipeline([("encode", clone(model.encoder)), ("expand", clone(model.expander))])
        matrices.append(np.asarray(transform.fit_transform(table), dtype=np.float64))
        transforms.append(transform)
        ensembles.append(clone(model.regressor if isinstance(model, SurvivalModel) else model.classifier))
    fit_ensembles(ensembles, matrices, targets, [table["patient"].to_numpy() for table in tables])
    for model, transform, ensemble, matrix, target in zip(
        models, transforms, ensembles, matrices, targets, strict=True
    ):
        if isinstance(model, SurvivalModel):
            model.transform_, model.regressor_ = transform, ensemble
            log_hazard = ensemble.predict(matrix)
            model.baseline_times_, model.baseline_hazard_ = breslow(target["time"], target["event"], log_hazard)
        else:
            model.classes_ = ensemble.classes_
            model.pipeline_ = Pipeline([*transform.steps, ("classify", ensemble)])


def network_binary(cohort: Cohort, params: Params, seed: int, *, body: str) -> NetworkBinaryModel:
    """The unfitted binary model with hyperparameters ``params``.

    Synthetic rows would carry patients of the early-stopping part into training, so classes are weighted instead.
    """
    ensemble = NetworkClassifier(**params, body=body, random_state=seed)
    plain = binary_model(cohort, ensemble, seed=seed, resample=False)
    return NetworkBinaryModel(plain.encoder, plain.expander, plain.classifier)


def network_survival(cohort: Cohort, params: Params, seed: int, *, body: str) -> NetworkSurvivalModel:
    """The unfitted survival model with hyperparameters ``params``."""
    plain = survival_model(cohort, NetworkCox(**params, body=body, random_state=seed))
    return NetworkSurvivalModel(plain.encoder, plain.expander, plain.regressor, plain.horizon)
