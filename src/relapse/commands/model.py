"""Commands about published models: two runs beside each other, and a model on another cohort."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse.commands.cohort import gated
from relapse.ground.console import say

if TYPE_CHECKING:
    import pandas as pd

    from relapse.bundle.load import Bundle
    from relapse.cohorts.schema import Cohort


def compare(
    before: Annotated[str, typer.Argument(help="A run's ID, relapse-<cohort>/<version> or relapse-<cohort>@champion.")],
    after: Annotated[str, typer.Argument(help="Another run of the same cohort.")],
) -> None:
    """Say what changed between two published runs, and what that did to the ranking of the patients they share."""
    from relapse.machinery import machinery
    from relapse.tracking.client import connect
    from relapse.tracking.compare import compare_runs
    from relapse.tracking.comparison_table import show_comparison

    show_comparison(compare_runs(connect(machinery()), before, after))


def _seen(table: "pd.DataFrame", declared: "Cohort", bundle: "Bundle") -> "pd.DataFrame":
    """The rows of a table whose pictures can be used, with what the bundle's encoder sees of them."""
    import pandas as pd

    from relapse.cohorts.blocked import IMAGE
    from relapse.cohorts.table import picture_path
    from relapse.ground.errors import DeclarationError
    from relapse.ground.workspace import Workspace
    from relapse.imaging.joined import made_pictures
    from relapse.imaging.stored import open_picture
    from relapse.machinery import machinery

    theirs, mine = bundle.cohort.volumes, declared.volumes
    if mine is None:
        raise DeclarationError(f"{declared.name}.yaml: images: the model looks at pictures. Declare where images lie.")
    if theirs is None or bundle.eyes is None:
        raise TypeError("a bundle without eyes looks at no pictures.")
    differ = [key for key in ("phases", "preprocessing") if getattr(mine, key) != getattr(theirs, key)]
    if differ:
        raise DeclarationError(
            f"{declared.name}.yaml: images: {' and '.join(differ)} differ from those of {bundle.cohort.name}, which "
            "the model was trained on. Declare the same."
        )
    cache, found = Workspace(declared.name).kept_pictures, {}
    for one in made_pictures(table, mine, cache, root=Path(), machinery=machinery()):
        if one.image is None:
            say(f"  {one.patient} is left out: {one.fault}, {one.message}")
        else:
            found[one.patient] = bundle.eyes.see(open_picture(picture_path(cache, one.image)))
    rest = table[table["patient"].isin(found)].reset_index(drop=True)
    return rest.assign(**{IMAGE: pd.Series([found[patient] for patient in rest["patient"]], dtype=object)})


def validate(
    model: Annotated[str, typer.Argument(help="relapse-<cohort>@champion, relapse-<cohort>/<version>, or a bundle.")],
    cohort: Annotated[str, typer.Argument(help="Name of another declared cohort.")],
    out: Annotated[Path | None, typer.Option(help="Write evidence.json, tables and figures into this folder.")] = None,
) -> None:
    """Validate a model on a cohort that it was not trained on, as it is and recalibrated, and say what update it asks.

    Where its features have other names, units or levels there, the cohort's section `validates` translates them.
    A registered model's validation is logged to MLflow and marks its version.
    """
    import tempfile
    from dataclasses import asdict, replace

    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.size import Folds
    from relapse.evaluation.evidence import endpoint_of, gather
    from relapse.figures.evaluation.files import write_evaluation
    from relapse.ground.errors import DeclarationError
    from relapse.ground.files import write_json
    from relapse.ground.workspace import Workspace
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.quality.checks.context import Context
    from relapse.report.tables import show_evidence, show_update
    from relapse.tracking.validation import find_model, record_validation
    from relapse.training.external import FOLDS, external_predictions, update_for

    bundle, version = find_model(model, machinery())
    if bundle.cohort.name == cohort:
        raise DeclarationError(f"{model} was trained on {cohort}: name another cohort.")
    params = read_params()
    # Nothing is trained here; the recalibrations are cross-fitted.
    context = Context(folds=(Folds(FOLDS),), events_per_parameter=None)
    declared, table = gated(read_cohort(Workspace(cohort).declaration), context)
    if bundle.eyes:
        table = _seen(table, declared, bundle)
    tables = external_predictions(bundle.model, bundle.cohort, table, declared, seed=params.seed)
    evidence = gather(
        tables, endpoint_of(declared), cohort=cohort, resamples=params.evaluate.resamples, seed=params.seed
    )
    # Three ways to see one model: nothing was chosen among them.
    evidence = replace(evidence, selection=None)
    show_evidence(evidence)
    update = update_for(
        bundle.model,
        bundle.cohort,
        table,
        declared,
        events_per_parameter=params.register_.events_per_parameter,
    )
    if update:
        show_update(update)
    with tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch)
        write_evaluation(
            tables,
            evidence,
            to_evidence=folder / "evidence.json",
            to_plots=folder / "plots",
            to_figures=folder / "figures",
            titles={name: name for name in tables},
        )
        if update:
            write_json(folder / "update.json", asdict(update))
        if version is not None:
            say(
                f"{version.name} version {version.version}: {record_validation(version, evidence, folder, machinery())}"
            )


def update(
    model: Annotated[str, typer.Argument(help="relapse-<cohort>@champion: only a champion is updated.")],
    cohort: Annotated[str, typer.Argument(help="Name of a declared cohort of patients whom it was not trained on.")],
) -> None:
    """Recalibrate the champion on new patients where a closed test asks for it, and let the policy decide about it.

    The update is registered as a version like any other, with its rules judged on the new patients, each of them by
    numbers that were chosen and fitted without her; it becomes champion where policy and change_plan.yaml let it.
    Where the test asks for nothing, or for a model trained again, nothing is registered and the message says so.
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.ground.workspace import Workspace
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.report.tables import show_update
    from relapse.tracking.updating import update_champion

    record = update_champion(
        model,
        read_cohort(Workspace(cohort).declaration),
        read_params(),
        machinery(),
        seen=_seen,
        show=show_update,
    )
    if record is None:
        return
    champion = record["champion"]
    say(record["summary"])
    say(f"Registered as version {record['challenger_version']}. Champion: version {champion['version']}.")
