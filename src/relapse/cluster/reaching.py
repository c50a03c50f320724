"""A scheduler is reached and its workers are looked at before any work; each fault is one message."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from relapse.cluster.addresses import host_of, own
from relapse.cluster.likeness import WHERE, Terms, differences, facts, processor
from relapse.cluster.on_worker import PREFIX
from relapse.ground.console import say
from relapse.ground.environment import SCHEDULER
from relapse.ground.errors import DeclarationError, WorkersError

if TYPE_CHECKING:
    from distributed import Client

#: Seconds to wait for a scheduler, and then for its first worker.
PATIENCE = 30

#: What has to be of one version before anything can be sent at all.
_FIRST = ("python", "dask", "distributed", "cloudpickle", "msgpack")

#: Most workers that are named in one message.
_NAMED = 3


@contextmanager
def reached() -> "Iterator[tuple[Client, str]]":
    """A client of the scheduler that ``RELAPSE_SCHEDULER`` names, whose workers are like this process.

    Raises
    ------
    DeclarationError
        No scheduler answers, it has no workers, or one of them is not like this process.
    """
    address = SCHEDULER.get()
    if not address:
        raise DeclarationError(
            "RELAPSE_SCHEDULER is not set. Set it to the address of the cluster's scheduler, such as tcp://host:8786."
        )
    client = _connected(address)
    try:
        _say_if_open(address)
        _versions(client)
        refuse_unlike(client, Terms(tuple(facts().items())))
        _say_processors(client)
        _sweep(client)
        yield client, address
    finally:
        # A scheduler that was lost is not waited for.
        with suppress(TimeoutError):
            client.close(timeout=10 if client.status == "running" else 1)


def lost(address: str) -> WorkersError:
    """The error of a connection that broke while work was done."""
    return WorkersError(
        f"the scheduler at {address} was lost. Trials that were finished are kept: start scheduler and workers again "
        "(docs/cluster.md), and run the same again; it goes on from them."
    )


def refuse_unlike(client: "Client", terms: Terms) -> None:
    """See that every worker keeps the terms.

    Raises
    ------
    DeclarationError
        Naming the workers that do not, and in what.
    """
    faults = {}
    for worker, said in _asked(client, terms).items():
        if isinstance(said, Mapping):
            wrong = [*differences(terms, said["facts"]), *said["unseen"]]
        else:
            wrong = [f"it has no relapse of this version ({type(said).__name__}: {said})"]
        if wrong:
            faults[worker] = "; ".join(wrong)
    if not faults:
        return
    what = "".join(f"\n  {worker}: {wrong}" for worker, wrong in list(faults.items())[:_NAMED])
    more = f"\n  and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
    raise DeclarationError(
        f"{len(faults)} of the cluster's workers are not like this process, so that results would differ:{what}{more}\n"
        + _remedy(terms, faults)
    )


def _remedy(terms: Terms, faults: Mapping[str, str]) -> str:
    text = " ".join(faults.values())
    remedies = []
    if "does not see the folder" in text:
        remedies.append(
            "Share that folder with every worker under the same path; trials can also be kept in a database "
            "(RELAPSE_OPTUNA_STORAGE=postgresql+psycopg://…)."
        )
    if WHERE in text:
        remedies.append("Hide GPUs that not every machine has: CUDA_VISIBLE_DEVICES= (empty) before the command.")
    if any(name in text for name, _ in terms.facts if name != WHERE) or not remedies:
        remedies.append("Install the same commit there with constraints.txt (make setup), and start the worker again.")
    return " ".join(remedies)


def _connected(address: str) -> "Client":
    import dask
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    # A model is as large as it is.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})
    # What goes wrong is said by us, once.
    warnings.filterwarnings("ignore", category=VersionMismatchWarning)
    for name in ("distributed.client", "distributed.comm", "distributed.core", "distributed.utils", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False, name="relapse")
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        hint = " With tls:// Dask has to know certificates (docs/cluster.md)." if address.startswith("tls") else ""
        raise DeclarationError(
            f"no scheduler answers at RELAPSE_SCHEDULER={address} ({type(error).__name__}).{hint} Start one (relapse "
            "cluster scheduler) and its workers, or work here: RELAPSE_BACKEND=loky."
        ) from None
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        client.close()
        raise DeclarationError(
            f"the scheduler at {address} has no workers. Start some (relapse cluster worker {address})."
        ) from None
    return client


def _say_if_open(address: str) -> None:
    if not address.startswith("tls://") and not own(host_of(address)):
        say(
            f"{address}: what is sent, patients' rows among it, is not encrypted, and whoever reaches the scheduler "
            "can run code on its workers. tls:// mends both (docs/cluster.md)."
        )


def _versions(client: "Client") -> None:
    """Of what is needed to ask any further, told as :func:`refuse_unlike` tells the rest."""
    found: Any = client.get_versions()
    sides = {"the scheduler": found["scheduler"], **found["workers"]}
    mine = _flat(found["client"])
    for side, said in sides.items():
        theirs = _flat(said)
        wrong = [f"{name} is {theirs.get(name)}, not {mine[name]}" for name in _FIRST if theirs.get(name) != mine[name]]
        if wrong:
            raise DeclarationError(
                f"{side} of the cluster is not like this process: {'; '.join(wrong)}. Install the same commit there "
                "with constraints.txt (make setup), and start it again."
            )


def _flat(said: Mapping[str, Any]) -> dict[str, str]:
    packages = {**said["host"], **said["packages"]}
    found = {name: str(packages.get(name)) for name in _FIRST}
    # 3.11.7.final.0
    return found | {"python": ".".join(found["python"].split(".")[:2])}


def _asked(client: "Client", terms: Terms) -> dict[str, Any]:
    """What each worker says of itself: facts and folders it does not see, or the error that came instead."""
    return dict(client.run(_question(), terms.folders, on_error="return"))


def _question() -> "Callable[[tuple[tuple[str, str], ...]], dict[str, Any]]":
    """What workers are asked: a function that travels as code, since one may have no relapse, or an older one."""

    def ask(folders: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        from importlib import import_module

        likeness = import_module("relapse.cluster.likeness")
        return {
            "facts": dict(likeness.facts()),
            "unseen": likeness.unseen(likeness.Terms((), folders)),
            "processor": likeness.processor(),
        }

    return ask


def _say_processors(client: "Client") -> None:
    """Sums may differ in their last digits between kinds of processor: to be known, and not to be forbidden."""
    kinds = {said["processor"] for said in _asked(client, Terms(())).values() if isinstance(said, Mapping)}
    others = sorted(kinds - {processor()})
    if others:
        say(
            f"workers have other processors ({'; '.join(others)}) than this machine ({processor()}): the last digits "
            "of predictions may hang on which worker made them (docs/cluster.md)"
        )


def _sweep(client: "Client") -> None:
    """Have scheduler and workers forget what clients sent that were killed."""

    def left(dask_scheduler: Any = None) -> list[str]:
        prefix, clients = "relapse-data-", list(dask_scheduler.clients)
        names = [name for name in dask_scheduler.worker_plugins if str(name).startswith(prefix)]
        return [name for name in names if not any(name.startswith(prefix + client) for client in clients)]

    assert PREFIX == "relapse-data"
    for name in client.run_on_scheduler(left):
        # Another client may be at the same.
        with suppress(OSError, ValueError):
            client.unregister_worker_plugin(name)
