"""Workers that begin as copies of this process, with all that it has loaded.

Loading numpy, scikit-learn and a family's library takes a worker seconds, longer than many a stage's work. A copy made
by ``fork`` has them at once. Python's own executor comes to no end on a failed task where its workers are forked, and
joblib's warns of it, so that the few lines it takes stand here: a pipe a worker, no thread.
"""

import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from relapse.ground.errors import OutsideError, WorkersError
from relapse.ground.outside import outside

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess


@dataclass(slots=True)
class Copy:
    """A worker, its end of the pipe, and the number of the task that it is at."""

    process: "ForkProcess"
    pipe: "Connection[Any, Any]"
    at: int | None = None


@dataclass(slots=True)
class Outcome:
    """What came of a task."""

    value: Any = None
    error: BaseException | None = field(default=None)

    @classmethod
    def of(cls, function: Callable[..., Any], args: Iterable[Any], kwargs: Mapping[str, Any]) -> "Outcome":
        """Do a task in this process; what it raises is told with where that was."""
        try:
            return cls(function(*args, **kwargs))
        except Exception as error:
            # What led to an exception does not come through the pipe with it.
            if (said := outside(error)) is not None:
                return cls(error=OutsideError(said))
            error.add_note("In a worker:\n" + "".join(traceback.format_exception(error)))
            return cls(error=error)

    def get(self) -> Any:
        """The value; what the task raised is raised here as well."""
        if self.error is not None:
            raise self.error
        return self.value


def can_fork() -> bool:
    """Whether what this process has done so far can be shared: the state of a graphics card cannot."""
    torch = sys.modules.get("torch")
    return torch is None or not torch.cuda.is_initialized()


@contextmanager
def forked(workers: int) -> Iterator[list[Copy]]:
    """Copies of this process that wait for tasks, and end with the block."""
    from multiprocessing import get_context

    # What still waits to be written would be written by each copy.
    sys.stdout.flush()
    sys.stderr.flush()
    fork = get_context("fork")
    copies = []
    try:
        for _ in range(workers):
            ours, theirs = fork.Pipe()
            process = fork.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            copies.append(Copy(process, ours))
        yield copies
    finally:
        for copy in copies:
            copy.process.kill()
        for copy in copies:
            copy.process.join()
            copy.pipe.close()


def in_order(copies: list[Copy], tasks: Iterable[Any]) -> Iterator[Any]:
    """Results in the order of the tasks; a copy that is done takes the next one at once.

    Raises
    ------
    WorkersError
        A copy was ended from outside. What a task raises is raised here as well.
    """
    from multiprocessing.connection import wait

    waiting = iter(enumerate(tasks))
    order: deque[int] = deque()
    done: dict[int, Outcome] = {}
    while True:
        for copy in copies:
            if copy.at is None and (task := next(waiting, None)) is not None:
                copy.at = task[0]
                order.append(copy.at)
                _send(copy, task[1], len(copies))
        if not order:
            return
        if (found := done.pop(order[0], None)) is not None:
            order.popleft()
            yield found.get()
            continue
        ready = wait([copy.pipe for copy in copies if copy.at is not None])
        for copy in copies:
            if copy.at is not None and copy.pipe in ready:
                done[copy.at], copy.at = _received(copy, len(copies)), None


def _send(copy: Copy, task: Any, workers: int) -> None:
    import cloudpickle

    try:
        # Tasks hold functions made in functions, which pickle refuses.
        copy.pipe.send_bytes(cloudpickle.dumps(task))
    except BrokenPipeError:
        raise _ended(workers) from None


def _received(copy: Copy, workers: int) -> Outcome:
    import pickle

    try:
        found: Outcome = pickle.loads(copy.pipe.recv_bytes())
        return found
    except (EOFError, ConnectionResetError):
        raise _ended(workers) from None


def _ended(workers: int) -> WorkersError:
    return WorkersError(
        f"one of {workers} workers was ended from outside, most often for want of memory. Trials that were finished "
        "are kept. Free memory, or set RELAPSE_WORKERS to fewer, and run the same again."
    )


def stay_in_one_thread() -> None:
    """For good, what a worker does: the sums come out the same everywhere."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _serve(pipe: "Connection[Any, Any]") -> None:
    """What a copy does: one task after the other, in one thread, and not for longer than its parent lives."""
    import ctypes
    import pickle
    import signal

    import cloudpickle

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    stay_in_one_thread()
    while True:
        function, args, kwargs = pickle.loads(pipe.recv_bytes())
        pipe.send_bytes(cloudpickle.dumps(Outcome.of(function, args, kwargs)))
