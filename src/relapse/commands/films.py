"""The commands ``relapse films …``: a reader of films is trained, and reads films into a table."""

from pathlib import Path
from typing import Annotated

import typer

from relapse.ground.console import say

films = typer.Typer(help="Mammograms: train a reader, and read films into a table.", no_args_is_help=True)


@films.command()
def train(
    out: Annotated[Path, typer.Option(help="The folder to write the reader into.")],
    mias: Annotated[
        Path | None,
        typer.Option(help="mini-MIAS: labels.txt beside folders of films."),
    ] = None,
    drawn: Annotated[
        int, typer.Option(min=0, max=5000, help="Drawn films to teach by; all there is without mini-MIAS.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds, films and versions give equal readers.")] = 1,
) -> None:
    """Train a reader of films, on mini-MIAS or on drawn films, with lesions drawn into their normal tissue.

    What a reader of drawn films says of a patient's means nothing; it shows the way.
    """
    from relapse.ground.errors import SourceError
    from relapse.imaging.extra import require
    from relapse.imaging.films.learning import drawn_lessons, mias_lessons, teach
    from relapse.imaging.films.parts import write_parts
    from relapse.machinery import machinery

    require("films")
    if mias is None and not drawn:
        raise SourceError(
            "there is nothing to teach by: name the folder of mini-MIAS with --mias, or have films drawn: --drawn 60."
        )
    machine = machinery()
    lessons = mias_lessons(mias, machine) if mias else []
    lessons += drawn_lessons(drawn, seed=seed, machinery=machine)
    reader = teach(lessons, seed=seed, progress=lambda step: say(f"learning {step}"))
    write_parts(reader.parts, out)
    say(f"{out}: a reader taught by {reader.about['taught']}")


@films.command()
def read(
    sheet: Annotated[Path, typer.Argument(help="A CSV: film, patient, laterality, view; see docs/films.md.")],
    reader: Annotated[Path, typer.Option(help="The folder of a trained reader.")],
    out: Annotated[Path, typer.Option(help="The folder for the table, the corrections and the contact sheets.")],
    clinical: Annotated[Path | None, typer.Option(help="A CSV with a row a patient, joined to the table.")] = None,
) -> None:
    """Read films into a table, one row a view, with how sure the reader is of each value.

    Fill in corrections.csv, where you read a film otherwise, and run the command again: your value takes the place of
    the proposal. The file is never written over.
    """
    from relapse.imaging.extra import require
    from relapse.imaging.films.parts import read_parts
    from relapse.imaging.films.reader import FilmReader
    from relapse.imaging.films.table import ASIDE, CORRECTIONS, READINGS, SHEETS, read_films, read_sheet, write_readings
    from relapse.machinery import machinery
    from relapse.wording import count

    require("films")
    cache = Path(".cache") / "films"
    found = read_films(read_sheet(sheet), FilmReader.open(read_parts(reader)), cache=cache, machinery=machinery())
    for one in found:
        if one.fault:
            say(f"{one.patient} {one.view} is set aside: {one.fault}, {one.message}")
    table, corrected = write_readings(found, out, cache=cache, clinical=clinical)
    without = int(table["size"].isna().sum())
    say(f"{out / READINGS}: {count(len(table), 'view')} of {count(table['patient'].nunique(), 'patient')}")
    say(f"  {count(len(found) - len(table), 'film')} set aside ({out / ASIDE}), {without} without a lesion")
    say(f"  {count(corrected, 'value')} corrected; correct others in {out / CORRECTIONS}, looking at {out / SHEETS}")
