"""The frozen trunk as ONNX: written with torch, run without it.

A DenseNet121 is a file of 24 MiB. One picture of 224 × 224 takes 0.11 s of one core (torch: 0.20 s), loading 0.3 s,
and a process that does only this 145 MiB. From torch's maps the file's are as far as either is from the same in double
precision: about 1e-6 of the largest value on a smooth picture, 1.5e-5 on white noise.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import SourceError
from relapse.imaging.encoder.network import Encoder
from relapse.imaging.slices import Picture
from relapse.workers import one_thread

Array = NDArray[np.float32]

#: Names of the file's input and output, and of what it says of itself.
_PICTURES, _MAPS, _IDENTITY = "pictures", "maps", "identity"


def export(encoder: Encoder, *, size: int = 224) -> bytes:
    """Write the trunk for pictures of ``size`` × ``size``, any number at once; equal encoders give equal bytes."""
    import onnx
    import torch

    from relapse.imaging.encoder.maps import trunk

    class Trunk(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = encoder.module

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return trunk(encoder, images).flatten(2).transpose(1, 2)

    # Two pictures: of a single one the tracer would take it that there is never another number.
    drawn = torch.zeros(2, encoder.architecture.channels, size, size)
    with one_thread(), quiet():
        program = torch.onnx.export(
            Trunk().eval(),
            (drawn,),
            input_names=[_PICTURES],
            output_names=[_MAPS],
            dynamic_shapes=({0: torch.export.Dim("number")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise AssertionError("the exporter returns what it is not told to write")
    model = program.model_proto
    forget(model)
    onnx.helper.set_model_props(model, {_IDENTITY: encoder.identity})
    return bytes(model.SerializeToString(deterministic=True))


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
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as refusals

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except (refusals.InvalidProtobuf, refusals.InvalidGraph, refusals.InvalidArgument, refusals.Fail):
            raise SourceError("the encoder's file is no ONNX model, or is damaged. Make the bundle anew.") from None
        names = [one.name for one in (*self._session.get_inputs(), *self._session.get_outputs())]
        properties = self._session.get_modelmeta().custom_metadata_map
        if names != [_PICTURES, _MAPS] or _IDENTITY not in properties:
            raise SourceError("the encoder's file holds another model than an encoder. Make the bundle anew.")
        self.identity: str = properties[_IDENTITY]

    def maps(self, picture: Picture) -> Array:
        """The maps (slices, places, channels) of a picture, a slice at a time: memory does not hang on their number."""
        expected = self._session.get_inputs()[0].shape[1:]
        if list(picture.channels.shape[1:]) != list(expected):
            sizes = [" × ".join(map(str, shape)) for shape in (picture.channels.shape[1:], expected)]
            raise ValueError(f"the picture is {sizes[0]}, and the encoder takes {sizes[1]} (channels, rows, columns).")
        slices = picture.channels.astype(np.float32)
        found = [self._session.run([_MAPS], {_PICTURES: slices[which : which + 1]})[0] for which in range(len(slices))]
        return np.concatenate(found)


def forget(model: Any) -> None:
    """Take out what the exporter notes of every node: lines of our source, and paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def quiet() -> Iterator[None]:
    """Without what the exporter says of packages that are not needed, and of its own use of torch."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # torch 2.13 copies its own trees in a way that it has deprecated.
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec")
            yield
    finally:
        log.setLevel(before)
