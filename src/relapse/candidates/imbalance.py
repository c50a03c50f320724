"""How a binary model handles rare events: part of the search, with one meaning for all families.

The choice stands in the hyperparameters under ``balance``: ``none``, ``weight`` (rows weighted so that both outcomes
count the same) or ``smotenc`` (synthetic rows of the rarer outcome, made inside the training part of a fold).
"""

from typing import TYPE_CHECKING, Any

from relapse.cohorts.schema import Cohort
from relapse.preprocessing.sampling import Oversampler, oversampler

if TYPE_CHECKING:
    import optuna

Params = dict[str, Any]

KEY = "balance"
CHOICES = ("none", "weight", "smotenc")


def suggest_balance(trial: "optuna.Trial", cohort: Cohort) -> Params:
    """The choice as a part of the search; nothing where the cohort asks to leave its imbalance alone."""
    if cohort.survival or cohort.imbalance == "none":
        return {}
    return {KEY: trial.suggest_categorical(KEY, list(CHOICES))}


def without_balance(params: Params) -> Params:
    """The hyperparameters that are the classifier's own."""
    return {name: value for name, value in params.items() if name != KEY}


def weighted(params: Params) -> bool:
    """Whether rows are weighted."""
    return bool(params.get(KEY) == "weight")


def sampler_of(cohort: Cohort, columns: list[str], params: Params, *, seed: int) -> Oversampler | None:
    """The sampler chosen; where nothing was chosen, the one that the cohort asks for."""
    if params.get(KEY, "smotenc") != "smotenc":
        return None
    return oversampler(cohort, columns, seed=seed)
