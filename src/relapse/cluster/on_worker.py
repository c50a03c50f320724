"""What happens on a worker: a parcel is opened, its task done in one thread, and the outcome sent back.

Tasks, data and outcomes travel as bytes that Dask does not look into. It logs what it can show of a task that failed,
and data of patients must not stand there: to Dask no task of ours ever fails, its outcome says what it raised.
"""

import io
import pickle
from dataclasses import dataclass
from typing import Any

from distributed.diagnostics.plugin import WorkerPlugin

from relapse.cluster.likeness import Terms, unlike
from relapse.ground.copies import Outcome, stay_in_one_thread
from relapse.ground.errors import WorkersError

#: Begins the names under which data lie on scheduler and workers; the client's name follows.
PREFIX = "relapse-data"

#: Data that many tasks take, by name: as they came, and opened by the first task that takes them.
_KEPT: dict[str, bytes] = {}
_OPENED: dict[str, Any] = {}

#: Terms that this process was found to keep.
_AGREED: set[Terms] = set()


@dataclass(frozen=True, slots=True, repr=False)
class Parcel:
    """Bytes of which nothing is shown anywhere."""

    content: bytes


class Kept(WorkerPlugin):
    """Data that many tasks take: to each worker once, also to one that comes later.

    Not a future of Dask's: those are lost with their last worker, dropped and sent again as Dask sees fit, and written
    to a worker's disk where memory is short.
    """

    idempotent = True

    def __init__(self, name: str, parcel: Parcel) -> None:
        self.name = name
        self._parcel = parcel

    def setup(self, worker: Any) -> None:
        """Lay the bytes down."""
        _KEPT[self.name] = self._parcel.content

    def teardown(self, worker: Any) -> None:
        """Forget them."""
        _KEPT.pop(self.name, None)
        _OPENED.pop(self.name, None)


class _Opener(pickle.Unpickler):
    """Puts data in where a task names them."""

    def persistent_load(self, pid: str) -> Any:
        if pid not in _OPENED:
            _OPENED[pid] = pickle.loads(_KEPT[pid])
        return _OPENED[pid]


def answer(parcel: Parcel, terms: Terms) -> Parcel:
    """Do the task in a parcel, if this worker keeps the terms."""
    import cloudpickle

    outcome = _outcome(parcel, terms)
    try:
        return Parcel(cloudpickle.dumps(outcome))
    except Exception as error:
        found = "result" if outcome.error is None else f"error, {type(outcome.error).__name__},"
        return Parcel(pickle.dumps(Outcome(error=WorkersError(f"a task's {found} cannot be sent: {error}"))))


def _outcome(parcel: Parcel, terms: Terms) -> Outcome:
    if terms not in _AGREED:
        if reason := unlike(terms):
            return Outcome(error=WorkersError(f"a worker that came later is not like this process: {reason}."))
        _AGREED.add(terms)
    stay_in_one_thread()
    try:
        function, args, kwargs = _Opener(io.BytesIO(parcel.content)).load()
    except Exception as error:
        return Outcome(error=WorkersError(f"a worker cannot open its task: {type(error).__name__}: {error}"))
    return Outcome.of(function, args, kwargs)
