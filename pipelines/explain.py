"""Stage *explain*: what each candidate's predictions rest on, each row explained by the model that has not seen it."""

import pandas as pd
from joblib import delayed

from relapse.bundle.model_file import load_model
from relapse.candidates.catalogue import family
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.explanation.out_of_fold import explain
from relapse.explanation.regression import regression
from relapse.figures.explanation.attention import attention
from relapse.figures.explanation.files import write_explanation, write_regression
from relapse.figures.style import save
from relapse.ground.console import say, stage
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.workers import shared_out


def main(cohort: str) -> None:
    """Explain the candidates of a cohort."""
    at, params = Workspace(cohort), read_params()
    declared = read_cohort(at.resolved)
    table, folds = read_table(at.table, declared), pd.read_parquet(at.folds)
    names = at.succeeded(params.candidates)
    numbers = sorted(folds["fold"].unique())
    models = {name: {fold: load_model(at.fold_model(name, fold)) for fold in numbers} for name in names}
    machine = machinery()
    found = explain(table, declared, folds, models, params=params.explain, seed=params.seed, machinery=machine)
    titles = {name: read_json(at.record(name))["title"] for name in names}
    folders = {name: at.explained(name).resolve() for name in names}
    written = (
        delayed(write_explanation)(folders[name], explained, table, declared, candidate=name, title=titles[name])
        for name, explained in found.items()
    )
    # Files are written on this machine, whatever else is computed elsewhere; and workers may stand in another folder.
    list(shared_out(written, machine, total=len(names), label=f"{cohort} written", here=True))
    for name, explained in found.items():
        if family(name).sees:
            about = {"scale": explained.scale, "title": f"{titles[name]}, {declared.title}"}
            figure = attention(table, explained.shap, models[name], **about)
            save(figure, at.explained(name) / f"attention_{name}")
        first = max(explained.importance[: len(declared.explained)], key=lambda item: item.shap)
        say(f"{cohort} {name}: most important {first.features[0]}, {explained.scale}")
    final = {name: load_model(at.model(name)) for name in names}
    write_regression(at.regression, *regression(final, table, declared), cohort=declared)


if __name__ == "__main__":
    stage(main)
