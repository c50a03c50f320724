"""Films as pictures: PNG, binary PGM and TIFF in grey levels; their headers do not say how wide a pixel is."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from relapse.ground.errors import ImageError
from relapse.imaging.faults import fault
from relapse.imaging.reading.dicom import DAMAGE
from relapse.imaging.reading.film_stored import Stored, sized

if TYPE_CHECKING:
    from PIL.Image import Image


def png(content: bytes, limit: int) -> Stored:
    """Read a PNG file of at most ``limit`` pixels; raises ImageError."""
    # The first chunk is the header, of which the standard fixes every byte.
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise fault("file-truncated", "the file ends in its header. Fetch it again.")
    columns, rows = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    sized(rows, columns, limit)
    with _picture(content) as image:
        return _of_picture(image)


def tiff(content: bytes, limit: int) -> Stored:
    """Read a TIFF file that holds one picture of at most ``limit`` pixels; raises ImageError."""
    with _picture(content) as image:
        sized(image.height, image.width, limit)
        try:
            image.seek(1)
        except EOFError:
            image.seek(0)
        else:
            raise fault("film-frames", "the file holds several pictures. Send one film a file.")
        return _of_picture(image)


@contextmanager
def _picture(content: bytes) -> Iterator["Image"]:
    """Open with Pillow; what goes wrong is a fault of the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # It warns of tags and of sizes; both are judged here.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=("PNG", "TIFF")) as image:
                yield image
    except Image.DecompressionBombError:
        raise fault("file-too-large", "the film has too many pixels to be read.") from None
    except UnidentifiedImageError:
        raise fault("file-truncated", "the file's header is damaged or ends too early. Fetch it again.") from None
    except ImageError:
        raise
    except (*DAMAGE, OSError, SyntaxError) as error:
        raise fault(
            "file-truncated", f"the pixels end too early or are damaged ({type(error).__name__}). Fetch it again."
        ) from None


def _of_picture(image: "Image") -> Stored:
    mode = image.mode
    if mode == "1":
        raise fault("film-coarse", "the film is black and white, without grey levels. Export it in grey levels.")
    if mode in ("L", "F", "I") or mode.startswith("I;16"):
        image.load()
        bits = {"L": 8, "F": 32, "I": 32}.get(mode, 16)
        return Stored(np.asarray(image).astype(np.float32), bits)
    # Viewers export grey films in colours: taken where red, green and blue are the same.
    colours = np.asarray(image.convert("RGB")) if mode in ("RGB", "RGBA", "P", "LA") else None
    if colours is not None and (colours == colours[..., :1]).all() and not _transparent(image):
        return Stored(colours[..., 0].astype(np.float32), 8, notes=("The file is coloured, and all of it is grey.",))
    raise fault("not-greyscale", "the film is coloured or transparent. Send it in grey levels.")


def _transparent(image: "Image") -> bool:
    return "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255)


def pgm(content: bytes, limit: int) -> Stored:
    """Read a binary PGM file of at most ``limit`` pixels; raises ImageError."""
    # Width, height and largest grey level, with comments between them, and one space before the pixels.
    blank = rb"(?:\s|#[^\n]{0,1000}\n)"
    found = re.match(rb"P5" + 3 * (blank + rb"{1,64}(\d{1,9})") + rb"\s", content[:8192])
    if not found:
        raise fault("file-truncated", "the file's header is damaged or ends too early. Fetch it again.")
    columns, rows, largest = (int(one) for one in found.groups())
    sized(rows, columns, limit)
    if not 0 < largest < 1 << 16:
        raise fault("header-broken", f"the header gives {largest:,} as largest grey level; PGM allows 1 to 65,535.")
    kind = np.dtype(np.uint8 if largest < 256 else ">u2")
    if len(content) - found.end() < rows * columns * kind.itemsize:
        raise fault("file-truncated", "the file ends before its last pixel. Fetch it again.")
    values = np.frombuffer(content, kind, rows * columns, found.end()).reshape(rows, columns)
    return Stored(values.astype(np.float32), largest.bit_length())
