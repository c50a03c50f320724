"""Putting a table and its declaration into the project: everything, or, where a step fails, nothing."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from relapse.ground.declarations import read_yaml
from relapse.ground.errors import DeclarationError, SourceError
from relapse.ground.files import sha256_of_file, write_atomic, write_text
from relapse.ground.workspace import Workspace
from relapse.params import Params, choose, read_params

#: Where a project keeps its tables.
RAW = Path("data/raw")

_PARAMS = Path("params.yaml")


@dataclass(frozen=True, slots=True)
class Placed:
    """What was done: where the declaration and the table lie, whether DVC follows the table, what the pipeline runs."""

    declaration: Path
    table: Path
    followed: bool
    params: Params | None


def destination(table: Path, name: str) -> Path:
    """Where a table is to lie below :data:`RAW`: where it is, if it lies there, else under the cohort's name."""
    if table.resolve().is_relative_to(RAW.resolve()):
        return RAW / table.resolve().relative_to(RAW.resolve())
    endings = [item.lower() for item in table.suffixes]
    return RAW / f"{name}{''.join(endings[-2:] if endings[-1:] == ['.gz'] else endings[-1:])}"


def require_free(name: str, table: Path, *, force: bool) -> None:
    """See that nothing is overwritten that was not asked to be.

    Raises
    ------
    DeclarationError
        There is a declaration of that name, or another table in its place.
    """
    declaration, target = Workspace(name).declaration, destination(table, name)
    if force:
        return
    if declaration.exists():
        raise DeclarationError(
            f"{declaration}: there is a declaration of this name. Give another, --name, or put a new one in its "
            "place, --force."
        )
    if target.is_file() and target.resolve() != table.resolve() and sha256_of_file(target) != sha256_of_file(table):
        raise DeclarationError(
            f"{target}: there is another table of this name. Give another, --name, or put this one in its place, "
            "--force."
        )


def place(table: Path, name: str, text: str, *, usable: bool) -> Placed:
    """Copy the table below :data:`RAW`, let DVC follow it, write the declaration, and have the pipeline run the cohort.

    DVC is asked where the project is one of its repositories; ``params.yaml`` is changed where there is one and the
    declaration is ``usable``: with a question open, every run would stop at it.

    Raises
    ------
    SourceError
        DVC does not take the table. Nothing is then changed.
    """
    declaration, target = Workspace(name).declaration, destination(table, name)
    with ExitStack() as undo:
        _keep(target, undo)
        if target.resolve() != table.resolve():
            write_atomic(target, lambda temporary: shutil.copyfile(table, temporary))
        followed, pointer = Path(".dvc").is_dir(), target.with_name(f"{target.name}.dvc")
        if followed and not _imported(pointer):
            _keep(pointer, undo)
            _keep(target.with_name(".gitignore"), undo)
            _add(target)
        _keep(declaration, undo)
        write_text(declaration, text)
        params = None
        if usable and _PARAMS.is_file():
            there = read_params(_PARAMS).cohorts
            params = choose([*there, *([] if name in there else [name])], None)
        undo.pop_all()
    return Placed(declaration, target, followed, params)


def _keep(path: Path, undo: ExitStack) -> None:
    """Bring back what a file is now, should a later step fail."""
    before = path.read_bytes() if path.is_file() else None
    back: Callable[[], object] = (
        (lambda: path.unlink(missing_ok=True))
        if before is None
        else (lambda: write_atomic(path, lambda temporary: temporary.write_bytes(before)))
    )
    undo.callback(back)


def _imported(pointer: Path) -> bool:
    """Whether DVC brought a file from an address: to add it would forget where it came from."""
    return pointer.is_file() and "deps" in read_yaml(pointer)


def _add(target: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "--quiet", str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise SourceError(
            f"dvc add {target}: {said[-1] if said else 'no reason was given'} Nothing was written. Mend that, and run "
            "the command again."
        )
