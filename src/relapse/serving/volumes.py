"""``POST /picture``: uploaded volumes become the picture that a patient's request then brings.

The service keeps nothing: the picture goes back to who sent the volumes. Files are read from memory, and no name that
a client gives is opened, or repeated. One upload is worked on at a time in each worker, so that memory is bounded.
"""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from relapse.cohorts.declared.images import DceMri
from relapse.ground.errors import ImageError
from relapse.serving.contract import Pictured
from relapse.serving.guard import MAX_UPLOAD, VOLUMES, UploadTooLarge
from relapse.serving.patients import PICTURE
from relapse.serving.predictor import quiet
from relapse.serving.problems import Problem, Problems

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

#: Names of the form's parts: one ``phase`` for each declared phase, in order, and the ``mask``.
PHASE, MASK = "phase", "mask"

#: Times as many files as are needed that are read at all, so that too many are answered with their number.
_FEW = 2


def pictured(phases: list[bytes], mask: bytes, images: DceMri) -> Pictured:
    """The picture of volumes, for the model and for people; raises :class:`~relapse.ground.errors.ImageError`."""
    from relapse.imaging.overlay import paint
    from relapse.imaging.uploads import as_text, picture_of_volumes

    picture = picture_of_volumes(phases, mask, images)
    return Pictured(
        image=as_text(picture),
        # Attention to nothing: the picture with the outline of the mask alone.
        preview=base64.b64encode(paint(picture, np.zeros((len(picture.mask), 1, 1)))).decode(),
        width=[round(float(width), 1) for width in picture.width],
    )


def upload(images: DceMri) -> "Route":
    """The route that takes volumes."""
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.routing import Route

    count = len(images.phases)
    # One thread: what was sent lies on disk until its turn. A thread cannot be stopped, and one that is still at work
    # when its request has been given up would have company if a new one could be had.
    desk = ThreadPoolExecutor(1, thread_name_prefix=PICTURE)

    async def post(request: "Request") -> "Response":
        try:
            async with request.form(max_files=_FEW * (count + 1), max_fields=0) as form:
                phases, masks = (_files(form.getlist(name)) for name in (PHASE, MASK))
                if len(masks) != 1:
                    return _refused(422, f"{len(masks)} masks were sent; one is needed.", MASK)
                found = await asyncio.get_running_loop().run_in_executor(desk, _pictured, phases, masks[0], images)
        except UploadTooLarge:
            return _refused(413, VOLUMES.too_large.format(MAX_UPLOAD))
        except ClientDisconnect:
            return _refused(400, "The volumes did not arrive.")
        except HTTPException:
            return _refused(400, f"Not readable as a form of files: {count} × {PHASE}, 1 × {MASK}.")
        except ImageError as error:
            return _refused(422, str(error))
        return Response(found.model_dump_json(), media_type="application/json")

    def _refused(status: int, message: str, field: str | None = None) -> "Response":
        problem = Problem(field=field, message=message)
        return Response(Problems(errors=[problem]).body(), status, media_type="application/json")

    return Route(f"/{PICTURE}", post, methods=["POST"])


def _files(parts: "list[UploadFile | str]") -> list[BinaryIO]:
    return [part.file for part in parts if not isinstance(part, str)]


def _pictured(phases: list[BinaryIO], mask: BinaryIO, images: DceMri) -> Pictured:
    """As :func:`pictured`, of files that are read only now."""
    with quiet(besides=ImageError):
        return pictured([file.read() for file in phases], mask.read(), images)
