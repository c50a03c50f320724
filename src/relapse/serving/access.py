"""Who may ask: the bearer token, and the rule that without one the service listens to its own machine alone."""

import hmac
import ipaddress
import os
import socket

from relapse.errors import ServingError


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


def is_authorised(header: bytes, token: str) -> bool:
    """Whether an ``Authorization`` header carries the token; takes the same time whatever it holds."""
    scheme, _, given = header.partition(b" ")
    return hmac.compare_digest(given.strip(), token.encode()) and scheme.lower() == b"bearer"
