"""Every environment variable of ours: one table, and the only code that reads and checks them.

Beside these, ``GITHUB_ACTOR``, ``BENTOML_HOME`` and ``PROMETHEUS_MULTIPROC_DIR`` of other programs are heeded where
they matter, and a declaration of a cohort may name variables for its folders.

What they say may change where and how work is done, and who may ask the service; never a result.
"""

import difflib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from relapse.ground.errors import DeclarationError, RelapseError, ServingError

Value = TypeVar("Value")

Group = Literal["work", "tracking", "service"]

#: Fewest characters of a token or key.
SECRET = 16


@dataclass(frozen=True, slots=True)
class Variable(Generic[Value]):
    """One environment variable.

    ``read`` turns its text into a value, and raises :class:`ValueError` with what is allowed. ``default`` says in words
    what holds where it is not set. What a ``secret`` one holds is never repeated.
    """

    name: str
    group: Group
    meaning: str
    default: str
    read: Callable[[str], Value]
    secret: bool = False

    def get(self) -> Value | None:
        """Its value; None where it is not set, or empty.

        Raises
        ------
        DeclarationError
            It holds what is not allowed; a :class:`ServingError` for a variable of the service.
        """
        text = os.environ.get(self.name)
        if not text:
            return None
        try:
            return self.read(text)
        except ValueError as error:
            found = self.name if self.secret else f"{self.name}={text}"
            kind: type[RelapseError] = ServingError if self.group == "service" else DeclarationError
            raise kind(f"{found}: {error}") from None


def _workers(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 4096:
        raise ValueError("expected a whole number from 1 to 4096.")
    return int(text)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"allowed are {', '.join(allowed[:-1])} and {allowed[-1]}.")
        return text

    return read


def _backend(text: str) -> str:
    _one_of("fork", "loky", "threading", "dask")(text)
    if text == "fork" and sys.platform != "linux":
        raise ValueError("copies of a running process are safe on Linux alone. Use loky.")
    if text == "dask" and find_spec("distributed") is None:
        raise ValueError("Dask is not installed here. Install it (pip install 'relapse[cluster]'), or use loky.")
    if text == "dask" and not SCHEDULER.get():
        raise ValueError("set RELAPSE_SCHEDULER to the address of its scheduler, such as tcp://host:8786.")
    return text


def _address(*schemes: str, folder: bool = False) -> Callable[[str], str]:
    def read(text: str) -> str:
        scheme, separator, _ = text.partition("://")
        # SQLAlchemy's addresses may name a driver: postgresql+psycopg://
        if scheme.split("+")[0] in schemes if separator else folder:
            return text
        known = ", ".join(f"{scheme}://…" for scheme in schemes)
        raise ValueError(f"expected an address ({known})" + (" or a folder." if folder else "."))

    return read


def _artifacts(text: str) -> str:
    if "://" not in text and not Path(text).is_absolute():
        raise ValueError("expected an address such as s3://bucket/folder, or an absolute folder.")
    return text


def _text(text: str) -> str:
    if not text.isprintable() or len(text) > 200:
        raise ValueError("expected at most 200 printable characters.")
    return text


def _secret(text: str) -> str:
    if not (len(text) >= SECRET and text.isascii() and text.isprintable()):
        raise ValueError(
            f"at least {SECRET} printable ASCII characters are needed. Make one with: openssl rand -hex 32"
        )
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise ValueError("expected seconds, more than 0 and at most 600.")
    return seconds


def _hosts(text: str) -> frozenset[str]:
    hosts = frozenset(name.strip().lower() for name in text.split(","))
    if not all(name and all(sign.isalnum() or sign in "-." for sign in name) and name.isascii() for name in hosts):
        raise ValueError("expected names of hosts without scheme and port, parted by commas: risk.hospital.example.")
    return hosts


