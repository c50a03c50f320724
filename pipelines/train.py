"""Stage *train*: one candidate on one cohort, tuned in inner folds, measured on outer ones, then fitted on all rows."""

from relapse.ground.console import say, stage
from relapse.ground.workspace import Workspace
from relapse.params import read_params


def main(cohort: str, candidate: str) -> None:
    """Train a candidate on a cohort."""
    at, params = Workspace(cohort), read_params()
    if candidate not in params.trained:
        from relapse.training.leaving_out import leave_out

        leave_out(at, candidate, budget=params.budget)
        return
    # Half the time of a short training is that of its libraries: one that is left out does not wait for them.
    from relapse.bundle.model_file import dump_model
    from relapse.machinery import machinery
    from relapse.training.outputs import Inputs, train_into

    said = train_into(Inputs(at), candidate, params=params, machinery=machinery(), dump=dump_model)
    if said:
        say(said)


if __name__ == "__main__":
    stage(main)
