"""Commands about predictions and figures made elsewhere: evaluation, and what does not fit together in print."""

from pathlib import Path
from typing import Annotated

import typer

from relapse.ground.console import say


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
    from relapse.evaluation.evidence import endpoint_of, gather
    from relapse.evaluation.foreign import check_foreign, infer_endpoint, read_foreign
    from relapse.ground.errors import PredictionsError
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
