"""One connection to a cluster: data sent once to each worker, tasks to whichever is free, results in their order."""

import io
import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from relapse.cluster.likeness import Terms, facts, marked
from relapse.cluster.on_worker import PREFIX, Kept, Parcel, answer
from relapse.cluster.reaching import lost, reached, refuse_unlike
from relapse.cluster.turns import passed_on
from relapse.ground.copies import Outcome
from relapse.ground.errors import WorkersError

if TYPE_CHECKING:
    from distributed import Client, Future

#: How often data are offered again where a worker ends while it takes them.
_OFFERS = 5


class Session:
    """A connected client, what it sent, and the terms that its workers keep."""

    def __init__(self, client: "Client", address: str) -> None:
        self.client, self.address = client, address
        self._facts = tuple(facts().items())
        # By identity. What was sent is held, so that no other object comes to have its identity.
        self._sent: dict[int, tuple[Any, str]] = {}
        self._seen: dict[Path, tuple[str, str]] = {}
        self._open: set[Future[Parcel]] = set()
        self._lost = False

    def results(
        self, tasks: Iterable[Any], *, common: Iterable[Any] = (), folders: Iterable[Path] = (), ahead: bool = True
    ) -> Iterator[Any]:
        """Results of ``tasks`` (from :func:`joblib.delayed`) in their order, as they come.

        Parameters
        ----------
        common
            Objects that many tasks take, wherever they stand in them: sent to each worker once.
        folders
            What tasks read from and write to: every worker has to see them.
        ahead
            Whether all tasks are taken at once; else as many as the cluster has threads.

        Raises
        ------
        WorkersError
            The scheduler was lost, or one task has ended several workers. What a task raises is raised here as well.
        DeclarationError
            A worker does not see a folder.
        """
        terms = self._terms(folders)
        for item in common:
            self._send(item)
        waiting = iter(tasks)
        order: deque[Future[Parcel]] = deque()
        try:
            while True:
                while self._room(order, ahead) and (task := next(waiting, None)) is not None:
                    order.append(self._submit(task, terms))
                if not order:
                    return
                if order[0].done():
                    yield self._received(order.popleft())
                    continue
                self._wait(order, ahead)
        finally:
            self._drop(order)

    def require(self, folders: Iterable[Path]) -> None:
        """See that every worker sees ``folders``.

        Raises
        ------
        DeclarationError
            Naming the workers that do not.
        """
        self._terms(folders)

    def stop(self) -> None:
        """End everything that waits for results."""
        self._drop(list(self._open))

    def leave(self) -> None:
        """Have scheduler and workers forget what was sent."""
        for _, name in self._sent.values():
            # A worker that ends meanwhile has forgotten it, too.
            with suppress(OSError, ValueError):
                if self._connected:
                    self.client.unregister_worker_plugin(name)
        self._sent.clear()

    @property
    def _connected(self) -> bool:
        """Whether the scheduler is there that data were sent to: another in its place knows nothing of them."""
        return not self._lost and self.client.status == "running"

    def _gone(self) -> WorkersError:
        self._lost = True
        return lost(self.address)

    def _terms(self, folders: Iterable[Path]) -> Terms:
        wanted = dict.fromkeys(folders)
        if new := [folder for folder in wanted if folder not in self._seen]:
            found = {folder: marked(folder) for folder in new}
            refuse_unlike(self.client, Terms(self._facts, tuple(found.values())))
            self._seen |= found
        return Terms(self._facts, tuple(self._seen[folder] for folder in wanted))

    def _send(self, item: Any) -> None:
        if id(item) in self._sent:
            return
        import cloudpickle

        name = f"{PREFIX}-{self.client.id}-{len(self._sent)}"
        kept = Kept(name, Parcel(cloudpickle.dumps(item)))
        for left in reversed(range(_OFFERS)):
            try:
                self.client.register_plugin(kept)
                break
            except OSError:
                # A worker ended meanwhile.
                if not left or not self._connected:
                    raise self._gone() from None
        self._sent[id(item)] = item, name

    def _submit(self, task: Any, terms: Terms) -> "Future[Parcel]":
        import cloudpickle

        if not self._connected:
            raise self._gone()
        sent = self._sent

        class Packer(cloudpickle.Pickler):
            def persistent_id(self, obj: Any) -> str | None:
                found = sent.get(id(obj))
                return found[1] if found else None

        content = io.BytesIO()
        Packer(content).dump(task)
        # All of one group: Dask keeps such tasks back, and gives one to whichever worker is free.
        future = self.client.submit(answer, Parcel(content.getvalue()), terms, key=("relapse", uuid4().hex), pure=False)
        self._open.add(future)
        return future

    def _room(self, order: "deque[Future[Parcel]]", ahead: bool) -> bool:
        if ahead:
            return True
        threads = sum(self.client.nthreads().values())
        return sum(not future.done() for future in order) < max(threads, 1)

    def _wait(self, order: "deque[Future[Parcel]]", ahead: bool) -> None:
        """Until the first is done; where there may be room then, until any is."""
        from distributed import wait

        undone = [future for future in order if not future.done()]
        with passed_on(), self.client.as_current(), suppress(CancelledError):
            wait(undone[:1] if ahead else undone, return_when="FIRST_COMPLETED")

    def _received(self, future: "Future[Parcel]") -> Any:
        from distributed.scheduler import KilledWorker

        self._open.discard(future)
        try:
            with passed_on():
                parcel = future.result()
        except KilledWorker:
            raise WorkersError(
                "one task has ended every worker that took it, most often for want of memory. Trials that were "
                "finished are kept. Give workers more memory (fewer on a machine), and run the same again."
            ) from None
        except (CancelledError, OSError):
            raise self._gone() from None
        except Exception as error:
            # Of our own code nothing fails there: what a task raises is its outcome.
            raise WorkersError(
                f"a worker could not take its task ({type(error).__name__}: {error}). Is relapse installed there, at "
                "the commit of this process? `relapse cluster check` says what differs."
            ) from None
        outcome: Outcome = pickle.loads(parcel.content)
        return outcome.get()

    def _drop(self, futures: "Iterable[Future[Parcel]]") -> None:
        left = list(futures)
        self._open.difference_update(left)
        if left and self._connected:
            self.client.cancel(left, force=True)


#: The session that is open, for all that is shared out meanwhile.
_CURRENT: list[Session] = []


@contextmanager
def session() -> Iterator[Session]:
    """The session that is open; where there is none, one for as long as the block lasts.

    Raises
    ------
    DeclarationError
        No scheduler answers, it has no workers, or one of them is not like this process.
    """
    if _CURRENT:
        yield _CURRENT[-1]
        return
    with reached() as (client, address):
        opened = Session(client, address)
        _CURRENT.append(opened)
        try:
            yield opened
        finally:
            _CURRENT.remove(opened)
            opened.leave()
