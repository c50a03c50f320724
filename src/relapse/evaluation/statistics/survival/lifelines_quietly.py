"""lifelines without the warnings that are its own affair."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lifelines_quietly() -> Iterator[None]:
    """Run lifelines 0.30, which calls pandas in a way that pandas 4 will refuse and pandas 3 warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Starting with pandas version 4.0 all arguments of")
        yield
