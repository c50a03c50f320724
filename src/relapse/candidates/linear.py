"""Elastic-net regression on all predictors: logistic or Cox."""

from typing import TYPE_CHECKING

from sklearn.linear_model import LogisticRegression

from relapse.candidates.base import BinaryModel, Family, Head, Params, SurvivalModel, binary_model, survival_model
from relapse.candidates.cox import CoxRegression
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import optuna

_SCALINGS = ["standard", "yeo-johnson"]


def _binary_space(trial: "optuna.Trial") -> Params:
    return {
        "C": trial.suggest_float("C", 1e-3, 10.0, log=True),
        "l1_ratio": trial.suggest_float("l1_ratio", 0.0, 1.0),
        "scaling": trial.suggest_categorical("scaling", _SCALINGS),
    }


def _binary(cohort: Cohort, params: Params, seed: int) -> BinaryModel:
    classifier = LogisticRegression(
        C=params["C"], l1_ratio=params["l1_ratio"], solver="saga", max_iter=5000, tol=1e-3, random_state=seed
    )
    return binary_model(cohort, classifier, seed=seed, scaling=params["scaling"], params=params)


def _survival_space(trial: "optuna.Trial") -> Params:
    return {
        "penalty": trial.suggest_float("penalty", 1e-3, 0.5, log=True),
        "l1_ratio": trial.suggest_float("l1_ratio", 0.05, 1.0),
        "scaling": trial.suggest_categorical("scaling", _SCALINGS),
    }


def _survival(cohort: Cohort, params: Params, seed: int) -> SurvivalModel:
    regression = CoxRegression(penalty=params["penalty"], l1_ratio=params["l1_ratio"])
    return survival_model(cohort, regression, scaling=params["scaling"])


FAMILY = Family(
    name="linear",
    title="Elastic net",
    description="Elastic-net logistic or Cox regression on all predictors, standardised or Yeo-Johnson transformed.",
    binary=Head(_binary_space, _binary, balanced=True),
    survival=Head(_survival_space, _survival, loads=("sksurv.linear_model",)),
)
