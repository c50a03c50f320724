"""Commands about a running service: its audit log."""

from pathlib import Path
from typing import Annotated

import typer

from relapse.ground.console import say


def audit_log(
    log: Annotated[Path, typer.Argument(help="The file that RELAPSE_AUDIT_LOG named.")],
) -> None:
    """Check every line of a service's audit log and the chain between them, with the key in RELAPSE_AUDIT_KEY.

    Exit status 1 where a line was altered, moved or taken out. Lines cut off the end leave a chain that holds: compare
    the number and digest printed here with those kept elsewhere.
    """
    from relapse.ground.environment import AUDIT_KEY
    from relapse.ground.errors import ServingError
    from relapse.serving.audit_log import verify

    key = AUDIT_KEY.get()
    if not key:
        raise ServingError("RELAPSE_AUDIT_KEY: the key that the log was written with is needed to check it.")
    found = verify(log, key.encode())
    say(f"{log}: {found.lines} lines, none altered, moved or missing; the last digest is {found.last}")
