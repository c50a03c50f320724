"""What was run to train a candidate, as a JSON file: protocol, choices, versions, times."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from relapse.candidates.catalogue import family
from relapse.files import write_json
from relapse.settings import TrainParams
from relapse.training.nested import Trained

#: Distributions whose version can change a prediction.
_VERSIONED = ("numpy", "scipy", "scikit-learn", "scikit-survival", "imbalanced-learn", "optuna", "pandas", "torch")


def write_record(path: Path, trained: Trained, *, candidate: str, seed: int, settings: TrainParams) -> None:
    """Write the training record of one candidate."""
    found = family(candidate)
    record: dict[str, Any] = {
        "candidate": candidate,
        "title": found.title,
        "description": found.description,
        "seed": seed,
        "settings": settings.model_dump(),
        "params": trained.params,
        "threshold": trained.model.threshold,
        "trials": len(trained.trials),
        "failed_trials": int((trained.trials["state"] == "fail").sum()),
        "folds": trained.folds,
        "seconds": round(trained.seconds, 1),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _VERSIONED},
    }
    write_json(path, record)
