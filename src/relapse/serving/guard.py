"""The door of the service: a request body reaches BentoML only once it is known to be valid.

BentoML logs a rejected body with a traceback and answers in its own words; it also takes other content types, and
bodies of any size. So bodies are checked here, against the same models that BentoML then parses them with.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from relapse.cohorts.schema import Cohort
from relapse.serving.problems import Problems, is_malformed, of_body, of_validation

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of a body: 1000 patients with 60 features written in full precision fit.
MAX_BODY = 4 * 1024 * 1024


class Guard:
    """ASGI middleware in front of the endpoints that take patients.

    Parameters
    ----------
    app
        The application behind the door.
    bodies
        The model of the body, by path.
    cohort
        Says what each field allows.
    """

    def __init__(self, app: "ASGIApp", bodies: Mapping[str, type[BaseModel]], cohort: Cohort) -> None:
        self.app = app
        self.bodies = bodies
        self.cohort = cohort

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Refuse a bad body with a 4xx, or pass the request on unchanged."""
        model = self.bodies.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if model is None:
            await self.app(scope, receive, send)
            return
        if refused := _refuse_headers(dict(scope["headers"])):
            await _answer(send, *refused)
            return
        body = await _read(receive)
        if body is None:
            await _answer(send, 413, of_body(f"The body is larger than {MAX_BODY} bytes. Send fewer patients."))
            return
        try:
            model.model_validate_json(body)
        except ValidationError as error:
            await _answer(send, 400 if is_malformed(error) else 422, of_validation(error, self.cohort))
            return
        await self.app(scope, _replay(body, receive), send)


def _refuse_headers(headers: dict[bytes, bytes]) -> tuple[int, Problems] | None:
    kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        return 415, of_body("Send JSON with the header Content-Type: application/json.")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        return 415, of_body("Send the body uncompressed, without Content-Encoding.")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > MAX_BODY:
        return 413, of_body(f"The body is larger than {MAX_BODY} bytes. Send fewer patients.")
    return None


async def _read(receive: "Receive") -> bytes | None:
    """The whole body, None where it is too large."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


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
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
