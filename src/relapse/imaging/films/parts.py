"""The files of a trained reader of films: known by name, kept and copied without being understood."""

from collections.abc import Mapping
from pathlib import Path

from relapse.ground.errors import SourceError
from relapse.ground.files import write_atomic

#: What it is and was taught by; the network that draws borders; everything else as arrays.
ABOUT, NETWORK, HEADS = "reader.json", "lesion.onnx", "heads.npz"
PARTS = (ABOUT, NETWORK, HEADS)


def read_parts(folder: Path) -> dict[str, bytes]:
    """The contents of a reader's files by name; raises SourceError where one is not there."""
    parts = {}
    for name in PARTS:
        try:
            parts[name] = (folder / name).read_bytes()
        except OSError:
            raise SourceError(
                f"{folder}: no reader of films: {name} cannot be opened. Train one: relapse films train --out {folder}"
            ) from None
    return parts


def write_parts(parts: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a reader into a folder."""
    for name in PARTS:
        _write(folder / name, parts[name])


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, lambda temporary: temporary.write_bytes(content))
