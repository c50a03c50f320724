"""Several pieces of work at once that all share out to one cluster: while one waits for its workers, others go on.

Each has a thread, and they take turns: one at a time runs, and it lets others run only where it waits. So nothing of
what they do here (limits of threads, imports, Optuna's and warnings' settings) has to bear that others do it meanwhile.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

Value = TypeVar("Value")

_TURN = threading.Lock()
_MINE = threading.local()


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one's turn, and have it for as long as the block lasts."""
    with _TURN:
        _MINE.held = True
        try:
            yield
        finally:
            _MINE.held = False


@contextmanager
def passed_on() -> Iterator[None]:
    """Let others have their turn for as long as the block lasts; nothing changes where nobody takes turns."""
    if not together():
        yield
        return
    _MINE.held = False
    _TURN.release()
    try:
        yield
    finally:
        _TURN.acquire()
        _MINE.held = True


def together() -> bool:
    """Whether this thread takes turns with others."""
    return getattr(_MINE, "held", False)


def at_once(works: Sequence[Callable[[], Value]], stop: Callable[[], object]) -> Iterator[Value]:
    """Do all ``works`` at once, and give what each returns as it comes.

    What one raises is raised after the others have come to their end, the first of several. ``stop`` is called where
    nobody wants the results any more: it has to end what they wait for.
    """

    def do(work: Callable[[], Value]) -> Value:
        with turn():
            return work()

    failed: BaseException | None = None
    with ThreadPoolExecutor(max_workers=max(len(works), 1)) as threads:
        futures: list[Future[Value]] = [threads.submit(do, work) for work in works]
        try:
            for future in as_completed(futures):
                if (error := future.exception()) is None:
                    yield future.result()
                else:
                    failed = failed or error
        except BaseException:
            for future in futures:
                future.cancel()
            stop()
            raise
    if failed is not None:
        raise failed
