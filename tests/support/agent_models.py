"""Tiny real ONNX models that keep the candidates' contract (or break it on purpose), and their chunks in Redis."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import WorkloadBus
from pfpnas_api.messages import ModelRef


def tiny_model(
    *, classes: int = 10, features: int = 24, size: int = 8, seed: int = 0, layers: int = 1, **changes: Any
) -> bytes:
    """Convolutions, pooling to 2 × 2, flatten (`features`), linear (`logits`); weights are random.

    `changes`: `input_name`, `batch` (a fixed batch size), `operator` (of a domain or name nobody knows), `outputs`,
    `external` (a path that the first weights are said to lie in), `overlong` (and that is said in an unusual encoding).
    """
    rng = np.random.default_rng(seed)
    channels = features // 4
    nodes, tensors, x, width = [], [], changes.get("input_name", "images"), 3
    for layer in range(layers):
        weight = rng.standard_normal((channels, width, 3, 3)).astype(np.float32) / np.sqrt(9 * width)
        tensors.append(numpy_helper.from_array(weight.astype(np.float32), f"w{layer}"))
        nodes.append(helper.make_node("Conv", [x, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node(changes.get("operator", "Relu"), [f"c{layer}"], [f"r{layer}"]))
        x, width = f"r{layer}", channels
    half = size // 2
    nodes.append(helper.make_node("AveragePool", [x], ["pooled"], kernel_shape=[half, half], strides=[half, half]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["features"]))
    head = rng.standard_normal((channels * 4, classes)).astype(np.float32)
    tensors.append(numpy_helper.from_array(head, "head"))
    nodes.append(helper.make_node("MatMul", ["features", "head"], ["logits"]))
    batch = changes.get("batch", "batch")
    image = helper.make_tensor_value_info(
        changes.get("input_name", "images"), TensorProto.FLOAT, [batch, 3, size, size]
    )
    widths = {"features": channels * 4, "logits": classes}
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, widths[name]])
        for name in changes.get("outputs", ("features", "logits"))
    ]
    graph = helper.make_graph(nodes, "tiny", [image], outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if "external" not in changes:
        return bytes(model.SerializeToString())
    (moved,) = [tensor for tensor in graph.initializer if tensor.name == "w0"]
    model.graph.initializer.remove(moved)
    tensor = _external(moved, changes["external"].encode(), overlong=changes.get("overlong", False))
    # A reader puts the parts of a graph together, wherever they stand.
    return bytes(model.SerializeToString()) + _field(7, _field(5, tensor))


def first_weights(**model: Any) -> bytes:
    """What `tiny_model(external=...)` says lies in another file."""
    found = onnx.load_model_from_string(tiny_model(**model)).graph.initializer
    return next(numpy_helper.to_array(tensor).tobytes() for tensor in found if tensor.name == "w0")


def _external(tensor: TensorProto, location: bytes, *, overlong: bool) -> bytes:
    """The tensor without its values, which lie elsewhere."""
    bare = TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
    bare.data_location = TensorProto.EXTERNAL
    entry = _field(1, b"location", overlong=overlong) + _field(2, location, overlong=overlong)
    return bytes(bare.SerializeToString()) + _field(13, entry, overlong=overlong)


def _field(number: int, content: bytes, *, overlong: bool = False) -> bytes:
    """A field of bytes as protocol buffers write it; overlong: its tag and length take a byte more than they need."""
    head = [number << 3 | 2, len(content)]
    return b"".join(_varint(value, overlong=overlong) for value in head) + content


def _varint(value: int, *, overlong: bool) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F)
    digits += [0] * overlong
    return bytes([*(digit | 0x80 for digit in digits[:-1]), digits[-1]])


def pushed(client: Any, pool: str, content: bytes, store: FolderStore) -> ModelRef:
    """Put a model where the pool's agents find it."""
    artifact = store.put(content)
    WorkloadBus(client).push(pool, artifact, store)
    return ModelRef.of(artifact)
