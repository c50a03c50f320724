"""What is told about requests: one log line and three metrics each, in words that no client chooses.

BentoML's own access log and metrics take the path as it was sent, and a path can hold anything. Here a path or method
that the service does not know is ``other``.
"""

import logging
import os
import time
from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH")
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
#: Asked every few seconds by the machinery around the service.
_UNLOGGED = ("/livez", "/readyz", "/healthz", "/metrics")

_log = logging.getLogger("bentoml.access")


class Traffic:
    """ASGI middleware that logs and counts.

    Parameters
    ----------
    app
        The application behind it.
    paths
        Every path that the service knows.
    """

    def __init__(self, app: "ASGIApp", paths: Collection[str]) -> None:
        self.app = app
        self.paths = frozenset(paths)
        self._requests, self._seconds, self._running = _metrics()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, and tell of it once it is answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500
        path = scope["path"] if scope["path"] in self.paths else "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def noted(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._running.inc()
        try:
            await self.app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - start
            self._running.dec()
            self._requests.labels(path, method, status).inc()
            self._seconds.labels(path).observe(seconds)
            if path not in _UNLOGGED:
                _log.info("%s %s %d %.1f ms", method, path, status, seconds * 1000)


def exposition() -> bytes:
    """The metrics of all workers, as Prometheus reads them."""
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)


def kept(whether: str, answers: int) -> None:
    """Count answers that were kept for monitoring (``yes``), or could not be (``no``)."""
    _kept().labels(whether).inc(answers)


@cache
def _kept() -> "Counter":
    from prometheus_client import Counter

    return Counter("relapse_monitored_total", "Answers kept for monitoring, and those that could not be", ["kept"])


@cache
def _metrics() -> "tuple[Counter, Histogram, Gauge]":
    """A process has one registry, so they are made once; BentoML names the folder in which workers share them."""
    from prometheus_client import Counter, Gauge, Histogram

    return (
        Counter("relapse_requests_total", "Requests answered", ["path", "method", "status"]),
        Histogram("relapse_request_seconds", "Seconds to answer", ["path"], buckets=_BUCKETS),
        Gauge("relapse_requests_running", "Requests being answered", multiprocess_mode="livesum"),
    )
