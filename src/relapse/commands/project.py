"""The commands ``relapse project …``: the project as a whole is backed up and put back."""

from pathlib import Path
from typing import Annotated

import typer

from relapse.ground.console import say

project = typer.Typer(help="The project as a whole: backup, restore.", no_args_is_help=True)


@project.command()
def backup(
    out: Annotated[Path, typer.Argument(help="The archive to write, a zip file that is not there yet.")],
) -> None:
    """Write registry, declarations, decisions, served bundles, audit log and monitoring store into one archive.

    The registry may be in use meanwhile. Tables with patients (data/raw) and keys are not in it.
    """
    from relapse.ground.files import sha256_of_file
    from relapse.tracking.client import OWN
    from relapse.upkeep.backup import backup as write

    done = write(out)
    size = sum(item.size for item in done.files.values())
    say(f"{out}: {len(done.files)} files, {size:,} bytes, SHA-256 {sha256_of_file(out)}")
    if done.registry != OWN:
        say(f"MLflow is at {done.registry}: its database and artifacts are NOT in it (docs/operations.md).")
    elif OWN not in done.files:
        say("There is no registry yet; the archive has none.")


@project.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="An archive of `relapse project backup`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Also over what is here, which is kept in a folder replaced-<time>.")
    ] = False,
) -> None:
    """Put an archive's files back into this folder, all of them or none, each checked against its digest before.

    MLflow's places become those of this folder. Stop the pipeline, MLflow's UI and the service first.
    """
    from relapse.commands.registry import say_relocated
    from relapse.upkeep.restore import restore as put_back

    done = put_back(archive, replace=replace)
    say(f"{archive}: made {done.manifest.made}; its {len(done.manifest.files)} files have the digests of its manifest")
    if done.relocated:
        say_relocated(done.relocated)
    for what in done.left:
        say(f"left in the archive: {what}")
    if done.replaced:
        say(f"what was here before lies in {done.replaced.name}")
    say("restored; hold the registry against its records: relapse registry verify COHORT")
