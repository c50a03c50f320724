"""Work shared out to processes: the same results, in the same order, for any number of them."""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from relapse.ground.console import progress
from relapse.ground.copies import can_fork, forked, in_order
from relapse.machinery import Machinery


def shared_out(
    tasks: Iterable[Any],
    machinery: Machinery,
    *,
    total: int,
    label: str,
    ahead: str | int = "2*n_jobs",
    loads: Iterable[str] = (),
    common: Iterable[Any] = (),
    folders: Iterable[Path] = (),
    here: bool = False,
) -> Iterator[Any]:
    """Results of ``tasks`` (from :func:`joblib.delayed`) in their order, as they come, with their progress shown.

    Parameters
    ----------
    total
        How many tasks there are, or at most will be.
    label
        What the progress is called.
    ahead
        How many tasks are taken before they are needed, as joblib's ``pre_dispatch``; a forked worker takes one, a
        cluster one a thread where this is ``n_jobs`` and else all.
    loads
        Modules that tasks import: loaded here, so that copies of this process have them.
    common
        Objects that many tasks take, such as the table: sent to each worker of a cluster once.
    folders
        Whose files tasks read or write: every worker of a cluster has to see them.
    here
        Tasks read files that this machine alone may have: no cluster takes them.

    Raises
    ------
    WorkersError
        A worker was killed, or the cluster's scheduler was lost.
    DeclarationError
        A cluster is set that does not answer, or is not like this machine.
    """
    # Not by copies of this process: what a client of a cluster does in threads of its own does not bear them.
    backend = "loky" if here and machinery.backend == "dask" else machinery.backend
    if backend == "dask":
        from relapse.cluster.session import session
        from relapse.cluster.turns import together

        with session() as cluster:
            results = cluster.results(tasks, common=common, folders=folders, ahead=ahead != "n_jobs")
            yield from progress(results, total=total, label=label, bar=not together())
        return
    workers = min(machinery.workers, max(total, 1))
    if backend == "fork" and workers > 1 and can_fork():
        for name in loads:
            import_module(name)
        with forked(workers) as copies:
            yield from progress(in_order(copies, tasks), total=total, label=label)
        return
    from joblib import Parallel, parallel_config

    backend = "loky" if backend == "fork" else backend
    # loky takes the libraries that a worker loads for leaking memory, and puts another in its place. It says so in a
    # thread of its own, which dies of the warning where warnings are errors; the results would be waited for for ever.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    with parallel_config(backend=backend, n_jobs=workers):
        yield from progress(Parallel(return_as="generator", pre_dispatch=ahead)(tasks), total=total, label=label)


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
