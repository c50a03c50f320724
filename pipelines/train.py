"""Stage *train*: one candidate on one cohort, tuned in inner folds, measured on outer ones, then fitted on all rows."""

from typing import Any

import pandas as pd

from relapse.bundle.model_file import dump_model
from relapse.candidates.catalogue import family
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.ground.console import say, stage
from relapse.ground.errors import NoTrialError
from relapse.ground.files import write_parquet
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.training.nested import train
from relapse.training.record import write_failure, write_not_for, write_record


def main(cohort: str, candidate: str) -> None:
    """Train a candidate on a cohort."""
    at, params = Workspace(cohort), read_params()
    declared = read_cohort(at.resolved)
    asked: dict[str, Any] = {"candidate": candidate, "seed": params.seed, "settings": params.train}
    if not family(candidate).suits(declared):
        write_not_for(at.record(candidate), cohort=declared, **asked)
        return
    table = read_table(at.table, declared)
    try:
        trained = train(
            table,
            declared,
            candidate,
            pd.read_parquet(at.folds),
            params=params.train,
            seed=params.seed,
            machinery=machinery(),
        )
    except NoTrialError as error:
        if candidate == "reference":
            raise
        write_failure(at.record(candidate), error, cohort=declared, **asked)
        say(f"{cohort} {candidate}: failed, the others go on. {error}")
        return
    write_parquet(at.predictions(candidate), trained.predictions)
    write_parquet(at.trials(candidate), trained.trials)
    dump_model(trained.model, at.model(candidate))
    for fold, model in trained.fold_models.items():
        dump_model(model, at.fold_model(candidate, fold))
    write_record(at.record(candidate), trained, table, cohort=declared, **asked)
    say(f"{cohort} {candidate}: {len(trained.trials)} trials, {trained.seconds:.0f} s of work")


if __name__ == "__main__":
    stage(main)
