"""Networks as ONNX files: written with torch, run without it."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from relapse.ground.errors import SourceError
from relapse.workers import one_thread

if TYPE_CHECKING:
    import torch


def written(
    module: "torch.nn.Module", drawn: "torch.Tensor", *, takes: str, gives: str, says: Mapping[str, str]
) -> bytes:
    """Write a network that takes any number of inputs at once; the same network gives the same bytes.

    Parameters
    ----------
    drawn
        Two inputs: of a single one the tracer would take it that there is never another number.
    takes, gives
        Names of its input and output.
    says
        What the file says of itself.
    """
    import onnx
    import torch

    with one_thread(), _quiet():
        program = torch.onnx.export(
            module.eval(),
            (drawn,),
            input_names=[takes],
            output_names=[gives],
            dynamic_shapes=({0: torch.export.Dim("number")},),
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise AssertionError("the exporter returns what it is not told to write")
    model = program.model_proto
    _forget(model)
    onnx.helper.set_model_props(model, dict(says))
    return bytes(model.SerializeToString(deterministic=True))


def opened(content: bytes, *, takes: str, gives: str, says: str, what: str, anew: str) -> tuple[Any, str]:
    """A session of ONNX Runtime on one thread of the CPU, and what the file says of itself under ``says``.

    Parameters
    ----------
    what, anew
        What the file should hold (``an encoder``), and what is to be made anew where it does not, for the message.

    Raises
    ------
    SourceError
        The content is no such file, or another network's.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as refusals

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    its = f"the {what.partition(' ')[2]}'s"
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (refusals.InvalidProtobuf, refusals.InvalidGraph, refusals.InvalidArgument, refusals.Fail):
        raise SourceError(f"{its} file is no ONNX model, or is damaged. Make the {anew} anew.") from None
    names = [one.name for one in (*session.get_inputs(), *session.get_outputs())]
    said = session.get_modelmeta().custom_metadata_map
    if names != [takes, gives] or says not in said:
        raise SourceError(f"{its} file holds another model than {what}. Make the {anew} anew.")
    return session, said[says]


def _forget(model: Any) -> None:
    """Take out what the exporter notes of every node: lines of our source, and paths of this machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
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
