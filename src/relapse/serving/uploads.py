"""Forms of files: taken as they arrive, worked on one at a time, answered, and kept nowhere.

Files are read from memory or from nameless temporary ones, and no name that a client gives is opened, or repeated.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from pydantic import BaseModel

from relapse.ground.errors import ImageError
from relapse.serving.guard import UploadTooLarge
from relapse.serving.predictor import quiet
from relapse.serving.problems import Problem, Problems

if TYPE_CHECKING:
    from starlette.datastructures import FormData
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route


class Unacceptable(Exception):
    """A form was read and cannot be worked on; ``field`` names its part."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Upload:
    """What a path takes.

    Parameters
    ----------
    path
        Without its slash.
    files, fields
        Most that are read of a form: a few more than are taken, so that too many are answered with their number.
    form
        What the form holds, in words.
    missing
        What is said where the client left before all of it had arrived.
    work
        Looks at the form, and gives what is then done in its turn; raises :class:`Unacceptable`.
    field
        The part of the form that mends a fault of the images, by the fault's code.
    """

    path: str
    files: int
    fields: int
    form: str
    missing: str
    work: "Callable[[FormData], Callable[[], BaseModel]]"
    field: Callable[[str], str | None] = lambda code: None


#: Bytes of a field that is no file.
_FIELD = 1024


def route(upload: Upload) -> "Route":
    """The route of a form of files; an answer of status 422 says what is wrong with which part of it."""
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
    from starlette.responses import Response
    from starlette.routing import Route

    # One thread: what was sent lies on disk until its turn. A thread cannot be stopped, and one that is still at work
    # when its request has been given up would have company if a new one could be had.
    desk = ThreadPoolExecutor(1, thread_name_prefix=upload.path)

    async def post(request: "Request") -> "Response":
        try:
            async with request.form(max_files=upload.files, max_fields=upload.fields, max_part_size=_FIELD) as form:
                work = upload.work(form)
                found = await asyncio.get_running_loop().run_in_executor(desk, _quietly, work)
        except UploadTooLarge as error:
            return _refused(413, str(error))
        except ClientDisconnect:
            return _refused(400, upload.missing)
        except HTTPException:
            return _refused(400, f"Not readable as a form of files: {upload.form}.")
        except Unacceptable as error:
            return _refused(422, str(error), error.field)
        except ImageError as error:
            return _refused(422, str(error), upload.field(error.code))
        return Response(found.model_dump_json(), media_type="application/json")

    def _refused(status: int, message: str, field: str | None = None) -> "Response":
        problem = Problem(field=field, message=message)
        return Response(Problems(errors=[problem]).body(), status, media_type="application/json")

    return Route(f"/{upload.path}", post, methods=["POST"])


def files(form: "FormData", name: str) -> list[BinaryIO]:
    """The files of a form under one name."""
    return [part.file for part in form.getlist(name) if not isinstance(part, str)]


def _quietly(work: Callable[[], BaseModel]) -> BaseModel:
    with quiet(besides=(ImageError, Unacceptable)):
        return work()
