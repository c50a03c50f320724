"""Gradient-boosted trees by CatBoost, which takes the levels of nominal features as they are, without indicators."""

import os
import tempfile
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.compose import ColumnTransformer

from relapse.candidates.base import BinaryModel, Family, Head, Params, SurvivalModel
from relapse.candidates.boosted import Array, CoxTrees, LogisticTrees, Trees
from relapse.candidates.imbalance import sampler_of, weighted, without_balance
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.transformers import encoder, ordered_columns

if TYPE_CHECKING:
    import optuna

#: Drawn anew by every fit; overwritten, so that the same fit gives the same bytes.
_VOLATILE = ("model_guid", "train_finish_time")


class _CatBoost(Trees):
    """CatBoost's trees; once fitted they are kept in its own binary form.

    Parameters
    ----------
    nominal
        Positions of the columns that hold codes of unordered levels; all others are numbers.
    """

    _loss: str

    def __init__(
        self,
        nominal: tuple[int, ...] = (),
        iterations: int = 100,
        depth: int = 4,
        learning_rate: float = 0.1,
        l2_leaf_reg: float = 3.0,
        rsm: float = 1.0,
        random_strength: float = 1.0,
        random_state: int = 0,
    ) -> None:
        self.nominal = nominal
        self.iterations = iterations
        self.depth = depth
        self.learning_rate = learning_rate
        self.l2_leaf_reg = l2_leaf_reg
        self.rsm = rsm
        self.random_strength = random_strength
        self.random_state = random_state

    def _train(self, X: Array, label: Array, weight: Array | None = None) -> Self:
        from catboost import CatBoost

        settings = self.get_params()
        settings.pop("nominal")
        settings["random_seed"] = settings.pop("random_state")
        settings |= {
            "loss_function": self._loss,
            "thread_count": 1,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        model = CatBoost(settings).fit(self._pool(X, label, weight))
        for key in _VOLATILE:
            model.get_metadata()[key] = ""
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "model.cbm")
            model.save_model(path, format="cbm")
            with open(path, "rb") as stream:
                self.model_cbm_ = stream.read()
        return self

    def _margin(self, X: Array) -> Array:
        return np.asarray(
            self.library_model().predict(self._pool(X), prediction_type="RawFormulaVal", thread_count=1),
            dtype=np.float64,
        )

    def contributions(self, X: Array) -> Array:
        found = self.library_model().get_feature_importance(self._pool(X), type="ShapValues", thread_count=1)
        values = np.empty((len(X), X.shape[1] + 1))
        values[:, [*self.library_columns(X.shape[1]), X.shape[1]]] = found
        return values

    def library_model(self) -> Any:
        from catboost import CatBoost

        if not hasattr(self, "_loaded"):
            self._loaded = CatBoost().load_model(blob=self.model_cbm_)
        return self._loaded

    def library_rows(self, X: Array) -> Any:
        return self._pool(X)

    def library_columns(self, width: int) -> list[int]:
        """Numbers first, then codes: the order in which CatBoost's pool holds the columns."""
        numbers, codes = self._kinds(width)
        return [*numbers, *codes]

    def _kinds(self, width: int) -> tuple[list[int], list[int]]:
        """Columns that are numbers, and those that are codes of levels."""
        codes = sorted(self.nominal)
        return [at for at in range(width) if at not in codes], codes

    def _pool(self, X: Array, label: Array | None = None, weight: Array | None = None) -> Any:
        from catboost import FeaturesData, Pool

        numbers, codes = self._kinds(X.shape[1])
        features = FeaturesData(
            num_feature_data=np.ascontiguousarray(X[:, numbers], dtype=np.float32) if numbers else None,
            cat_feature_data=X[:, codes].astype(np.int64).astype(bytes).astype(object) if codes else None,
        )
        return Pool(features, label=label, weight=weight, thread_count=1)


class CatBoostBinary(LogisticTrees, _CatBoost):
    """Logistic loss."""

    _loss = "Logloss"


class CatBoostCox(CoxTrees, _CatBoost):
    """Cox partial likelihood."""

    _loss = "Cox"


def _space(trial: "optuna.Trial") -> Params:
    return {
        "iterations": trial.suggest_int("iterations", 20, 200, log=True),
        "depth": trial.suggest_int("depth", 1, 5),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
        "l2_leaf_reg": trial.suggest_float("l2_leaf_reg", 1.0, 30.0, log=True),
        "rsm": trial.suggest_float("rsm", 0.3, 1.0),
        "random_strength": trial.suggest_float("random_strength", 0.1, 10.0, log=True),
    }


def _nominal(cohort: Cohort, *, native: bool) -> tuple[int, ...]:
    """Positions, in the encoded matrix, of the features whose levels have no order; ordered ones are numbers."""
    order = ordered_columns(cohort, cohort.predictors, native=native)
    features = [cohort.features.get(name) for name in order]
    return tuple(at for at, item in enumerate(features) if isinstance(item, Categorical) and item.type == "nominal")


def _as_coded() -> ColumnTransformer:
    """In the place of the expander: the codes pass as they are."""
    return ColumnTransformer([], remainder="passthrough", sparse_threshold=0.0)


def _binary(cohort: Cohort, params: Params, seed: int) -> BinaryModel:
    sampler = sampler_of(cohort, cohort.predictors, params, seed=seed)
    native = sampler is None
    nominal = _nominal(cohort, native=native)
    classifier = CatBoostBinary(nominal=nominal, random_state=seed, **without_balance(params))
    return BinaryModel(
        encoder(cohort, cohort.predictors, native=native),
        _as_coded(),
        classifier,
        sampler=sampler,
        weighted=weighted(params),
    )


def _survival(cohort: Cohort, params: Params, seed: int) -> SurvivalModel:
    if cohort.survival is None:
        raise TypeError(f"{cohort.name} has no time to event.")
    regressor = CatBoostCox(nominal=_nominal(cohort, native=True), random_state=seed, **params)
    encode = encoder(cohort, cohort.predictors, native=True)
    return SurvivalModel(encode, _as_coded(), regressor, cohort.survival.horizons[-1].time)


FAMILY = Family(
    name="catboost",
    title="CatBoost",
    description="Gradient-boosted trees on all predictors, levels of nominal features taken as they are, with logistic "
    "loss or Cox partial likelihood.",
    binary=Head(_space, _binary, balanced=True, loads=("catboost",)),
    survival=Head(_space, _survival, loads=("catboost",)),
)
