"""``POST /picture``: uploaded volumes become the picture that a patient's request then brings.

The service keeps nothing: the picture goes back to who sent the volumes. Files are read from memory, and no name that
a client gives is opened, or repeated. One upload is worked on at a time in each worker, so that memory is bounded.
"""

import base64
from typing import TYPE_CHECKING

import numpy as np

from relapse.cohorts.declared.images import DceMri
from relapse.ground.errors import ImageError
from relapse.serving.contract import Pictured
from relapse.serving.patients import PICTURE
from relapse.serving.problems import Problem, Problems

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

#: Names of the form's parts: one ``phase`` for each declared phase, in order, and the ``mask``.
PHASE, MASK = "phase", "mask"


def pictured(phases: list[bytes], mask: bytes, images: DceMri) -> Pictured:
    """The picture of volumes, for the model and for people; raises :class:`~relapse.ground.errors.ImageError`."""
    from relapse.imaging.overlay import paint
    from relapse.imaging.uploads import pack, picture_of_volumes

    picture = picture_of_volumes(phases, mask, images)
    return Pictured(
        image=base64.b64encode(pack(picture)).decode(),
        # Attention to nothing: the picture with the outline of the mask alone.
        preview=base64.b64encode(paint(picture, np.zeros((len(picture.mask), 1, 1)))).decode(),
        width=[round(float(width), 1) for width in picture.width],
    )


def upload(images: DceMri) -> "Route":
    """The route that takes volumes."""
    from anyio import CapacityLimiter, to_thread
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route

    limiter: CapacityLimiter | None = None

    async def post(request: "Request") -> "Response":
        nonlocal limiter
        limiter = limiter or CapacityLimiter(1)
        try:
            async with request.form(max_files=len(images.phases) + 1, max_fields=0) as form:
                phases = [await _content(part) for part in form.getlist(PHASE)]
                masks = [await _content(part) for part in form.getlist(MASK)]
        except HTTPException:
            return _refused(
                400, Problem(message=f"Not readable as a form of files: {len(images.phases)} × phase, 1 × mask.")
            )
        if len(masks) != 1:
            return _refused(422, Problem(field=MASK, message=f"{len(masks)} masks were sent; one is needed."))
        try:
            found = await to_thread.run_sync(pictured, phases, masks[0], images, limiter=limiter)
        except ImageError as error:
            return _refused(422, Problem(message=str(error)))
        return Response(found.model_dump_json(), media_type="application/json")

    def _refused(status: int, problem: Problem) -> "Response":
        return Response(Problems(errors=[problem]).body(), status, media_type="application/json")

    return Route(f"/{PICTURE}", post, methods=["POST"])


async def _content(part: object) -> bytes:
    from starlette.datastructures import UploadFile

    return await part.read() if isinstance(part, UploadFile) else b""
