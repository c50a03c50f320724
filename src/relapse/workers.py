"""Work shared out to processes: the same results, in the same order, for any number of them."""

import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from relapse.console import progress
from relapse.settings import Machinery


def shared_out(
    tasks: Iterable[Any], machinery: Machinery, *, total: int, label: str, ahead: str | int = "2*n_jobs"
) -> Iterator[Any]:
    """Results of ``tasks`` (from :func:`joblib.delayed`) in their order, as they come, with their progress shown.

    Parameters
    ----------
    total
        How many tasks there are, or at most will be.
    label
        What the progress is called.
    ahead
        How many tasks are taken before they are needed, as joblib's ``pre_dispatch``.
    """
    from joblib import Parallel, parallel_config

    # loky takes the libraries that a worker loads for leaking memory, and puts another in its place. It says so in a
    # thread of its own, which dies of the warning where warnings are errors; the results would be waited for for ever.
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor")
    with parallel_config(backend=machinery.backend, n_jobs=machinery.workers):
        yield from progress(Parallel(return_as="generator", pre_dispatch=ahead)(tasks), total=total, label=label)
