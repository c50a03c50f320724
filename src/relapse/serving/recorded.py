"""An answer that was recorded, or a refusal in its place: what the audit log cannot hold is not given."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from relapse.ground.errors import AuditLogError
from relapse.serving.problems import of_body

if TYPE_CHECKING:
    from bentoml import Context

UNRECORDED = (
    "The answer could not be recorded in the audit log, and is not given. Tell whoever runs the service, and try again."
)

_log = logging.getLogger("relapse.audit")


def recorded(answer: Callable[[], Any], ctx: "Context") -> Any:
    """What is answered; a response of status 503 where it cannot be recorded, which the server's log says in a line."""
    from starlette.responses import Response

    try:
        return answer()
    except AuditLogError as error:
        _log.error("%s An answer was not given.", error)
        # BentoML gives every answer the status of the context.
        ctx.response.status_code = 503
        return Response(of_body(UNRECORDED).body(), 503, media_type="application/json")
