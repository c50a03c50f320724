"""The command ``relapse``: what people do beside ``dvc repro``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse.console import readable_errors, say
from relapse.environment import check_environment
from relapse.registry_commands import registry

if TYPE_CHECKING:
    import pandas as pd

    from relapse.cohorts.schema import Cohort
    from relapse.quality.checks.context import Context

app = typer.Typer(
    help="Relapse models for breast cancer. The pipeline itself runs with `dvc repro`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(registry, name="registry")


@app.command()
def check(
    declaration: Annotated[Path, typer.Argument(help="A cohort's YAML file, such as data/cohorts/mine.yaml.")],
    docs: Annotated[Path | None, typer.Option(help="Write Great Expectations' Data Docs into this folder.")] = None,
) -> None:
    """Read a cohort's declaration and its source, and hold the table against the declaration.

    This is what the stages ingest and gate do; nothing is kept. Folds and policy are those of params.yaml, or the
    defaults where there is none. Exit status 0 where the pipeline would go on, 1 where
    the data break a rule, 2 where the declaration or the source cannot be read.
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.size import counts
    from relapse.cohorts.table import ingest
    from relapse.params import read_params
    from relapse.quality.checks.context import DEFAULT, Context
    from relapse.quality.gate import check as gate
    from relapse.wording import people

    cohort = read_cohort(declaration)
    context = Context.of(read_params()) if Path("params.yaml").is_file() else DEFAULT
    table, flow = ingest(cohort, root=Path())
    say(f"{flow.source}: {flow.rows_read} rows read")
    for item in flow.excluded:
        say(f"  {item.rows} excluded: {item.reason}")
    result = gate(table, cohort, docs=docs, context=context)
    result.require(source=flow.source)
    say(f"  {people(counts(table))}")
    for finding in result.findings:
        say(f"  {finding}")
    say(f"{cohort.name}: all {len(result.verdicts)} rules kept")