WORKERS = Variable(
    "RELAPSE_WORKERS", "work", "parallel workers; the same results come out for any number", "every core", _workers
)
BACKEND = Variable(
    "RELAPSE_BACKEND",
    "work",
    "what shares the work out: `fork` (processes that begin as copies of the stage's, Linux), `loky` (processes that "
    "load everything anew), `threading`, or `dask` (a cluster: [cluster.md](cluster.md))",
    "`fork` on Linux, else `loky`",
    _backend,
)
SCHEDULER = Variable(
    "RELAPSE_SCHEDULER",
    "work",
    "scheduler of the cluster, such as `tcp://host:8786` or `tls://host:8786`; needed with `dask`",
    "no cluster",
    _address("tcp", "tls"),
)
OPTUNA_STORAGE = Variable(
    "RELAPSE_OPTUNA_STORAGE",
    "work",
    "where finished trials are kept, so that a run that was killed goes on from them: a folder, or the address of a "
    "database that several machines reach",
    "`.cache/optuna`",
    _address("postgresql", "mysql", "sqlite", folder=True),
)
TRACKING_URI = Variable(
    "MLFLOW_TRACKING_URI",
    "tracking",
    "MLflow's database or server",
    "`mlruns/mlflow.db`",
    _address("sqlite", "postgresql", "mysql", "http", "https"),
)
ARTIFACT_ROOT = Variable(
    "RELAPSE_ARTIFACT_ROOT",
    "tracking",
    "where MLflow keeps artifacts",
    "`mlruns/artifacts`; behind an http(s) address the server's choice",
    _artifacts,
)
PROMOTE = Variable(
    "RELAPSE_PROMOTE",
    "tracking",
    "`later` registers a challenger and writes the decision, and leaves carrying it out to `relapse registry promote`",
    "`now`; `later` in `dvc exp run`",
    _one_of("now", "later"),
)
ACTOR = Variable(
    "RELAPSE_ACTOR", "tracking", "who moves an alias, for the record", "`GITHUB_ACTOR`, else the login name", _text
)
DVC_REMOTE = Variable(
    "RELAPSE_DVC_REMOTE", "tracking", "DVC's remote for `make pull` and `make push`", "a folder of this clone", _text
)
BUNDLE = Variable(
    "RELAPSE_BUNDLE", "service", "the bundle that is served", "`bundle` beside `service.py`, as in a Bento", Path
)
TOKEN = Variable(
    "RELAPSE_TOKEN",
    "service",
    f"clients send `Authorization: Bearer <token>`; at least {SECRET} characters: `openssl rand -hex 32`",
    "none: the service then listens to its own machine alone",
    _secret,
    secret=True,
)
HOSTS = Variable(
    "RELAPSE_HOSTS",
    "service",
    "names under which the service is asked for, parted by commas, such as that of a proxy in front of it; requests "
    "under other names are refused",
    "without a token the names of this machine (`localhost`, `127.0.0.1`, `[::1]`), with one any name",
    _hosts,
)
AUDIT_LOG = Variable(
    "RELAPSE_AUDIT_LOG", "service", "file of the audit log; together with `RELAPSE_AUDIT_KEY`", "no audit log", Path
)
AUDIT_KEY = Variable(
    "RELAPSE_AUDIT_KEY",
    "service",
    f"key of the audit log's digests; at least {SECRET} characters",
    "no audit log",
    _secret,
    secret=True,
)
MONITOR = Variable(
    "RELAPSE_MONITOR",
    "service",
    "folder in which the service keeps what `relapse monitor` looks at; together with `RELAPSE_MONITOR_KEY`",
    "nothing is kept",
    Path,
)
MONITOR_KEY = Variable(
    "RELAPSE_MONITOR_KEY",
    "service",
    f"key of the pseudonyms in it; at least {SECRET} characters",
    "nothing is kept",
    _secret,
    secret=True,
)
TIMEOUT = Variable("RELAPSE_TIMEOUT", "service", "seconds that a request may take", "10", _seconds)

VARIABLES: tuple[Variable[Any], ...] = (
    WORKERS,
    BACKEND,
    SCHEDULER,
    OPTUNA_STORAGE,
    TRACKING_URI,
    ARTIFACT_ROOT,
    PROMOTE,
    ACTOR,
    DVC_REMOTE,
    BUNDLE,
    TOKEN,
    HOSTS,
    AUDIT_LOG,
    AUDIT_KEY,
    MONITOR,
    MONITOR_KEY,
    TIMEOUT,
)


def check_environment() -> None:
    """Check every variable that is set, before any work is done; also for names that look misspelt.

    Raises
    ------
    DeclarationError
        A variable holds what is not allowed, or its name is nearly that of one that is read.
    ServingError
        The same of a variable of the service.
    """
    for variable in VARIABLES:
        variable.get()
    known = [variable.name for variable in VARIABLES]
    # A declaration may name variables of its own for folders; only what is nearly one of ours is taken for a mistake.
    for name in sorted(os.environ):
        if name.startswith("RELAPSE_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.93)
            if near:
                raise DeclarationError(f"{name}: nothing reads this variable. Did you mean {near[0]}?")


def markdown_table(*groups: Group) -> str:
    """The variables of ``groups`` as the documentation shows them."""
    rows = [f"| `{item.name}` | {item.meaning} | {item.default} |" for item in VARIABLES if item.group in groups]
    return "\n".join(["| variable | | where it is not set |", "|---|---|---|", *rows]) + "\n"
