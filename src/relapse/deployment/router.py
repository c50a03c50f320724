"""The door in front of an old and a new service: passes requests on, asks the new one in the shadow, parts patients.

It refuses nothing and checks nothing: the services behind it do. What it writes down names no patient.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from relapse.deployment.choosing import Stage, belongs, identity
from relapse.deployment.tally import Tally
from relapse.ground.files import append_whole
from relapse.serving.example import risks_of
from relapse.serving.names import PATIENT_HEADER
from relapse.serving.problems import of_body

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

#: Paths whose answers are predictions, which are compared; and those that belong to one patient, who is parted.
PREDICTED = ("/predict", "/predict_batch")
PARTED = (*PREDICTED, "/explain")

#: Headers that are of one connection.
_HOPS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)

#: Requests that the new model is asked in the shadow at once; more are let go and counted.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Way:
    """Where requests go: to the old service, and to the new one as the stage says."""

    stage: Stage
    old: str
    new: str = ""
    share: float = 0.0

    @property
    def active(self) -> str:
        """The service that answers whatever belongs to no patient: pages, the model card, uploads."""
        return self.new if self.stage is Stage.ALL else self.old


@dataclass(slots=True)
class Router:
    """ASGI application; :attr:`way` may be changed at any time, for the requests that come after.

    ``key`` parts patients, ``compared`` is the file of pairs of answers, ``largest`` bytes a JSON body may have.
    """

    client: httpx.AsyncClient
    way: Way
    key: bytes
    compared: Path
    largest: int
    tally: Tally = field(default_factory=Tally)
    _shadows: "set[asyncio.Task[None]]" = field(default_factory=set)

    def turn(self, way: Way) -> None:
        """Send what comes from now on another way, counting anew."""
        self.way, self.tally = way, Tally()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            return
        way, tally = self.way, self.tally
        if way.stage is Stage.OLD or scope["method"] != "POST" or scope["path"] not in PARTED:
            await self._stream(way, tally, scope, _chunks(receive), send)
            return
        start, whole = await _read(receive, self.largest)
        if not whole:
            # The service itself says that it is too large.
            await self._stream(way, tally, scope, _after(start, receive), send)
        elif way.stage is Stage.SHADOW:
            await self._shadowed(way, tally, scope, start, send)
        elif way.stage is Stage.ALL or belongs(self.key, identity(start, _header(scope, PATIENT_HEADER)), way.share):
            await self._tried(way, tally, scope, start, send)
        else:
            await self._stream(way, tally, scope, _once(start), send)

    async def _stream(
        self, way: Way, tally: Tally, scope: "Scope", content: AsyncIterator[bytes], send: "Send"
    ) -> None:
        """Give out what the active service answers, as it comes, whatever its size."""
        try:
            response = await self.client.send(self._request(way.active, scope, content), stream=True)
        except httpx.TransportError as error:
            if way.stage is Stage.ALL:
                tally.fail(type(error).__name__)
            await _unavailable(send)
            return
        if way.stage is Stage.ALL and response.status_code >= 500:
            tally.fail(str(response.status_code))
        try:
            await _begin(response, send)
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _shadowed(self, way: Way, tally: Tally, scope: "Scope", body: bytes, send: "Send") -> None:
        """Give out the old one's answer, and ask the new one afterwards."""
        begun = time.perf_counter()
        try:
            old = await self.client.send(self._request(way.old, scope, _once(body)))
        except httpx.TransportError:
            await _unavailable(send)
            return
        took = (time.perf_counter() - begun) * 1000
        await _give(old, send)
        if scope["path"] not in PREDICTED or old.status_code != 200:
            return
        if len(self._shadows) >= _AT_ONCE:
            tally.skipped += 1
            return
        task = asyncio.create_task(self._compare(way, tally, scope, body, old, took))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _compare(
        self, way: Way, tally: Tally, scope: "Scope", body: bytes, old: httpx.Response, took: float
    ) -> None:
        begun = time.perf_counter()
        try:
            new = await self.client.send(self._request(way.new, scope, _once(body)))
        except httpx.TransportError as error:
            tally.fail(type(error).__name__)
            return
        spent = (time.perf_counter() - begun) * 1000
        if new.status_code != 200:
            tally.fail(str(new.status_code))
            return
        try:
            pairs = _pairs(old.json(), new.json())
        except (ValueError, LookupError, TypeError):
            tally.fail("another form of answer")
            return
        tally.answered(spent)
        tally.differences += [abs(one - other) for one, other in pairs]
        try:
            self._keep(str(scope["path"]), pairs, (took, spent))
        except OSError:
            # Both were answered, and patients wait for nothing here: what is lost is a pair to look at later.
            tally.skipped += 1

    async def _tried(self, way: Way, tally: Tally, scope: "Scope", body: bytes, send: "Send") -> None:
        """Give out the new one's answer; where it fails, the old one's."""
        begun, new = time.perf_counter(), None
        try:
            new = await self.client.send(self._request(way.new, scope, _once(body)))
            reason = str(new.status_code) if new.status_code >= 500 else ""
        except httpx.TransportError as error:
            reason = type(error).__name__
        if new is not None and not reason:
            tally.answered((time.perf_counter() - begun) * 1000)
            await _give(new, send)
            return
        tally.fail(reason)
        try:
            await _give(await self.client.send(self._request(way.old, scope, _once(body))), send)
        except httpx.TransportError:
            # Nobody is behind it any more: what the new one said is all there is.
            await (_give(new, send) if new is not None else _unavailable(send))

    def _request(self, to: str, scope: "Scope", content: AsyncIterator[bytes]) -> httpx.Request:
        query = scope["query_string"]
        path = scope.get("raw_path") or scope["path"].encode()
        url = httpx.URL(to).copy_with(raw_path=path + (b"?" + query if query else b""))
        # Answers are compared as they are: nobody behind this door compresses.
        headers = [item for item in scope["headers"] if item[0] not in (*_HOPS, b"accept-encoding")]
        told = {name for name, _ in scope["headers"]}
        if b"content-length" not in told and b"transfer-encoding" in told:
            headers.append((b"transfer-encoding", b"chunked"))
        # A body that the client announced; httpx adds no headers of its own to one.
        announced = not told.isdisjoint((b"content-length", b"transfer-encoding"))
        return httpx.Request(scope["method"], url, headers=headers, stream=_Body(content) if announced else None)

    def _keep(self, path: str, pairs: list[tuple[float, float]], took: tuple[float, float]) -> None:
        """Keep a pair of answers: risks without whose they are, readable by the owner alone."""
        line = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "path": path,
            "risks": [[round(one, 3), round(other, 3)] for one, other in pairs],
            "milliseconds": [round(item, 1) for item in took],
        }
        descriptor = os.open(self.compared, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            append_whole(descriptor, (json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)


class _Body(httpx.AsyncByteStream):
    """A body that is passed on as it comes."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content:
            yield chunk


def _pairs(old: Any, new: Any) -> list[tuple[float, float]]:
    """The risks, patient by patient and horizon by horizon, of two answers to one request."""
    one, other = (answer if isinstance(answer, list) else [answer] for answer in (old, new))
    return [
        pair
        for first, second in zip(one, other, strict=True)
        for pair in zip(risks_of(first), risks_of(second), strict=True)
    ]


def _header(scope: "Scope", name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


async def _read(receive: "Receive", largest: int) -> tuple[bytes, bool]:
    """What a body begins with, and whether that is all of it: more than ``largest`` bytes are not waited for."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts), True
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body", False):
            return b"".join(parts), True
        if size > largest:
            return b"".join(parts), False


async def _chunks(receive: "Receive") -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        if body := message.get("body", b""):
            yield body
        if not message.get("more_body", False):
            return


async def _after(start: bytes, receive: "Receive") -> AsyncIterator[bytes]:
    yield start
    async for chunk in _chunks(receive):
        yield chunk


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def _begin(response: httpx.Response, send: "Send") -> None:
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _HOPS]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})


async def _give(response: httpx.Response, send: "Send") -> None:
    await _begin(response, send)
    await send({"type": "http.response.body", "body": response.content})


async def _unavailable(send: "Send") -> None:
    body = of_body("The service is not there. Try again.").body()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
