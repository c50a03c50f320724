"""Preprocessed pictures as files: written by ingest, read by all that look at them, which need nothing else of it."""

import io
import zipfile
from pathlib import Path

import numpy as np

from relapse.cohorts.table import picture_path
from relapse.ground.errors import SourceError
from relapse.ground.files import write_atomic
from relapse.imaging.slices import Picture


def read_picture(folder: Path, image: str) -> Picture:
    """The picture at an address.

    Raises
    ------
    SourceError
        It is not there, or not what was written.
    """
    return open_picture(picture_path(folder, image))


def open_picture(path: Path) -> Picture:
    """The picture in a file; raises as :func:`read_picture`."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            size = int(stored["channels"].shape[-1])
            mask = np.unpackbits(stored["mask"], axis=-1, count=size).astype(np.bool_)
            return Picture(stored["channels"], mask, stored["width"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        raise SourceError(
            f"{path}: no such picture, or a damaged one. Remove it, and run the stage ingest again."
        ) from None


def write_picture(folder: Path, image: str, made: Picture) -> None:
    """Keep a picture at its address; equal pictures are equal files."""
    content = packed(made)
    write_atomic(picture_path(folder, image), lambda temporary: temporary.write_bytes(content))


def packed(made: Picture) -> bytes:
    """A picture as the content of an .npz file, uncompressed; equal pictures are equal bytes."""
    content = io.BytesIO()
    np.savez(content, channels=made.channels, mask=np.packbits(made.mask, axis=-1), width=made.width)
    return content.getvalue()
