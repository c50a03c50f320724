"""Stage *train*: one candidate on one cohort, tuned in inner folds, measured on outer ones, then fitted on all rows."""

from relapse.bundle.model_file import dump_model
from relapse.ground.console import say, stage
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.training.outputs import Inputs, train_into


def main(cohort: str, candidate: str) -> None:
    """Train a candidate on a cohort."""
    inputs = Inputs(Workspace(cohort))
    said = train_into(inputs, candidate, params=read_params(), machinery=machinery(), dump=dump_model)
    if said:
        say(said)


if __name__ == "__main__":
    stage(main)
