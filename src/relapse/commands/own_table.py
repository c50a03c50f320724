"""The commands ``relapse cohort …``: from a table to a declaration, what it holds, and which cohorts there are."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse.commands.cohort import check, context_of, read_aloud
from relapse.ground.console import print_table, say

if TYPE_CHECKING:
    import pandas as pd

    from relapse.cohorts.needs import Need
    from relapse.cohorts.schema import Cohort
    from relapse.drafting.answers import Question
    from relapse.drafting.placing import Placed
    from relapse.quality.checks.context import Context

cohort = typer.Typer(help="Cohorts: declare one's own table, check it, describe it, list them.", no_args_is_help=True)
cohort.command()(check)


@cohort.command()
def new(
    table: Annotated[Path, typer.Argument(help="The table: .csv, .tsv, .txt (also .gz), .xlsx, .parquet, .sav, .dta.")],
    name: Annotated[str | None, typer.Option(help="The cohort's name; by default the file's.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Column of the outcome, or none.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time, two of dates as FROM..TO, or none.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of the time: day, week, month, year.")] = None,
    patient: Annotated[str | None, typer.Option(help="Column naming the patient, or none: a row is a patient.")] = None,
    reference: Annotated[str | None, typer.Option(help="Features of the clinical model, parted by commas.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook; the largest by default.")] = None,
    header: Annotated[
        list[int] | None, typer.Option(help="Line of the column names, counted from 1; again for each further one.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the guesses, and mark them.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Put it in the place of a declaration of that name.")] = False,
) -> None:
    """Read a table as it is and write a first declaration of it, with TODO wherever something is not certain.

    The table goes to data/raw (with `dvc add` in a DVC repository), the declaration to data/cohorts, the cohort into
    params.yaml. On a terminal five questions are asked, each with a guess; an option answers one beforehand.
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.drafting.answers import Answers
    from relapse.drafting.draft import draft
    from relapse.drafting.placing import destination, place, require_free
    from relapse.drafting.sniffing import sniff
    from relapse.drafting.writing import source_of, text_of, try_out

    called = _name(table) if name is None else _checked(name)
    sniffed = sniff(table, sheet=sheet, header=header)
    require_free(called, table, force=force)
    say(f"{table.name}: {len(sniffed.table)} rows, {len(sniffed.table.columns)} columns")
    answers = Answers(outcome=outcome, time=time, unit=unit, patient=patient, reference=reference)
    asking = None if yes or not (sys.stdin.isatty() and sys.stdout.isatty()) else _ask
    made = draft(sniffed, name=called, title=table.name, answers=answers, ask=asking)
    text = text_of(made, source_of(made, destination(table, called)))
    if not made.waiting:
        try_out(made, text_of(made, source_of(made, table.resolve())))
    placed = place(table, called, text, usable=not made.waiting)
    if not made.waiting:
        read_cohort(placed.declaration)
    _tell(placed, called, text.count("# TODO"), made.waiting)


def _tell(placed: "Placed", name: str, marked: int, waiting: list[str]) -> None:
    say(f"{placed.table}: the table" + (", followed by DVC" if placed.followed else ""))
    say(f"{placed.declaration}: the declaration, with {marked} places marked TODO")
    if placed.params is not None:
        say(f"params.yaml: cohorts {', '.join(placed.params.cohorts)}, budget {placed.params.budget}")
    if waiting:
        say(f"It cannot be used yet: {', '.join(waiting)} is for you to say. Then have `relapse use` run {name}.")
    say(f"Next: read {placed.declaration}, then `relapse cohort check {name}`")


def _ask(question: "Question") -> str:
    """Ask one of the five questions until the answer can be; Enter takes the guess."""
    from relapse.ground.errors import RelapseError

    while True:
        typed = str(typer.prompt(question.text, default=question.guess)).strip()
        try:
            question.read(typed)
        except RelapseError as error:
            say(str(error))
        else:
            return typed


def _name(table: Path) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", table.name.split(".")[0].lower()).strip("_")
    return _checked(plain if re.match("[a-z]", plain) else f"cohort_{plain}".rstrip("_"))


def _checked(name: str) -> str:
    from relapse.ground.errors import DeclarationError

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name == "cohort":
        raise DeclarationError(
            f"--name {name}: lower-case letters, digits and _, starting with a letter; and not 'cohort', as every "
            "resolved declaration is called."
        )
    return name


