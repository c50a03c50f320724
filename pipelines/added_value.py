"""Stage *added_value*: what each block of features adds to what is known without it."""

import pandas as pd

from relapse.added_value.analysis import analyse
from relapse.added_value.evidence import write_added_value
from relapse.added_value.frames import GROUP_WORDS, forest_frame
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.evaluation.evidence import endpoint_of
from relapse.figures.added_value import forest
from relapse.figures.style import save
from relapse.ground.console import say, stage
from relapse.ground.files import write_csv, write_json
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.predictions import read_predictions


def main(cohort: str) -> None:
    """Ask every question of a cohort's blocks."""
    at, params = Workspace(cohort), read_params()
    declared = read_cohort(at.resolved)
    endpoint = endpoint_of(declared)
    found = analyse(
        read_table(at.table, declared),
        declared,
        pd.read_parquet(at.folds),
        params=params,
        machinery=machinery(),
        known={
            name: read_predictions(at.predictions(name), risks=endpoint.risk_columns, timed=endpoint.timed)
            for name in at.succeeded(params.candidates)
        },
        say=say,
    )
    labels = {name: declared.features[name].label or name for name in declared.subgroups}
    at.added_value_figures.mkdir(parents=True, exist_ok=True)
    for answer in found.answers:
        frame = forest_frame(found, answer, labels)
        write_csv(at.added_value_figures / f"{answer.name}.csv", frame)
        figure = forest(frame, GROUP_WORDS, question=answer.words, label=found.primary_label)
        save(figure, at.added_value_figures / answer.name)
    write_json(at.added_value_metrics, found.headline())
    write_added_value(at.added_value, found)
    shown = sum(answer.shown for answer in found.answers)
    say(f"{cohort}: {len(found.answers)} questions about blocks, {shown} shown to add something")


if __name__ == "__main__":
    stage(main)
