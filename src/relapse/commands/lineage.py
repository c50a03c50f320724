"""The command ``relapse trace``: from a model back to what it was made from."""

import json
from typing import Annotated

import typer

from relapse.ground.console import say


def trace(
    model: Annotated[
        str,
        typer.Argument(
            help="relapse-<cohort>@champion or relapse-<cohort>/3 (models:/… too), a bundle, or a Bento's file or tag."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Say it as JSON, for programs.")] = False,
) -> None:
    """Follow a model back: bundle, decision, run, predictions, table, sources, declaration, commit, settings, packages.

    Each is held against what lies here now: as recorded, differs now, or not here. Exit status 1 where something
    differs.
    """
    from relapse.machinery import machinery
    from relapse.tracking.lineage.trace import trace as follow

    found = follow(model, machinery())
    say(json.dumps(found.to_json(), indent=2, ensure_ascii=False) if as_json else "\n".join(found.lines()))
    if found.differing:
        if not as_json:
            say(f"Not as recorded: {', '.join(found.differing)}")
        raise typer.Exit(1)