@app.command()
def evaluate(
    predictions: Annotated[list[Path], typer.Argument(help="Predictions tables of the same rows, CSV or parquet.")],
    cohort: Annotated[Path | None, typer.Option(help="A cohort's YAML file, for its endpoint and horizons.")] = None,
    unit: Annotated[str, typer.Option(help="Unit of the column time: day, week, month or year.")] = "day",
    out: Annotated[Path | None, typer.Option(help="Write evidence.json, tables and figures into this folder.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling.")] = 0,
) -> None:
    """Evaluate predictions made anywhere: metrics with intervals, paired tests, calibration, subgroups.

    Columns: event (0, 1) and score or risk; time and risk_3y, risk_5y … where the outcome is a time to an event.
    Optional: row, patient (rows of one patient are resampled together), site, repeat, fold, threshold, subgroup_….
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.errors import PredictionsError
    from relapse.evaluation.evidence import endpoint_of, gather
    from relapse.evaluation.foreign import check_foreign, infer_endpoint, read_foreign
    from relapse.report.tables import show_evidence

    if unit not in ("day", "week", "month", "year"):
        raise PredictionsError(f"--unit {unit}: allowed are day, week, month and year.")
    tables = read_foreign(predictions)
    endpoint = endpoint_of(read_cohort(cohort)) if cohort else infer_endpoint(tables, unit=unit)
    check_foreign(tables, endpoint)
    name = cohort.stem if cohort else "predictions"
    evidence = gather(tables, endpoint, cohort=name, resamples=resamples, seed=seed)
    show_evidence(evidence)
    if out is not None:
        from relapse.figures.evaluation.files import write_evaluation

        write_evaluation(
            tables,
            evidence,
            to_evidence=out / "evidence.json",
            to_plots=out / "plots",
            to_figures=out / "figures",
            titles={table: table for table in tables},
        )
        say(f"Written: {out}")


@app.command(name="check-table")
def check_table(
    table: Annotated[Path, typer.Argument(help="A CSV of printed figures: what, estimate, lower, upper, z, chi2, p …")],
) -> None:
    """Say what does not fit together in a published table of estimates, intervals, statistics and p-values.

    Exit status 1 where something cannot be explained by rounding.
    """
    from relapse.evaluation.published import check_published, read_published

    rows = read_published(table)
    found = check_published(rows)
    for item in found:
        say(f"{item.severity} {item.code} {item.what}: {item.message}")
    wrong = sum(item.severity == "error" for item in found)
    say(f"{len(rows)} rows checked: {wrong} do not fit, {len(found) - wrong} warnings")
    if wrong:
        raise typer.Exit(1)


@app.command()
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


@app.command()
def validate(
    model: Annotated[str, typer.Argument(help="relapse-<cohort>@champion, relapse-<cohort>/<version>, or a bundle.")],
    cohort: Annotated[str, typer.Argument(help="Name of another declared cohort.")],
    out: Annotated[Path | None, typer.Option(help="Write evidence.json, tables and figures into this folder.")] = None,
) -> None:
    """Validate a model on a cohort that it was not trained on, as it is and recalibrated.

    Where its features have other names, units or levels there, the cohort's section `validates` translates them.
    A registered model's validation is logged to MLflow and marks its version.
    """
    import tempfile
    from dataclasses import replace

    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.size import Folds
    from relapse.errors import DeclarationError
    from relapse.evaluation.evidence import endpoint_of, gather
    from relapse.figures.evaluation.files import write_evaluation
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.quality.checks.context import Context
    from relapse.report.tables import show_evidence
    from relapse.tracking.validation import find_model, record_validation
    from relapse.training.external import FOLDS, external_predictions
    from relapse.workspace import Workspace

    bundle, version = find_model(model, machinery())
    if bundle.cohort.name == cohort:
        raise DeclarationError(f"{model} was trained on {cohort}: name another cohort.")
    declared, params = read_cohort(Workspace(cohort).declaration), read_params()
    # Nothing is trained here; the recalibrations are cross-fitted.
    context = Context(folds=(Folds(FOLDS),), events_per_parameter=None)
    tables = external_predictions(bundle.model, bundle.cohort, _gated(declared, context), declared, seed=params.seed)
    evidence = gather(
        tables, endpoint_of(declared), cohort=cohort, resamples=params.evaluate.resamples, seed=params.seed
    )
    # Three ways to see one model: nothing was chosen among them.
    evidence = replace(evidence, selection=None)
    show_evidence(evidence)
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
        if version is not None:
            say(
                f"{version.name} version {version.version}: {record_validation(version, evidence, folder, machinery())}"
            )


@app.command()
def simulate(
    name: Annotated[str, typer.Argument(help="What to simulate: radiomics.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal tables.")] = 1,
) -> None:
    """Write a simulated two-view table of the radiomics study: 148 patients, 270 views, five features.

    The cohort `radiomics` is such a table, declared. This command is for looking at one, and for trying out a
    declaration of your own.
    """
    from relapse.cohorts.simulation import simulate_radiomics
    from relapse.errors import DeclarationError
    from relapse.files import write_csv

    if name != "radiomics":
        raise DeclarationError(f"{name!r} is no simulation. There is: radiomics.")
    table = simulate_radiomics(seed)
    write_csv(out, table)
    say(f"{out}: {len(table)} simulated views of {table['patient'].nunique()} patients; no real patient is among them")


@app.command()
def audit(
    cohort: Annotated[str, typer.Argument(help="Name of a declared cohort, such as radiomics.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write the table and the figure into.")] = None,
) -> None:
    """Show what naive protocols would report of the candidates, beside what the honest one finds.

    The budget is the section audit of params.yaml. The stage audit writes the same for every cohort of the pipeline.
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.figures.audit import optimism_figure
    from relapse.figures.style import save
    from relapse.files import write_csv, write_json
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.quality.checks.context import Context
    from relapse.training.audit import audit as run
    from relapse.workspace import Workspace

    declared, params = read_cohort(Workspace(cohort).declaration), read_params()
    table = _gated(declared, Context.of(params))
    found = run(table, declared, params=params.audit, seed=params.seed, machinery=machinery())
    say(f"{declared.title}: {found.metric}, mean over outer folds")
    for item in found.protocols:
        reason = item["not_applicable"]
        say(f"{item['title']}" + (f": not applicable, {reason}" if reason else ""))
        for row in found.optimism[found.optimism["protocol"] == item["name"]].itertuples(index=False):
            say(f"  {row.title:24} honest {row.honest:.3f}  naive {row.naive:.3f}  optimism {row.optimism:+.3f}")
    if out is not None:
        write_csv(out / "optimism.csv", found.optimism)
        write_json(out / "audit.json", found.to_json())
        save(
            optimism_figure(found.optimism, found.protocols, metric=found.metric, title=declared.title),
            out / "optimism",
        )


@app.command(name="audit-log")
def audit_log(
    log: Annotated[Path, typer.Argument(help="The file that RELAPSE_AUDIT_LOG named.")],
) -> None:
    """Check every line of a service's audit log and the chain between them, with the key in RELAPSE_AUDIT_KEY.

    Exit status 1 where a line was altered, moved or taken out. Lines cut off the end leave a chain that holds: compare
    the number and digest printed here with those kept elsewhere.
    """
    from relapse.environment import AUDIT_KEY
    from relapse.errors import ServingError
    from relapse.serving.audit_log import verify

    key = AUDIT_KEY.get()
    if not key:
        raise ServingError("RELAPSE_AUDIT_KEY: the key that the log was written with is needed to check it.")
    found = verify(log, key.encode())
    say(f"{log}: {found.lines} lines, none altered, moved or missing; the last digest is {found.last}")


def _gated(cohort: "Cohort", context: "Context") -> "pd.DataFrame":
    """The typed table of a cohort, read from its source, once it has passed the gate."""
    from relapse.cohorts.table import ingest, typed
    from relapse.quality.gate import check as gate

    table, flow = ingest(cohort, root=Path())
    gate(table, cohort, context=context).require(source=flow.source)
    return typed(table, cohort)


def main() -> None:
    """Entry point: errors meant for the user come out as one message and their exit status."""
    with readable_errors():
        check_environment()
        app()
