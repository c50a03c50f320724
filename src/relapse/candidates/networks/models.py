"""Candidates made of networks: the models of :mod:`relapse.candidates.base`, fitted many at once."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
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
from relapse.candidates.imbalance import weighted, without_balance
from relapse.candidates.networks.estimators import MEMBERS, NetworkClassifier, NetworkCox, Rows, fit_ensembles
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import optuna
    import pandas as pd

#: What training loads.
LOADS = ("torch",)

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
    models: Sequence[BinaryModel | SurvivalModel],
    tables: "Sequence[pd.DataFrame]",
    targets: Sequence[NDArray[Any]],
    held: Sequence[NDArray[np.bool_] | None] | None = None,
) -> None:
    """Fit models that share their hyperparameters, each on a table and target of its own, as one program.

    ``held`` names rows of each table that early stopping looks at and nothing else is learnt from; without it, each
    member of an ensemble holds back a part of its own.
    """
    rows = [_rows(*one) for one in zip(models, tables, targets, held or [None] * len(models), strict=True)]
    ensembles = [clone(model.regressor if isinstance(model, SurvivalModel) else model.classifier) for model in models]
    fit_ensembles(ensembles, [mine for _, mine in rows])
    for model, ensemble, (before, mine) in zip(models, ensembles, rows, strict=True):
        if isinstance(model, SurvivalModel):
            model.transform_ = Pipeline([*before, ("expand", mine.expander)])
            model.regressor_ = ensemble
            log_hazard = ensemble.predict(mine.expanded(mine.matrix))
            model.baseline_times_, model.baseline_hazard_ = breslow(
                mine.target["time"], mine.target["event"], log_hazard
            )
        else:
            model.classes_ = ensemble.classes_
            model.pipeline_ = Pipeline([*before, ("expand", mine.expander), ("classify", ensemble)])


def _rows(
    model: BinaryModel | SurvivalModel,
    table: "pd.DataFrame",
    target: NDArray[Any],
    held: NDArray[np.bool_] | None,
) -> tuple[list[tuple[str, Any]], Rows]:
    """The fitted steps before the expander, and the rows as an ensemble learns from them."""
    seen, known = (table, target) if held is None else (table[~held], target[~held])
    before = Pipeline(encoding_steps(model)).fit(seen, known)
    expander = clone(model.expander).fit(before.transform(seen))
    matrix = np.asarray(before.transform(table), dtype=np.float64)
    sampler = None if isinstance(model, SurvivalModel) else model.sampler
    return before.steps, Rows(matrix, np.asarray(target), table["patient"].to_numpy(), sampler, expander, held)


def network_family(body: str, title: str, *, kind: str, space: "Callable[[optuna.Trial], Params]") -> Family:
    """A family of ensembles of networks.

    Parameters
    ----------
    body
        Which layers (:mod:`relapse.candidates.networks.layers`); also the family's name.
    title, kind
        The family, and what the networks are, in words.
    space
        Draws hyperparameters from a trial.
    """

    def binary(cohort: Cohort, params: Params, seed: int) -> NetworkBinaryModel:
        ensemble = NetworkClassifier(**without_balance(params), balanced=weighted(params), body=body, random_state=seed)
        plain = binary_model(cohort, ensemble, seed=seed, params=params)
        return NetworkBinaryModel(plain.encoder, plain.expander, plain.classifier, sampler=plain.sampler)

    def survival(cohort: Cohort, params: Params, seed: int) -> NetworkSurvivalModel:
        plain = survival_model(cohort, NetworkCox(**params, body=body, random_state=seed))
        return NetworkSurvivalModel(plain.encoder, plain.expander, plain.regressor, plain.horizon)

    return Family(
        name=body,
        title=title,
        description=f"{MEMBERS} {kind}, averaged, with cross-entropy or Cox partial likelihood, on all predictors.",
        binary=Head(space, binary, balanced=True, fit_together=fit_together, draft=DRAFT, loads=LOADS),
        survival=Head(space, survival, fit_together=fit_together, draft=DRAFT, loads=LOADS),
    )
