"""``POST /picture``: uploaded volumes become the picture that a patient's request then brings.

The service keeps nothing: the picture goes back to who sent the volumes. One upload is worked on at a time in each
worker, so that memory is bounded.
"""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from relapse.cohorts.declared.images import DceMri
from relapse.serving.contract import Pictured
from relapse.serving.patients import PICTURE
from relapse.serving.uploads import Unacceptable, Upload, files

if TYPE_CHECKING:
    from starlette.datastructures import FormData

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


def upload(images: DceMri) -> Upload:
    """How volumes are taken."""
    count = len(images.phases)

    def work(form: "FormData") -> Callable[[], Pictured]:
        phases, masks = files(form, PHASE), files(form, MASK)
        if len(masks) != 1:
            raise Unacceptable(f"{len(masks)} masks were sent; one is needed.", MASK)
        # Files are read only in their turn.
        return lambda: pictured([file.read() for file in phases], masks[0].read(), images)

    return Upload(
        path=PICTURE,
        files=_FEW * (count + 1),
        fields=0,
        form=f"{count} × {PHASE}, 1 × {MASK}",
        missing="The volumes did not arrive.",
        work=work,
    )