@cohort.command(name="list")
def list_() -> None:
    """List the declared cohorts: outcome, source, whether its variables are set, and rows where they were read.

    Below, where the files are had that a variable has to name and that none names yet.
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.needs import needs
    from relapse.cohorts.sources import describe
    from relapse.ground.errors import DeclarationError
    from relapse.ground.files import read_json
    from relapse.ground.workspace import Workspace
    from relapse.params import read_params

    paths = sorted(Workspace("any").declaration.parent.glob("*.yaml"))
    if not paths:
        raise DeclarationError("data/cohorts: no declaration. `relapse cohort new TABLE` writes one.")
    chosen = read_params().cohorts if Path("params.yaml").is_file() else ()
    rows: list[list[str]] = []
    unset: dict[str, Need] = {}
    for path in paths:
        flow = Workspace(path.stem).flow
        kept = (
            f"{read_json(flow)['rows_kept']} rows of {read_json(flow)['patients_kept']} patients"
            if flow.is_file()
            else ""
        )
        try:
            found = read_cohort(path)
        except DeclarationError as error:
            rows.append([path.stem, str(error).splitlines()[0].removeprefix(f"{path}: "), "", "", kept, ""])
            continue
        outcome = found.endpoint.label + (
            f", by {', '.join(item.label for item in found.survival.horizons)}" if found.survival else ", yes or no"
        )
        source = "; ".join(describe(item) for item in found.read_from.values())
        named = needs(found)
        unset |= {need.variable: need for need in named if not need.met}
        state = "" if not named else "set" if all(need.met for need in named) else "not set"
        rows.append([path.stem, outcome, source, state, kept, "yes" if path.stem in chosen else ""])
    print_table(
        "Declared cohorts", ["cohort", "outcome", "source", "variables", "last ingested", "in params.yaml"], rows
    )
    for need in unset.values():
        say(str(need))


@cohort.command(name="describe")
def describe_(
    named: Annotated[Path, typer.Argument(metavar="COHORT", help="Name of a declared cohort, or its YAML file.")],
    r2: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="Share of the largest R² that a model is expected to reach.")
    ] = 0.15,
    shrinkage: Annotated[float, typer.Option(min=0.5, max=0.99, help="Shrinkage that is wanted of a model.")] = 0.9,
) -> None:
    """Say what a cohort's table holds: who was left out, features, events, follow-up, and whether it is large enough.

    The sample size is that of Riley et al. (BMJ 2020;368:m441), for a model of all predictors and for the reference.
    """
    from relapse.description.sample_size import needs
    from relapse.description.shown import show_features, show_follow_up, show_needs
    from relapse.quality.checks.context import DEFAULT

    _, found, known = _kept_table(named, DEFAULT, titled=True)
    show_features(known, found.one_by_one)
    show_follow_up(known, found)
    show_needs(needs(known, found, share=r2, shrinkage=shrinkage))


@cohort.command()
def accept(
    named: Annotated[str, typer.Argument(metavar="COHORT", help="Name of a declared cohort.")],
) -> None:
    """Take a cohort's table as it is now for the accepted version: later ones are held against it (checks V).

    Written are counts by class, none below five, to data/accepted/COHORT.json, which is to be committed. A table that
    the gate refuses cannot be accepted.
    """
    from relapse.ground.files import write_json
    from relapse.ground.workspace import Workspace
    from relapse.quality.accepted import accepted_of

    at = Workspace(named)
    fingerprint, found, known = _kept_table(Path(named), context_of(at))
    accepted = accepted_of(known, found, fingerprint=fingerprint)
    write_json(at.accepted, accepted.model_dump(mode="json", exclude_none=True))
    say(f"{at.accepted}: {accepted.patients} patients, {accepted.with_event} of them with the event, are accepted")


def _kept_table(named: Path, context: "Context", *, titled: bool = False) -> "tuple[str, Cohort, pd.DataFrame]":
    """What a cohort was read from, its resolved declaration, and its typed table, which has passed the gate."""
    from relapse.cohorts.size import counts
    from relapse.cohorts.table import typed
    from relapse.quality.gate import check as gate
    from relapse.wording import people

    table, flow, found = read_aloud(named, titled=titled)
    result = gate(table, found, context=context)
    result.require(source=flow.source)
    say(f"  {people(counts(table))}")
    return flow.fingerprint, found, typed(table, found)
