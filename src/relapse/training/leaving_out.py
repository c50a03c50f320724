"""What is left of a candidate that the budget does not train."""

import shutil

from relapse.ground.files import write_json
from relapse.ground.workspace import Workspace


def leave_out(at: Workspace, candidate: str, *, budget: str) -> None:
    """Write a record that says so, with ``left_out``, and nothing else."""
    shutil.rmtree(at.trained(candidate), ignore_errors=True)
    write_json(at.record(candidate), {"candidate": candidate, "left_out": f"the budget {budget} does not train it"})
