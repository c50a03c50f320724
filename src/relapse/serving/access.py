"""Who may ask: the bearer token, and without one the rule that only this machine is listened to, by its own names."""

import hmac
import ipaddress
import os
import socket
from collections.abc import Iterable

from relapse.ground.errors import ServingError
from relapse.serving.settings import Serving


def require_token_beyond_loopback(token: str | None, host: str | None) -> None:
    """Refuse to start where anyone on the network could ask.

    Parameters
    ----------
    token
        The token that clients have to send, None where none is set.
    host
        The address to listen on; None where nothing is listened on, as while a Bento is built.

    Raises
    ------
    ServingError
        The address is not of this machine alone, and there is no token.
    """
    if token is None and host is not None and not is_loopback(host):
        raise ServingError(
            f"The service would listen on {host}, beyond this machine, without a token. "
            "Set RELAPSE_TOKEN (openssl rand -hex 32), or listen on 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone; a path of a Unix socket is."""
    if not host or host.startswith("/") or host == "localhost":
        return bool(host)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening_host() -> str | None:
    """The address that BentoML's command in this process listens on, None where it is another command, or none.

    ``bentoml serve`` knows its option ``--host``; a worker has the socket itself.
    """
    import click

    context = click.get_current_context(silent=True)
    given = context.params if context else {}
    if "fd" in given:
        # Closing a copy leaves the socket itself open.
        with socket.socket(fileno=os.dup(given["fd"])) as listening:
            name = listening.getsockname()
        return str(name[0] if isinstance(name, tuple) else name) or "/"
    if "host" in given and "port" in given:
        from bentoml._internal.container import BentoMLContainer  # type: ignore[attr-defined]

        return str(given["host"] or BentoMLContainer.http.host.get())
    return None


def is_asked_for(headers: Iterable[tuple[bytes, bytes]], settings: Serving) -> bool:
    """Whether a request names this service in its ``Host`` header.

    A page of any site can have its own name resolved to this machine (DNS rebinding) and then ask as if it were of the
    same origin; only the name gives it away. A page cannot know the token, so where there is one any name will do,
    unless names are declared.
    """
    if settings.token is not None and not settings.hosts:
        return True
    given = [value.decode("latin-1").strip().lower() for name, value in headers if name == b"host"]
    names = [_without_port(value) for value in given]
    return bool(names) and all((is_loopback(name) and name[:1] != "/") or name in settings.hosts for name in names)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, port = host.partition(":")
    return name if not port or port.isdigit() else host


def is_authorised(header: bytes, token: str) -> bool:
    """Whether an ``Authorization`` header carries the token; takes the same time whatever it holds."""
    scheme, _, given = header.partition(b" ")
    return hmac.compare_digest(given.strip(), token.encode()) and scheme.lower() == b"bearer"
