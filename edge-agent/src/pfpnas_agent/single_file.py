"""Is a candidate one file? ONNX lets a tensor say that its values lie in another one; that would be a file of ours.

A walk over the protocol buffer's own bytes, since the agent has no onnx package: every place where ONNX may hold a
tensor, however its tags are encoded. Field numbers: onnx.proto of ONNX, IR version 13.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pfpnas_agent.failures import Refused

MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING = (
    "ModelProto",
    "GraphProto",
    "NodeProto",
    "AttributeProto",
    "TensorProto",
    "SparseTensorProto",
    "FunctionProto",
    "TrainingInfoProto",
)

PARTS: dict[str, dict[int, str]] = {
    MODEL: {7: GRAPH, 20: TRAINING, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE, 11: ATTRIBUTE},
    TRAINING: {1: GRAPH, 2: GRAPH},
}
"""What may hold tensors, by message and field."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a tensor: where its values lie, and whether they lie elsewhere at all."""

MOST_DEPTH = 100
"""Messages within messages; protocol buffers' own readers stop there too."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BYTES = 10


class _MalformedError(Exception):
    """No protocol buffer; the message says why."""


def read_single_file(path: Path) -> bytes:
    """The bytes of a model file that refers to no other.

    Raises:
        Refused: BadModel.
        OSError: it can't be read.
    """
    content = path.read_bytes()
    refuse_other_files(content)
    return content


def refuse_other_files(content: bytes) -> None:
    """Refuse a model with a tensor whose values lie in another file.

    Raises:
        Refused: BadModel; also when the bytes are no protocol buffer at all.
    """
    try:
        found = any(_names_a_file(tensor) for tensor in _tensors(memoryview(content), MODEL, 0))
    except _MalformedError as e:
        raise Refused("BadModel", f"it is no ONNX file: {e}") from e
    if found:
        raise Refused("BadModel", "it refers to external data: candidates are single files")


def _tensors(message: memoryview, kind: str, depth: int) -> Iterator[memoryview]:
    if depth > MOST_DEPTH:
        raise _MalformedError("its parts are nested too deeply")
    if kind == TENSOR:
        yield message
        return
    for field, value in _fields(message):
        part = PARTS[kind].get(field)
        if part is not None and isinstance(value, memoryview):
            yield from _tensors(value, part, depth + 1)


def _names_a_file(tensor: memoryview) -> bool:
    return any(field == EXTERNAL_DATA or (field == DATA_LOCATION and value != 0) for field, value in _fields(tensor))


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of every field: the bytes of what has a length, else a number."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        # Readers take a tag's lowest 32 bits, however long it is written.
        field, wire = (tag & 0xFFFFFFFF) >> 3, tag & 7
        if field == 0:
            raise _MalformedError("a field without a number")
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield field, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise _MalformedError("a field of an unknown type")
        if at + size > len(message):
            raise _MalformedError("it is truncated")
        yield field, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = 0
    for position in range(_MOST_VARINT_BYTES):
        if at + position >= len(message):
            raise _MalformedError("it is truncated")
        byte = message[at + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at + position + 1
    raise _MalformedError("a number that is too long")
