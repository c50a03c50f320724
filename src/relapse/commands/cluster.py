"""The commands ``relapse cluster …``: scheduler and workers are started safely, looked at, and given the training."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from relapse.cluster.addresses import host_of, own
from relapse.ground.console import print_table, say
from relapse.ground.errors import DeclarationError, ServingError

if TYPE_CHECKING:
    from relapse.training.outputs import Inputs

cluster = typer.Typer(help="A cluster of Dask's: start it, look at it, train on it.", no_args_is_help=True)

#: Dask's own settings. Tasks wait at the scheduler, and not behind a long one at a worker; what a worker holds is not
#: written to its disk; and no page or interface is served on the ports that Dask opens whatever it is told.
_SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
}
_NO_PAGES = {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "[]"}
_OWN = "127.0.0.1:0"

_INSECURE = "Listen to other machines without TLS: where whoever reaches this one may run code on it."


@dataclass(frozen=True, slots=True)
class _Pair:
    """One candidate on one cohort."""

    cohort: str
    candidate: str

    @property
    def stage(self) -> str:
        """Its stage, as DVC calls it."""
        return f"train@{self.cohort}-{self.candidate}"


@cluster.command()
def scheduler(
    host: Annotated[str, typer.Option(help="Address to listen on; one that others reach needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8786,
    dashboard: Annotated[str, typer.Option(help="HOST:PORT of Dask's dashboard; without it there is none.")] = "",
    insecure: Annotated[bool, typer.Option("--insecure", help=_INSECURE)] = False,
) -> None:
    """Start a scheduler, with TLS where Dask knows certificates (docs/cluster.md). It runs until it is stopped."""
    tls = _knows_certificates("scheduler")
    if not tls and not own(host) and not insecure:
        raise _open_to_all(f"--host {host}", "a scheduler")
    words = ["--host", host, "--port", str(port), "--protocol", "tls" if tls else "tcp"]
    pages = ["--dashboard", "--dashboard-address", dashboard] if dashboard else _without_pages()
    _become("dask_scheduler", [*words, *pages], {} if dashboard else _NO_PAGES)


@cluster.command()
def worker(
    address: Annotated[str, typer.Argument(help="The scheduler's address, tcp://host:8786 or tls://host:8786.")],
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes, of one thread each; by default RELAPSE_WORKERS."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address by which others reach this machine.")] = "",
    memory: Annotated[str, typer.Option(help="Of each process; one that takes more is restarted.")] = "auto",
    insecure: Annotated[bool, typer.Option("--insecure", help=_INSECURE)] = False,
) -> None:
    """Start workers on this machine. They run until they are stopped, are replaced if they die, and end with it.

    Without RELAPSE_WORKERS there is one for each core.
    """
    from relapse.ground.environment import WORKERS

    tls = _knows_certificates("worker")
    if address.startswith("tls://") and not tls:
        raise ServingError(f"{address}: Dask knows no certificate for workers of this machine (docs/cluster.md).")
    if not address.startswith("tls://") and not own(host_of(address)) and not insecure:
        raise _open_to_all(address, "a worker")
    if not host and own(host_of(address)):
        host = "127.0.0.1"
    count = processes or WORKERS.get() or os.cpu_count() or 1
    words = [address, "--nthreads", "1", "--nworkers", str(count), "--memory-limit", memory, "--death-timeout", "60"]
    _become("dask_worker", [*words, *(["--host", host] if host else []), *_without_pages()], {})


@cluster.command()
def check() -> None:
    """Say whether the scheduler of RELAPSE_SCHEDULER answers, and whether each worker is like this machine.

    Exit status 2, with what differs, where one is not: another Python, package or commit, or no sight of the folder in
    which finished trials are kept.
    """
    from relapse.machinery import machinery

    _require_dask()
    from relapse.cluster.session import session

    with session() as opened:
        opened.require(machinery().kept_in)
        rows = [[address, str(threads)] for address, threads in sorted(opened.client.nthreads().items())]
        print_table(f"Workers of {opened.address}, all like this machine", ["worker", "threads"], rows)


@cluster.command()
def train(
    cohort: Annotated[list[str] | None, typer.Option(help="A cohort of params.yaml; again for further ones.")] = None,
    candidate: Annotated[list[str] | None, typer.Option(help="A candidate; again for further ones.")] = None,
) -> None:
    """Train on the cluster what has to be trained of params.yaml: cohorts, candidates and folds all at once.

    First DVC brings the stages before up to date, here. What is trained is committed to DVC as its own stage would be,
    so that `dvc repro` goes on with the stages that follow. Needs RELAPSE_BACKEND=dask and RELAPSE_SCHEDULER.
    """
    from relapse.commands.stages import chosen, commit, reproduce, stale
    from relapse.machinery import machinery
    from relapse.params import read_params

    machine, params = machinery(), read_params()
    if machine.backend != "dask":
        raise DeclarationError(
            f"RELAPSE_BACKEND is {machine.backend}: this command needs dask, and RELAPSE_SCHEDULER with the address of "
            "the scheduler. On one machine `dvc repro` trains with all its cores."
        )
    cohorts, candidates = chosen("cohort", cohort, params.cohorts), chosen("candidate", candidate, params.trained)
    from relapse.bundle.model_file import dump_model
    from relapse.cluster.session import session
    from relapse.cluster.turns import at_once
    from relapse.ground.workspace import Workspace
    from relapse.training.outputs import Inputs, train_into

    def work(pair: _Pair, inputs: "Inputs") -> tuple[_Pair, str | None]:
        return pair, train_into(inputs, pair.candidate, params=params, machinery=machine, dump=dump_model)

    with session() as opened:
        opened.require(machine.kept_in)
        reproduce("library", *(f"split@{name}" for name in cohorts))
        pairs = [_Pair(one, other) for one in cohorts for other in candidates]
        wanted = stale(pair.stage for pair in pairs)
        read = {name: Inputs(Workspace(name)) for name in cohorts}
        works = [partial(work, pair, read[pair.cohort]) for pair in pairs if pair.stage in wanted]
        say(f"{len(works)} of {len(pairs)} candidates are to be trained, by {len(opened.client.nthreads())} workers")
        for pair, said in at_once(works, opened.stop):
            commit(pair.stage)
            if said:
                say(said)
    say("`dvc repro` goes on with what follows")


def _open_to_all(where: str, what: str) -> ServingError:
    return ServingError(
        f"{where}: whoever reaches {what} without TLS can run code on its machine and read what is sent. Give Dask "
        "certificates and use tls:// (docs/cluster.md), or, where every machine of the network is trusted, --insecure."
    )


def _require_dask() -> None:
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise DeclarationError("Dask is not installed here. Install it: pip install 'relapse[cluster]'")


def _knows_certificates(role: str) -> bool:
    _require_dask()
    import dask
    import distributed  # noqa: F401 - its settings are known once it is loaded

    return bool(dask.config.get(f"distributed.comm.tls.{role}.cert"))


def _without_pages() -> list[str]:
    return ["--no-dashboard", "--dashboard-address", _OWN]


def _become(module: str, words: list[str], settings: Mapping[str, str]) -> NoReturn:
    """Dask's own command in the place of this process, with our settings where nobody made others."""
    program = [sys.executable, "-P", "-m", f"distributed.cli.{module}", *words]
    os.execve(sys.executable, program, {**_SETTINGS, **settings, **os.environ})
