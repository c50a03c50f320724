"""Gradient-boosted trees by XGBoost: logistic loss, or Cox partial likelihood."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from relapse.candidates.base import BinaryModel, Family, Head, Params, SurvivalModel, binary_model
from relapse.candidates.base import survival_model as survival
from relapse.candidates.boosted import Array, CoxTrees, LogisticTrees, Trees
from relapse.candidates.imbalance import without_balance
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import optuna


class _Booster(Trees):
    """XGBoost's booster; once fitted it is kept as its own JSON."""

    _objective: str

    def __init__(
        self,
        n_estimators: int = 100,
        max_depth: int = 3,
        learning_rate: float = 0.1,
        min_child_weight: float = 1.0,
        subsample: float = 1.0,
        colsample_bytree: float = 1.0,
        reg_lambda: float = 1.0,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.min_child_weight = min_child_weight
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.random_state = random_state

    def _train(self, X: Array, label: Array, weight: Array | None = None) -> Self:
        import xgboost

        settings = self.get_params() | {"objective": self._objective, "nthread": 1, "tree_method": "hist"}
        rounds = settings.pop("n_estimators")
        settings["seed"] = settings.pop("random_state")
        booster = xgboost.train(
            settings, xgboost.DMatrix(X, label=label, weight=weight, nthread=1), num_boost_round=rounds
        )
        self.model_json_ = booster.save_raw("json").decode()
        return self

    def _margin(self, X: Array) -> Array:
        return self._predicted(X, output_margin=True)

    def contributions(self, X: Array) -> Array:
        return self._predicted(X, pred_contribs=True)

    def library_model(self) -> Any:
        import xgboost

        if not hasattr(self, "_loaded"):
            self._loaded = xgboost.Booster({"nthread": 1}, model_file=bytearray(self.model_json_.encode()))
        return self._loaded

    def library_rows(self, X: Array) -> Any:
        import xgboost

        return xgboost.DMatrix(X, nthread=1)

    def _predicted(self, X: Array, **what: bool) -> Array:
        return np.asarray(self.library_model().predict(self.library_rows(X), **what), dtype=np.float64)


class BoostedClassifier(LogisticTrees, _Booster):
    """Logistic loss."""

    _objective = "binary:logistic"


class BoostedCox(CoxTrees, _Booster):
    """Cox partial likelihood."""

    _objective = "survival:cox"


def _space(trial: "optuna.Trial") -> Params:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 20, 300, log=True),
        "max_depth": trial.suggest_int("max_depth", 1, 5),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "min_child_weight": trial.suggest_float("min_child_weight", 1.0, 20.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.1, 30.0, log=True),
    }


def _binary(cohort: Cohort, params: Params, seed: int) -> BinaryModel:
    classifier = BoostedClassifier(random_state=seed, **without_balance(params))
    return binary_model(cohort, classifier, seed=seed, params=params, native=True)


def _survival(cohort: Cohort, params: Params, seed: int) -> SurvivalModel:
    return survival(cohort, BoostedCox(random_state=seed, **params), native=True)


FAMILY = Family(
    name="xgboost",
    title="XGBoost",
    description="Gradient-boosted trees with logistic loss or Cox partial likelihood, on all predictors.",
    binary=Head(_space, _binary, balanced=True, loads=("xgboost",)),
    survival=Head(_space, _survival, loads=("xgboost",)),
)
