"""What the frozen trunk makes of pictures: run once for each view of each picture, and kept.

Views are the fixed augmentation: turns and reflections of the square, which need no interpolation. A head is trained on
views drawn anew in each epoch, and asked with the plain one.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse.ground.files import sha256_of_text, write_atomic
from relapse.imaging.encoder.lite0 import Lite0
from relapse.imaging.encoder.lite0 import trunk as lite0_trunk
from relapse.imaging.encoder.network import Encoder
from relapse.imaging.slices import Picture
from relapse.machinery import Machinery
from relapse.workers import one_thread, shared_out

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float32]

#: Pictures that a worker is given at once: each time the encoder goes along.
_PART = 16

#: Most views: the square as it is, reflected, turned, and both.
VIEWS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """The trunk's maps ``values`` (pictures, slices, views, places, channels); view 0 is the plain one.

    Places are the pixels of the map, row after row, ``side`` of them in a row.
    """

    values: Array
    side: int


def views(channels: NDArray[np.floating], count: int) -> NDArray[np.floating]:
    """``count`` views (count, …, size, size) of squares (…, size, size); the first is the plain one."""
    if not 1 <= count <= VIEWS:
        raise ValueError(f"there are 1 to {VIEWS} views.")
    made = []
    for number in range(count):
        turned = np.rot90(channels, number // 2, axes=(-2, -1))
        made.append(turned[..., ::-1] if number % 2 else turned)
    return np.stack(made)


def trunk(encoder: Encoder, images: "torch.Tensor") -> "torch.Tensor":
    """The maps (images, channels, side, side) that the head takes."""
    if isinstance(encoder.architecture, Lite0):
        return lite0_trunk(encoder.module, images)
    features = encoder.module.features
    for name, part in features.named_children():
        if name == f"denseblock{len(encoder.architecture.blocks)}":
            frozen = len(part) - encoder.depth
            for layer in list(part.children())[:frozen]:
                images = layer(images)
            return images
        images = part(images)
    raise AssertionError("a DenseNet ends with a dense block")


def make_maps(encoder: Encoder, picture: Picture, count: int, *, device: str = "cpu") -> Array:
    """Maps (slices, views, places, channels) of one picture, by an encoder that is on ``device``.

    All of a picture at once and nothing else: what comes out does not hang on other pictures.
    """
    import torch

    seen = np.moveaxis(views(picture.channels.astype(np.float32), count), 0, 1)
    stacked = np.ascontiguousarray(seen.reshape(-1, *seen.shape[2:]))
    # A GPU's shortened numbers would be a thousandth off what a CPU makes of the same picture.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        found = trunk(encoder, torch.from_numpy(stacked).to(device)).flatten(2).transpose(1, 2)
    return found.contiguous().cpu().numpy().reshape(*seen.shape[:2], *found.shape[1:])


def gathered(
    encoder: Encoder,
    images: Sequence[str],
    read: Callable[[str], Picture],
    folder: Path,
    *,
    count: int = 4,
    device: str = "cpu",
    machinery: Machinery | None = None,
) -> Maps:
    """The maps of pictures in their order, from ``folder`` where they are kept, made and kept there where not.

    Parameters
    ----------
    images
        Addresses of pictures.
    read
        Gives the picture at an address.
    count
        Views of each.
    machinery
        Workers that share out what has to be made on a CPU; without it this process makes it.
    """
    from joblib import delayed

    identity = encoder.identity
    paths = [_path(folder, sha256_of_text(identity, str(count), image)) for image in images]
    absent = [(image, path) for image, path in zip(images, paths, strict=True) if _kept(path) is None]
    if machinery is None or device != "cpu":
        _fill(encoder, absent, read, count, device)
    else:
        parts = [absent[first : first + _PART] for first in range(0, len(absent), _PART)]
        tasks = (delayed(_fill)(encoder, part, read, count, device) for part in parts)
        for _ in shared_out(tasks, machinery, total=len(parts), label="maps", here=True):
            pass
    values = np.stack([one for path in paths if (one := _kept(path)) is not None])
    return Maps(values, round(values.shape[3] ** 0.5))


def _fill(
    encoder: Encoder, absent: Sequence[tuple[str, Path]], read: Callable[[str], Picture], count: int, device: str
) -> None:
    encoder.module.to(device)
    with one_thread():
        for image, path in absent:
            content = io.BytesIO()
            np.save(content, make_maps(encoder, read(image), count, device=device))
            packed = content.getvalue()
            write_atomic(path, lambda temporary, packed=packed: temporary.write_bytes(packed))  # type: ignore[misc]
    encoder.module.to("cpu")


def _path(folder: Path, name: str) -> Path:
    return folder / name[:2] / f"{name}.npy"


def _kept(path: Path) -> Array | None:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        # What is not there, or damaged, is made again: it can be.
        return None
