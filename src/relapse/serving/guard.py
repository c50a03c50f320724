"""The door of the service: a request reaches BentoML only from whom it may come, and once it is known to be valid.

BentoML logs a rejected body with a traceback and answers in its own words; it also takes other content types, and
bodies of any size. So bodies are checked here, against the same models that BentoML then parses them with.
"""

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from pydantic import BaseModel, RootModel, ValidationError

from relapse.cohorts.schema import Cohort
from relapse.serving.access import is_asked_for, is_authorised, is_loopback
from relapse.serving.names import PATIENT_HEADER, WRONG_NAMES, named
from relapse.serving.patients import FILM, PICTURE
from relapse.serving.problems import Problems, is_malformed, of_body, of_repeated, of_validation
from relapse.serving.settings import Serving

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of a body, without pictures; bytes of uploaded volumes; bytes of an uploaded film, which has at most some 40
#: million pixels of two bytes.
MAX_BODY = 1024 * 1024
MAX_UPLOAD = 256 * 1024 * 1024
MAX_FILM = 128 * 1024 * 1024

#: Pictures that a body has room for.
MAX_PICTURES = 8

#: Nothing of the page comes from elsewhere, nothing is written into it, nobody frames it, and nothing is kept. What
#: stands in a blob a script of the page holds already.
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)

#: The one option of a query, and the paths that take it.
_OPTIONS = {"/predict": {("curve", "true"), ("curve", "false")}}


@dataclass(frozen=True, slots=True)
class Body:
    """What a path takes: its content type, and what is said of another one and of a body that is too large."""

    kind: bytes
    foreign: str
    too_large: str


JSON = Body(
    b"application/json",
    "Send JSON with the header Content-Type: application/json.",
    "The body is larger than {} bytes. Send fewer patients.",
)
VOLUMES = Body(
    b"multipart/form-data",
    "Send the volumes as multipart/form-data.",
    "The volumes are larger than {} bytes together. Send the declared phases only, compressed.",
)
FILM_FORM = Body(
    b"multipart/form-data",
    "Send the film as multipart/form-data.",
    "The film is larger than {} bytes. Send one film, as the device or the archive gave it.",
)


