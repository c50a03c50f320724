"""A disk without room, for this process alone: the system itself refuses what would make a file longer than allowed."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

#: How the system says so, whether it wrote a part or nothing.
FULL = r"No space left|File too large"


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes until the end of the block; needs no root, and no disk of its own."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
