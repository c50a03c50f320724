"""How the service is guarded, as the environment says; nothing here may change a prediction."""

from dataclasses import dataclass
from pathlib import Path

from relapse.ground.environment import AUDIT_KEY, AUDIT_LOG, HOSTS, MONITOR, MONITOR_KEY, TIMEOUT, TOKEN
from relapse.ground.errors import ServingError


@dataclass(frozen=True, slots=True)
class Serving:
    """How the service is guarded; nothing here may change a prediction."""

    token: str | None
    audit_log: Path | None
    audit_key: bytes | None
    seconds: float
    hosts: frozenset[str] = frozenset()
    monitor: Path | None = None
    monitor_key: bytes | None = None


def serving() -> Serving:
    """The settings of the service, as :mod:`relapse.ground.environment` reads them.

    Raises
    ------
    ServingError
        One holds what is not allowed, or lacks its other half.
    """
    log, key = AUDIT_LOG.get(), AUDIT_KEY.get()
    if (log is None) != (key is None):
        raise ServingError("RELAPSE_AUDIT_LOG and RELAPSE_AUDIT_KEY belong together: set both, or none.")
    store, store_key = MONITOR.get(), MONITOR_KEY.get()
    if (store is None) != (store_key is None):
        raise ServingError("RELAPSE_MONITOR and RELAPSE_MONITOR_KEY belong together: set both, or none.")
    return Serving(
        token=TOKEN.get(),
        audit_log=log,
        audit_key=key.encode() if key else None,
        seconds=TIMEOUT.get() or 10.0,
        hosts=HOSTS.get() or frozenset(),
        monitor=store,
        monitor_key=store_key.encode() if store_key else None,
    )
