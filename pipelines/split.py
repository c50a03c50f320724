"""Stage *split*: outer folds that keep patients together and spread events and sites evenly."""

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.ground.console import say, stage
from relapse.ground.files import write_parquet
from relapse.ground.workspace import Workspace
from relapse.params import read_params
from relapse.training.splits import outer_folds


def main(cohort: str) -> None:
    """Draw the outer folds of a cohort."""
    at, params = Workspace(cohort), read_params()
    table = read_table(at.table, read_cohort(at.resolved))
    folds = outer_folds(table, folds=params.split.folds, repeats=params.split.repeats, seed=params.seed)
    write_parquet(at.folds, folds)
    say(f"{cohort}: {params.split.folds} folds, drawn {params.split.repeats} times")


if __name__ == "__main__":
    stage(main)
