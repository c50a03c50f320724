"""The 1D convolutional network of the radiomic study, and the same body for survival: an ensemble of them.

The study's settings are kept (Adam, at most 200 epochs, patience 25, kernels of three, average pooling, SMOTE as one
choice of the search), except that early stopping looks at a part of the training rows, as they are, and never at the
test fold.
"""

from functools import partial
from typing import TYPE_CHECKING

from relapse.candidates.base import Family, Head, Params
from relapse.candidates.networks.estimators import MEMBERS
from relapse.candidates.networks.models import DRAFT, fit_together, network_binary, network_survival

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


FAMILY = Family(
    name="cnn1d",
    title="1D-CNN",
    description=(
        f"{MEMBERS} one-dimensional convolutional networks, averaged, with cross-entropy or Cox partial likelihood, on "
        "all predictors."
    ),
    binary=Head(_space, partial(network_binary, body="cnn1d"), balanced=True, fit_together=fit_together, draft=DRAFT),
    survival=Head(_space, partial(network_survival, body="cnn1d"), fit_together=fit_together, draft=DRAFT),
)
