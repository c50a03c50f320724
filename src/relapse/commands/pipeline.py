"""The command ``relapse run``: ``dvc repro``, with two cohorts at a time."""

from typing import Annotated

import typer

from relapse.ground.console import say


def run(
    cohort: Annotated[list[str] | None, typer.Option(help="A cohort of params.yaml; again for further ones.")] = None,
) -> None:
    """Run what is not up to date of the pipeline, two cohorts at a time; the files are those of `dvc repro`.

    DVC runs one stage after another, and while one loads its libraries, draws, or packages, all other processors wait.
    Two cohorts fill each other's gaps. What one says is marked with its name; where one fails, the other goes on.
    """
    from relapse.commands.stages import chosen, each_of, reproduce, reproduce_side_by_side
    from relapse.params import read_params

    params = read_params()
    cohorts = chosen("cohort", cohort, params.cohorts)
    if len(cohorts) == 1:
        reproduce(f"package@{cohorts[0]}", f"report@{cohorts[0]}")
    else:
        # What cohorts share comes first, with the tables that DVC fetches for them.
        reproduce("library", *(f"ingest@{name}" for name in cohorts))
        reproduce_side_by_side({name: each_of(name, params.candidates) for name in cohorts}, at_once=2)
    for name in cohorts:
        say(f"The report: results/report/{name}/report.html")
