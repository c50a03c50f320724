"""What training one candidate reads and leaves behind as files: the same for the stage and for a whole cluster."""

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from relapse.candidates.catalogue import family
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.ground.errors import NoTrialError
from relapse.ground.files import write_parquet
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery
from relapse.params import Params
from relapse.training.nested import train
from relapse.training.record import write_failure, write_not_for, write_record


class Inputs:
    """What the stages before left of a cohort, each read when it is first asked for, and once."""

    def __init__(self, at: Workspace) -> None:
        self.at = at
        self.cohort = read_cohort(at.resolved)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The typed canonical table."""
        return read_table(self.at.table, self.cohort)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """The outer folds."""
        return pd.read_parquet(self.at.folds)


def train_into(
    inputs: Inputs, candidate: str, *, params: Params, machinery: Machinery, dump: Callable[[RiskModel, Path], object]
) -> str | None:
    """Train a candidate and write its folder anew; what came of it in one line, None where there is nothing to say.

    Parameters
    ----------
    dump
        Writes a model to a path.

    Raises
    ------
    NoTrialError
        The reference cannot be trained. Of another candidate the record says so, and the others go on.
    """
    at, cohort = inputs.at, inputs.cohort
    asked: dict[str, Any] = {"candidate": candidate, "seed": params.seed, "settings": params.train}
    if not family(candidate).suits(cohort):
        _clear(at.trained(candidate))
        write_not_for(at.record(candidate), cohort=cohort, **asked)
        return None
    try:
        trained = train(
            inputs.table, cohort, candidate, inputs.folds, params=params.train, seed=params.seed, machinery=machinery
        )
    except NoTrialError as error:
        if candidate == "reference":
            raise
        _clear(at.trained(candidate))
        write_failure(at.record(candidate), error, cohort=cohort, **asked)
        return f"{at.cohort} {candidate}: failed, the others go on. {error}"
    _clear(at.trained(candidate))
    write_parquet(at.predictions(candidate), trained.predictions)
    write_parquet(at.trials(candidate), trained.trials)
    dump(trained.model, at.model(candidate))
    for fold, model in trained.fold_models.items():
        dump(model, at.fold_model(candidate, fold))
    write_record(at.record(candidate), trained, inputs.table, cohort=cohort, **asked)
    return f"{at.cohort} {candidate}: {len(trained.trials)} trials, {trained.seconds:.0f} s of work"


def _clear(folder: Path) -> None:
    """Nothing of a run before stays, such as a fold that is no more; DVC does the same before a stage."""
    shutil.rmtree(folder, ignore_errors=True)
