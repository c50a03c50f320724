"""Commands about a cohort's table: whether it may go on, what naive protocols make of it, and a simulated one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse.ground.console import say

if TYPE_CHECKING:
    import pandas as pd

    from relapse.cohorts.schema import Cohort
    from relapse.cohorts.table import Ingested
    from relapse.ground.workspace import Workspace
    from relapse.quality.checks.context import Context


def check(
    declaration: Annotated[
        Path,
        typer.Argument(metavar="COHORT", help="Name of a declared cohort, or its YAML file, data/cohorts/mine.yaml."),
    ],
    docs: Annotated[Path | None, typer.Option(help="Write Great Expectations' Data Docs into this folder.")] = None,
) -> None:
    """Read a cohort's declaration and its source, and hold the table against the declaration.

    This is what the stages ingest and gate do; nothing is kept. Folds and policy are those of params.yaml, or the
    defaults where there is none. Exit status 0 where the pipeline would go on, 1 where
    the data break a rule, 2 where the declaration or the source cannot be read.
    """
    from relapse.cohorts.size import counts
    from relapse.ground.workspace import Workspace
    from relapse.quality.gate import check as gate
    from relapse.wording import people

    table, flow, cohort = read_aloud(declaration)
    result = gate(table, cohort, docs=docs, context=context_of(Workspace(cohort.name)))
    result.require(source=flow.source)
    say(f"  {people(counts(table))}")
    for finding in result.told:
        say(f"  {finding}")
    kept = sum(verdict.passed for verdict in result.verdicts)
    say(f"{cohort.name}: {'all ' if kept == len(result.verdicts) else ''}{kept} rules kept")


def context_of(at: "Workspace") -> "Context":
    """What a cohort's table is held against beside its declaration: params.yaml and the version accepted last."""
    from relapse.params import read_params
    from relapse.quality.accepted import read_accepted
    from relapse.quality.checks.context import Context

    accepted = read_accepted(at.accepted)
    return Context.of(read_params(), accepted) if Path("params.yaml").is_file() else Context(accepted=accepted)


def read_aloud(declaration: Path, *, titled: bool = False) -> "Ingested":
    """Ingest a cohort, given as for :func:`declaration_of`, and say who was read, joined and left out."""
    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.table import ingest

    found = ingest(read_cohort(declaration_of(declaration)), root=Path())
    if titled:
        say(found.cohort.title)
    say(f"{found.flow.source}: {found.flow.rows_read} rows read")
    for joined in found.flow.joined:
        say(f"  {joined}")
    for item in found.flow.excluded:
        say(f"  {item.rows} excluded: {item.reason}")
    return found


def declaration_of(named: Path) -> Path:
    """The file of a cohort that is given by its name, such as gbsg, or by the file itself."""
    from relapse.ground.workspace import Workspace

    by_name = named.suffix not in (".yaml", ".yml") and len(named.parts) == 1 and not named.is_file()
    return Workspace(named.name).declaration if by_name else named


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
    from relapse.ground.files import write_csv, write_json
    from relapse.ground.workspace import Workspace
    from relapse.machinery import machinery
    from relapse.params import read_params
    from relapse.quality.checks.context import Context
    from relapse.training.audit import audit as run

    params = read_params()
    declared, table = gated(read_cohort(Workspace(cohort).declaration), Context.of(params))
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


def simulate(
    name: Annotated[str, typer.Argument(help="What to simulate: radiomics, films, or phantoms.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write, or the folder of the images.")],
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal tables and images.")] = 1,
    patients: Annotated[int, typer.Option(min=1, max=9999, help="How many patients have images drawn.")] = 60,
    signal: Annotated[
        float, typer.Option(min=0, help="Log-hazard a standard deviation of what phantoms hide; 0 plants nothing.")
    ] = 1.5,
) -> None:
    """Write data that are drawn, not measured: what is true of them is known.

    `radiomics` is a two-view table of the radiomics study: 148 patients, 270 views, five features. `films` are
    mammograms of its first patients, with a sheet of them and a clinical sheet; the cohort `film_phantoms` is what is
    read of them. `phantoms` are small DCE-MRI studies of three phases, with masks and a clinical sheet, in MAMA-MIA's
    layout. The cohorts of the names `radiomics` and `phantoms` declare these. This command is also for trying out a
    declaration of your own.
    """
    from relapse.ground.errors import DeclarationError

    if name == "radiomics":
        from relapse.cohorts.simulation import simulate_radiomics
        from relapse.ground.files import write_csv

        table = simulate_radiomics(seed)
        write_csv(out, table)
        drawn = f"{len(table)} simulated views of {table['patient'].nunique()} patients"
    elif name == "films":
        from relapse.imaging.extra import require
        from relapse.imaging.films.simulation import write_films
        from relapse.machinery import machinery
        from relapse.wording import count

        require("films")
        drawn = f"{count(write_films(out, machinery(), patients=patients, seed=seed), 'film')} of drawn patients"
    elif name == "phantoms":
        from relapse.imaging.phantoms import Phantoms, write_phantoms
        from relapse.machinery import machinery

        write_phantoms(Phantoms(patients=patients, signal=signal, seed=seed), out, machinery())
        drawn = f"images and clinical sheet of {patients} phantoms"
    else:
        raise DeclarationError(f"{name!r} is no simulation. There are: radiomics, films, phantoms.")
    say(f"{out}: {drawn}; no real patient is among them")


def use(
    cohorts: Annotated[list[str], typer.Argument(help="Names of declared cohorts, such as gbsg wpbc.")],
    budget: Annotated[str | None, typer.Option(help="How much work is done: quick, default, publication.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Beside those that stand there, once the files they need are named.")
    ] = False,
) -> None:
    """Say in params.yaml which cohorts `dvc repro` runs, and with which budget; nothing else is changed there.

    Results of other cohorts stay where they are. With --keep the list is only added to, and every variable that the
    cohorts read has to be set; where one is not, it is said where its file is had, and nothing is changed.
    """
    from relapse.cohorts.catalogue import read_cohort
    from relapse.cohorts.needs import require_needs
    from relapse.ground.errors import DeclarationError
    from relapse.ground.workspace import Workspace
    from relapse.params import choose, read_params

    for name in cohorts:
        path = Workspace(name).declaration
        if not path.is_file():
            there = ", ".join(sorted(item.stem for item in path.parent.glob("*.yaml")))
            raise DeclarationError(f"{path}: no such declaration. There are: {there or 'none'}.")
        if keep:
            require_needs(read_cohort(path))
    if keep:
        there_before = read_params().cohorts
        added = [name for name in dict.fromkeys(cohorts) if name not in there_before]
        chosen = choose([*there_before, *added], budget) if added or budget else read_params()
        what = f"{', '.join(added)} added, cohorts {', '.join(chosen.cohorts)}" if added else "as it was"
        back = f" `relapse use {' '.join(there_before)}` brings back the list." if added else ""
        say(f"params.yaml: {what}, budget {chosen.budget}.{back}")
        return
    chosen = choose(cohorts, budget)
    say(f"params.yaml: cohorts {', '.join(chosen.cohorts)}, budget {chosen.budget}. Next: dvc repro")


def gated(declared: "Cohort", context: "Context") -> "tuple[Cohort, pd.DataFrame]":
    """A cohort resolved, and its typed table, read from its sources, once it has passed the gate."""
    from relapse.cohorts.table import ingest, typed
    from relapse.quality.gate import check as gate

    table, flow, cohort = ingest(declared, root=Path())
    gate(table, cohort, context=context).require(source=flow.source)
    return cohort, typed(table, cohort)
