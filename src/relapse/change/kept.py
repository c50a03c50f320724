"""What a published state keeps of itself for change control, beside its bundle: digests of columns and of the code.

A digest is of a whole column, over all rows: from it nobody tries out the values of one patient.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import relapse
from relapse.bundle.manifest import Digest
from relapse.ground.declarations import Declared
from relapse.ground.files import sha256_of_file, sha256_of_text

if TYPE_CHECKING:
    import pandas as pd

#: Files beside the library that decide what a run does.
_BESIDE = ("pipelines/*.py", "bento/service.py", "dvc.yaml")


class Kept(Declared):
    """Digests of each column of the canonical table and of each file of the code, hyperparameters, and the plan's."""

    columns: dict[str, Digest]
    code: dict[str, Digest]
    hyperparameters: dict[str, Any]
    plan: Digest | None


def column_digests(table: "pd.DataFrame") -> dict[str, str]:
    """SHA-256 of each column of a canonical table, in the order of patients and of rows within a patient.

    Row numbers do not count: rows may be moved in the source.
    """
    ordered = in_order(table)
    return {str(name): sha256_of_text(*_texts(ordered[name])) for name in ordered.columns if name != "row"}


def in_order(table: "pd.DataFrame") -> "pd.DataFrame":
    """Rows in the order of patients, and of row numbers within a patient."""
    return table.sort_values(["patient", "row"], kind="stable", ignore_index=True)


def code_digests(root: Path = Path()) -> dict[str, str]:
    """SHA-256 of each file of the library in use, of the pipeline's scripts and of the service, by its name."""
    library = Path(relapse.__file__).parent
    found = {f"relapse/{path.relative_to(library).as_posix()}": path for path in sorted(library.rglob("*.py"))}
    for pattern in _BESIDE:
        found |= {path.relative_to(root).as_posix(): path for path in sorted(root.glob(pattern))}
    return {name: sha256_of_file(path) for name, path in found.items()}


def _texts(column: "pd.Series[Any]") -> list[str]:
    """A number's shortest text that reads back as it, a level's name; all kinds of a missing value alike."""
    from pandas.api.types import is_numeric_dtype

    # Whole numbers become others where rows with a missing value are appended, and are the same.
    text = (lambda value: repr(float(value))) if is_numeric_dtype(column) else repr
    pairs = zip(column.tolist(), column.isna().tolist(), strict=True)
    return ["" if missing else text(value) for value, missing in pairs]
