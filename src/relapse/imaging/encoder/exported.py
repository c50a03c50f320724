"""The frozen trunk as ONNX: written with torch, run without it.

A DenseNet121 is a file of 24 MiB. One picture of 224 × 224 takes 0.11 s of one core (torch: 0.20 s), loading 0.3 s,
and a process that does only this 145 MiB. From torch's maps the file's are as far as either is from the same in double
precision: about 1e-6 of the largest value on a smooth picture, 1.5e-5 on white noise.
"""

import numpy as np
from numpy.typing import NDArray

from relapse.imaging.encoder.network import Encoder
from relapse.imaging.onnx_files import opened, written
from relapse.imaging.slices import Picture

Array = NDArray[np.float32]

#: Names of the file's input and output, and of what it says of itself.
_PICTURES, _MAPS, _IDENTITY = "pictures", "maps", "identity"


def export(encoder: Encoder, *, size: int = 224) -> bytes:
    """Write the trunk for pictures of ``size`` × ``size``, any number at once; equal encoders give equal bytes."""
    import torch

    from relapse.imaging.encoder.maps import trunk

    class Trunk(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = encoder.module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return trunk(encoder, images).flatten(2).transpose(1, 2)

    drawn = torch.zeros(2, encoder.architecture.channels, size, size)
    return written(Trunk(), drawn, takes=_PICTURES, gives=_MAPS, says={_IDENTITY: encoder.identity})


class Trunk:
    """An exported trunk, run by ONNX Runtime on one thread of the CPU; torch is not needed.

    Parameters
    ----------
    content
        What :func:`export` wrote.

    Attributes
    ----------
    identity
        That of the encoder (:attr:`relapse.imaging.encoder.network.Encoder.identity`) that was written.

    Raises
    ------
    SourceError
        It is something else.
    """

    def __init__(self, content: bytes) -> None:
        self.identity: str
        self._session, self.identity = opened(
            content, takes=_PICTURES, gives=_MAPS, says=_IDENTITY, what="an encoder", anew="bundle"
        )

    def maps(self, picture: Picture) -> Array:
        """The maps (slices, places, channels) of a picture, a slice at a time: memory does not hang on their number."""
        expected = self._session.get_inputs()[0].shape[1:]
        if list(picture.channels.shape[1:]) != list(expected):
            sizes = [" × ".join(map(str, shape)) for shape in (picture.channels.shape[1:], expected)]
            raise ValueError(f"the picture is {sizes[0]}, and the encoder takes {sizes[1]} (channels, rows, columns).")
        slices = picture.channels.astype(np.float32)
        found = [self._session.run([_MAPS], {_PICTURES: slices[which : which + 1]})[0] for which in range(len(slices))]
        return np.concatenate(found)