class Guard:
    """ASGI middleware in front of everything.

    Parameters
    ----------
    app
        The application behind the door.
    bodies
        The model of the body, by path.
    public
        Paths that are given without a token: the empty page and the health checks.
    health
        Paths that are answered under any name of the host: who watches a service asks for it by its address.
    cohort
        Says what each field allows.
    settings
        Token, names of the host and time limit.
    """

    def __init__(
        self,
        app: "ASGIApp",
        bodies: Mapping[str, type[BaseModel]],
        public: Collection[str],
        health: Collection[str],
        cohort: Cohort,
        settings: Serving,
    ) -> None:
        self.app = app
        self.bodies = bodies
        self.public = frozenset(public)
        self.health = frozenset(health)
        self.cohort = cohort
        self.settings = settings
        self.largest = largest_body(cohort)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Refuse a request, or pass it on unchanged."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def guarded(message: "Message") -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        try:
            async with asyncio.timeout(self.settings.seconds):
                await self._admit(scope, receive, guarded)
        except TimeoutError:
            if started:
                raise
            await _answer(guarded, 503, of_body(f"Not answered within {self.settings.seconds:g} seconds. Try again."))

    async def _admit(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if refused := self._refuse_client(scope):
            await _answer(send, *refused)
            return
        if scope["method"] == "POST" and (upload := self._upload(scope["path"])):
            await _admit_upload(self.app, *upload, scope, receive, send)
            return
        model = self.bodies.get(scope["path"]) if scope["method"] == "POST" else None
        if model is None:
            await self.app(scope, receive, send)
            return
        if refused := _refuse_headers(dict(scope["headers"]), JSON, self.largest) or _refuse_query(scope):
            await _answer(send, *refused)
            return
        try:
            async with asyncio.timeout(self.settings.seconds / 2):
                body = await _read(receive, self.largest)
        except TimeoutError:
            await _answer(send, 408, of_body("The body did not arrive in time."))
            return
        if body is None:
            await _answer(send, 413, of_body(JSON.too_large.format(self.largest)))
            return
        try:
            found = model.model_validate_json(body)
        except ValidationError as error:
            await _answer(send, 400 if is_malformed(error) else 422, of_validation(error, self.cohort))
            return
        patients = len(found.root) if isinstance(found, RootModel) else 1
        if (said := named(dict(scope["headers"]).get(PATIENT_HEADER))) is not None and not 0 < len(said) == patients:
            await _answer(send, 422, of_body(WRONG_NAMES))
            return
        if repeated := _repeated(body):
            await _answer(send, 422, of_repeated(repeated, self.cohort, batch=body.lstrip()[:1] == b"["))
            return
        await self.app(scope, _replay(body, receive), send)

    def _upload(self, path: str) -> tuple[Body, int] | None:
        """The form of files that a path takes, and most bytes of it; None where it takes none."""
        if self.cohort.volumes and path == f"/{PICTURE}":
            return VOLUMES, MAX_UPLOAD
        return (FILM_FORM, MAX_FILM) if self.cohort.films and path == f"/{FILM}" else None

    def _refuse_client(self, scope: "Scope") -> tuple[int, Problems] | None:
        token = self.settings.token
        if token is None:
            # The start is refused already where no token is set; this holds however the server was started.
            server = scope.get("server") or ("",)
            if server[0] and not is_loopback(str(server[0])) and scope["path"] not in self.public:
                return 403, of_body("Beyond this machine the service answers only where RELAPSE_TOKEN is set.")
        if scope["path"] not in self.health and not is_asked_for(scope["headers"], self.settings):
            return 421, of_body(
                "The service is not asked for under this name. Without a token it answers to localhost, 127.0.0.1 and "
                "[::1]; whoever runs it names others in RELAPSE_HOSTS."
            )
        if token is None:
            return None
        if scope["path"] in self.public or is_authorised(dict(scope["headers"]).get(b"authorization", b""), token):
            return None
        return 401, of_body("Send the token of this service: Authorization: Bearer <token>.")


async def _admit_upload(
    app: "ASGIApp", body: Body, largest: int, scope: "Scope", receive: "Receive", send: "Send"
) -> None:
    """Pass files on as they come, as far as the limit; they are looked at where they are read."""
    if refused := _refuse_headers(dict(scope["headers"]), body, largest) or _refuse_query(scope):
        await _answer(send, *refused)
        return
    await app(scope, _limited(receive, largest, body.too_large.format(largest)), send)


class UploadTooLarge(Exception):
    """More was sent than fits; :mod:`relapse.serving.uploads`, which reads it, answers in these words."""


def _limited(receive: "Receive", largest: int, said: str) -> "Receive":
    """The same, which raises :class:`UploadTooLarge` once more than ``largest`` bytes came."""
    size = 0

    async def counted() -> "Message":
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > largest:
            raise UploadTooLarge(said)
        return message

    return counted


def largest_body(cohort: Cohort) -> int:
    """Bytes that a body may have: more where patients bring pictures."""
    if cohort.volumes is None:
        return MAX_BODY
    made = cohort.volumes.preprocessing
    each = made.slices * made.size * (2 * len(cohort.volumes.phases) * made.size + made.size // 8 + 1) + 8192
    # Base64 takes four bytes for three.
    return MAX_BODY + MAX_PICTURES * (each * 4 // 3 + 4)


def _refuse_headers(headers: dict[bytes, bytes], body: "Body", largest: int) -> tuple[int, Problems] | None:
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != body.kind:
        return 415, of_body(body.foreign)
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        return 415, of_body("Send the body uncompressed, without Content-Encoding.")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > largest:
        return 413, of_body(body.too_large.format(largest))
    return None


def _refuse_query(scope: "Scope") -> tuple[int, Problems] | None:
    """Options that the path does not take; values belong into the body, not where addresses are logged."""
    given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    allowed = _OPTIONS.get(scope["path"], set())
    if len(given) <= 1 and set(given) <= allowed:
        return None
    takes = "takes one option, curve=true or curve=false" if allowed else "takes no options"
    return 422, of_body(f"There is no such option: the address {takes}.")


async def _read(receive: "Receive", largest: int) -> bytes | None:
    """The whole body, None where it is too large."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > largest:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _repeated(body: bytes) -> list[tuple[int, str]]:
    """Keys that stand more than once in a patient, with the position of the patient: two ages are no input.

    ``body`` is valid otherwise, so that its objects are patients and hold no other.
    """
    found: list[tuple[int, str]] = []
    seen = 0

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal seen
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            found.extend((seen, name) for name in dict.fromkeys(names) if names.count(name) > 1)
        seen += 1

    json.loads(body, object_pairs_hook=look)
    return found


def _replay(body: bytes, receive: "Receive") -> "Receive":
    """Give the body once more, then whatever else the client sends (that it has gone)."""
    given = False

    async def again() -> "Message":
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(send: "Send", status: int, problems: Problems) -> None:
    body = problems.body()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
