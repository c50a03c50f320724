"""What was run to train a candidate, as a JSON file: protocol, choices, versions, times."""

import platform
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.candidates.catalogue import family
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import NoTrialError
from relapse.ground.files import write_json
from relapse.ground.versions import versions
from relapse.params import TrainParams
from relapse.preprocessing.treatment import handled
from relapse.training.nested import Trained, within_limit
from relapse.training.studies import blind_trials

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = 30


def write_record(
    path: Path,
    trained: Trained,
    table: "pd.DataFrame",
    *,
    cohort: Cohort,
    candidate: str,
    seed: int,
    settings: TrainParams,
) -> None:
    """Write the training record of one candidate, trained on a typed ``table``."""
    folds = [model.model for model in trained.fold_models.values()]
    record = _header(candidate, seed, settings, cohort) | {
        "params": trained.params,
        "threshold": trained.model.threshold,
        "trials": len(trained.trials),
        "space": search_space(candidate, within_limit(cohort, candidate, rows=trained.predictions["row"].nunique())),
        "failed_trials": int((trained.trials["state"] == "fail").sum()),
        "ended_by_time": _ended_by_time(trained, settings) if trained.params else 0,
        "folds": trained.folds,
        "missing": [asdict(one) for one in handled(trained.model.model, folds, cohort, table)],
        "seconds": round(trained.seconds, 1),
        "versions": {"python": platform.python_version()} | versions(),
    }
    write_json(path, record)


def write_failure(
    path: Path, error: NoTrialError, *, cohort: Cohort, candidate: str, seed: int, settings: TrainParams
) -> None:
    """Write the record of a candidate that could not be trained: ``failed`` says why, of its trials or of the table."""
    write_json(path, _header(candidate, seed, settings, cohort) | {"failed": str(error)})


def write_not_for(path: Path, *, cohort: Cohort, candidate: str, seed: int, settings: TrainParams) -> None:
    """Write the record of a candidate that is not for this cohort, since the cohort has nothing that it learns from."""
    lacking = "images" if family(candidate).sees else "features"
    said = {"not_for": f"{cohort.name} has no {lacking}"}
    write_json(path, _header(candidate, seed, settings, cohort) | said)


def search_space(candidate: str, cohort: Cohort) -> dict[str, str]:
    """What the search of a candidate chooses from, in words by hyperparameter; empty where nothing is tuned."""
    head = family(candidate).head(cohort)
    if head is None or head.space is None:
        return {}
    found: dict[str, str] = {}
    # Some are asked for only after a certain choice of another, so that one draw does not meet them all.
    for trial in islice(blind_trials(seed=0), _DRAWS):
        head.draw(trial, cohort)
        found |= {name: _in_words(distribution) for name, distribution in trial.distributions.items()}
    return found


def _in_words(distribution: Any) -> str:
    if hasattr(distribution, "choices"):
        return " or ".join(str(choice) for choice in distribution.choices)
    scale = ", log scale" if distribution.log else ""
    return f"{distribution.low:g} to {distribution.high:g}{scale}"


def _header(candidate: str, seed: int, settings: TrainParams, cohort: Cohort) -> dict[str, Any]:
    """What was asked for, whatever came of it."""
    found = family(candidate)
    return {
        "candidate": candidate,
        "title": found.called(cohort),
        "description": found.description,
        "seed": seed,
        "settings": settings.model_dump(),
    }


def _ended_by_time(trained: Trained, settings: TrainParams) -> int:
    """Searches that the time budget ended before the last trial."""
    return int((trained.trials.groupby(["repeat", "fold"]).size() < settings.trials).sum())
