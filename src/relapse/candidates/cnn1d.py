"""The 1D convolutional network of the radiomic study, and the same body for survival: an ensemble of them.

The study's settings are kept (Adam, at most 200 epochs, patience 25, kernels of three, average pooling, SMOTE as one
choice of the search), except that early stopping looks at a part of the training rows, as they are, and never at the
test fold.
"""

from typing import TYPE_CHECKING

from relapse.candidates.base import Params
from relapse.candidates.networks.models import network_family

if TYPE_CHECKING:
    import optuna


def _space(trial: "optuna.Trial") -> Params:
    return {
        "width": trial.suggest_categorical("width", [4, 8]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "weight_decay": trial.suggest_float("weight_decay", 1e-2, 10.0, log=True),
        # All rows make one step, so that the study's 1e-3 is the slow end.
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2, log=True),
    }


FAMILY = network_family("cnn1d", "1D-CNN", kind="one-dimensional convolutional networks", space=_space)
