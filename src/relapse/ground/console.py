"""What a person sees: stage arguments, progress, and errors as one readable message."""

import argparse
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from relapse.ground.environment import check_environment
from relapse.ground.errors import RelapseError
from relapse.ground.outside import outside

Item = TypeVar("Item")


def say(message: str) -> None:
    """Print one plain line at once, also when the output is a file or a pipe."""
    print(message, flush=True)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn a :class:`RelapseError` into its message on stderr and its exit status.

    So is what happened outside of this program, such as a full disk; anything else is a bug and shows.
    """
    try:
        yield
    except RelapseError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(error.exit_status) from None
    except BrokenPipeError:
        raise SystemExit(1) from None
    except Exception as error:
        if (said := outside(error)) is None:
            raise
        print(f"error: {said}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None


def stage(main: Callable[..., None]) -> None:
    """Run a pipeline stage: each parameter of ``main`` becomes a required ``--option`` of the script."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(main))
    for name in inspect.signature(main).parameters:
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    with readable_errors():
        check_environment()
        main(**vars(given))


def progress(items: Iterable[Item], *, total: int, label: str, bar: bool = True) -> Iterator[Item]:
    """Pass ``items`` on, showing a bar on a terminal and a plain line for each quarter done elsewhere.

    A terminal has one bar at a time: without ``bar`` there are lines on it, too.
    """
    if bar and sys.stderr.isatty():
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, transient=True) as shown_bar:
            task = shown_bar.add_task(label, total=total)
            for item in items:
                shown_bar.advance(task)
                yield item
        return
    shown = 0
    for done, item in enumerate(items, start=1):
        if done * 4 // total > shown:
            shown = done * 4 // total
            say(f"{label}: {done}/{total}")
        yield item


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, as wide as the terminal, or 160 characters where there is none."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if Console().is_terminal else 160).print(table, markup=False)
