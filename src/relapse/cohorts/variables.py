"""Environment variables in a declaration, ``${NAME}``: which there are, and what to say of one that is not set."""

import os
import re
from collections.abc import Callable

from relapse.ground.errors import SourceError

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def variables_in(declared: str) -> list[str]:
    """The variables that a declared path or address names, each once, in their order."""
    return list(dict.fromkeys(_VARIABLE.findall(declared)))


def require_set(declared: str, *, whole: str, part: str, obtain: str | None = None) -> None:
    """See that every variable of a declared path or address is set.

    Parameters
    ----------
    whole, part
        What a variable is to be set to, in words: one that stands there alone, or as a part of it.
    obtain
        Where a user gets what it names.

    Raises
    ------
    SourceError
        One is not set.
    """
    unset = [name for name in variables_in(declared) if name not in os.environ]
    if unset:
        meant = whole if declared == f"${{{unset[0]}}}" else part
        had = f" To be had from: {obtain}." if obtain else ""
        raise SourceError(f"{declared}: environment variable {unset[0]} is not set. Set it to the {meant}.{had}")


def filled_in(declared: str, write: Callable[[str, int], str]) -> str:
    """A declared text with every variable replaced by what ``write`` makes of its value and its place."""
    return _VARIABLE.sub(lambda found: write(os.environ[found[1]], found.start()), declared)
