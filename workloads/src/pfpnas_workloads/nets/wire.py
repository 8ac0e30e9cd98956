"""ONNX messages with large tensors, framed by hand.

protobuf copies every tensor three times on its way into a file, which would be half of the time that a candidate's
build takes. A length-delimited field is its key, its length and its bytes, and a message's fields may come in any
order (protobuf's encoding guide), so the tensors can be joined behind what protobuf has written.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto

Pieces = list[bytes | memoryview]


def join_model(model: ModelProto, tensors: Iterable[tuple[str, NDArray[np.float32]]]) -> bytes:
    """The file of `model` with `tensors` as float32 initializers of its graph, behind those that it has.

    Equal arguments give equal bytes.
    """
    pieces: Pieces = [model.graph.SerializeToString(deterministic=True)]
    for name, values in tensors:
        pieces += _framed(GraphProto, "initializer", _tensor(name, values))
    shell = ModelProto()
    shell.CopyFrom(model)
    shell.ClearField("graph")
    return b"".join([shell.SerializeToString(deterministic=True), *_framed(ModelProto, "graph", pieces)])


def _tensor(name: str, values: NDArray[np.float32]) -> Pieces:
    header = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=values.shape)
    raw = np.ascontiguousarray(values, dtype="<f4").reshape(-1).view(np.uint8)
    return [header.SerializeToString(deterministic=True), *_framed(TensorProto, "raw_data", [raw.data])]


def _framed(message: type, field: str, pieces: Pieces) -> Pieces:
    """`pieces` as one length-delimited field of `message`."""
    number = message.DESCRIPTOR.fields_by_name[field].number  # type: ignore[attr-defined]
    size = sum(len(piece) for piece in pieces)
    return [bytes((*_varint(number << 3 | 2), *_varint(size))), *pieces]


def _varint(value: int) -> Iterator[int]:
    """Seven bits a byte, least significant first; the top bit says that more follow."""
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
