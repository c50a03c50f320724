"""A multilayer perceptron with dropout and weight decay: an ensemble of small networks."""

from typing import TYPE_CHECKING

from relapse.candidates.base import Params
from relapse.candidates.networks.models import network_family

if TYPE_CHECKING:
    import optuna


def _space(trial: "optuna.Trial") -> Params:
    return {
        "width": trial.suggest_categorical("width", [8, 16, 32]),
        "depth": trial.suggest_int("depth", 1, 2),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "weight_decay": trial.suggest_float("weight_decay", 1e-2, 10.0, log=True),
        # All rows make one step, so that the usual 1e-3 is the slow end.
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
    }


FAMILY = network_family("mlp", "Multilayer perceptron", kind="networks of one or two hidden layers", space=_space)
