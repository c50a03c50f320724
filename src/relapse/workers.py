"""Work shared out to processes: the same results, in the same order, for any number of them."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from relapse.ground.console import progress
from relapse.ground.copies import can_fork, forked, in_order
from relapse.ground.environment import SCHEDULER
from relapse.ground.errors import DeclarationError
from relapse.machinery import Machinery


def shared_out(
    tasks: Iterable[Any],
    machinery: Machinery,
    *,
    total: int,
    label: str,
    ahead: str | int = "2*n_jobs",
    loads: Iterable[str] = (),
) -> Iterator[Any]:
    """Results of ``tasks`` (from :func:`joblib.delayed`) in their order, as they come, with their progress shown.

    Parameters
    ----------
    total
        How many tasks there are, or at most will be.
    label
        What the progress is called.
    ahead
        How many tasks are taken before they are needed, as joblib's ``pre_dispatch``; a forked worker takes one.
    loads
        Modules that tasks import: loaded here, so that copies of this process have them.

    Raises
    ------
    WorkersError
        A worker was killed.
    DeclarationError
        A cluster is set that does not answer.
    """
    workers = min(machinery.workers, max(total, 1))
    if machinery.backend == "fork" and workers > 1 and can_fork():
        for name in loads:
            import_module(name)
        with forked(workers) as copies:
            yield from progress(in_order(copies, tasks), total=total, label=label)
        return
    from joblib import Parallel, parallel_config

    backend = "loky" if machinery.backend == "fork" else machinery.backend
    # loky takes the libraries that a worker loads for leaking memory, and puts another in its place. It says so in a
    # thread of its own, which dies of the warning where warnings are errors; the results would be waited for for ever.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    with _cluster(backend), parallel_config(backend=backend, n_jobs=workers):
        yield from progress(Parallel(return_as="generator", pre_dispatch=ahead)(tasks), total=total, label=label)


@contextmanager
def _cluster(backend: str) -> Iterator[None]:
    """Joblib finds a cluster by the client that is open when its backend is chosen."""
    if backend != "dask":
        yield
        return
    from distributed import Client

    address = SCHEDULER.get()
    try:
        client = Client(address, timeout=30, set_as_default=True)
    except (OSError, ValueError) as error:
        raise DeclarationError(
            f"RELAPSE_BACKEND=dask: no scheduler answers at RELAPSE_SCHEDULER={address} ({type(error).__name__}). "
            "Start one (dask scheduler) with workers, or use loky."
        ) from None
    with client:
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch in one thread: sums come out the same everywhere, and workers side by side do not fight for cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
