"""Candidates as ONNX files, written directly from the arrays: no tracing, milliseconds instead of seconds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from pfpnas_workloads.nets.elastic import NORM_EPSILON
from pfpnas_workloads.nets.extract import arrays
from pfpnas_workloads.nets.static import StaticBlock, StaticNet
from pfpnas_workloads.nets.wire import join_model

OPSET = 13
"""Operator set, old on purpose: onnxruntime reads it since 1.6, and vendors' compilers lag behind."""

IR_VERSION = 7
"""The file format that came with opset 13."""

METADATA_KEY = "architecture"
"""The only metadata of a candidate: its canonical id."""

Array = NDArray[np.float32]


def to_onnx(static: StaticNet) -> bytes:
    """`static` as a single ONNX file; the same arrays always give the same bytes.

    Input `images`: float32 RGB in [0, 1], `(batch, 3, resolution, resolution)`. Outputs `features`,
    `(batch, features)`, and `logits`, `(batch, classes)`. BatchNorm is folded into the convolutions, the standard
    deviation of the normalisation into the stem; its mean is subtracted in a node of its own, since the stem pads
    with zeros *after* the subtraction.

    Args:
        static: The net, in whatever mode: its running statistics are used.
    """
    graph = _Graph(arrays(static))
    x = _trunk(graph, static)
    graph.add("GlobalAveragePool", [x], "pooled")
    graph.add("Flatten", ["pooled"], "features", axis=1)
    head = [graph.constant(name, graph.tensors[name]) for name in ("classifier.weight", "classifier.bias")]
    graph.add("Gemm", ["features", *head], "logits", transB=1)
    _declare(graph, static)
    return join_model(graph.model, graph.constants)


def _trunk(graph: "_Graph", static: StaticNet) -> str:
    """Everything up to the feature map; returns the value's name."""
    tensors = graph.tensors
    for name, bound in (("relu6.min", 0.0), ("relu6.max", 6.0)):
        graph.constant(name, np.array(bound, dtype=np.float32))
    mean = graph.constant("mean", tensors["preparation.mean"])
    graph.add("Sub", ["images", mean], "centred")
    scale = np.float32(1) / tensors["preparation.std"]  # (1, 3, 1, 1)
    stride = static.space.table.stem_stride
    x = graph.convolve("centred", "stem.conv", "stem.norm", input_scale=scale, stride=stride)
    x = graph.relu6(x)
    for index, block in enumerate(static.blocks):
        assert isinstance(block, StaticBlock)
        x = _block(graph, x, f"blocks.{index}", block)
    return graph.relu6(graph.convolve(x, "feature.conv", "feature.norm"))


def _block(graph: "_Graph", x: str, name: str, block: StaticBlock) -> str:
    shape, mid = block.shape, x
    if shape.has_expansion:
        mid = graph.relu6(graph.convolve(mid, f"{name}.expand_conv", f"{name}.expand_norm"))
    mid = graph.convolve(
        mid, f"{name}.depthwise_conv", f"{name}.depthwise_norm", stride=shape.stride, groups=shape.mid_channels
    )
    out = graph.convolve(graph.relu6(mid), f"{name}.project_conv", f"{name}.project_norm")
    return graph.add("Add", [x, out], f"{name}.sum") if shape.residual else out


class _Graph:
    """A model that is being written, over the net's `tensors`."""

    def __init__(self, tensors: dict[str, Array]) -> None:
        self.tensors = tensors
        self.model = ModelProto(ir_version=IR_VERSION, producer_name="pfpnas")
        self.proto = self.model.graph
        self.constants: list[tuple[str, Array]] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node; returns `output`, its value's name."""
        self.proto.node.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        """Append a float32 initializer; returns `name`."""
        self.constants.append((name, values))
        return name

    def relu6(self, x: str) -> str:
        """Append ReLU6."""
        return self.add("Clip", [x, "relu6.min", "relu6.max"], f"{x}.relu6")

    def convolve(
        self,
        x: str,
        conv: str,
        norm: str,
        *,
        stride: int = 1,
        groups: int = 1,
        input_scale: Array | None = None,
    ) -> str:
        """Append the convolution named `conv` with the BatchNorm named `norm` folded in."""
        weight, bias = self._folded(conv, norm)
        if input_scale is not None:
            weight = weight * input_scale
        inputs = [x, self.constant(f"{conv}.weight", weight), self.constant(f"{conv}.bias", bias)]
        kernel = weight.shape[-1]
        return self.add(
            "Conv",
            inputs,
            conv,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )

    def _folded(self, conv: str, norm: str) -> tuple[Array, Array]:
        """Weight `(out, in / groups, k, k)` and bias `(out,)`; the factors in double precision."""
        gamma, beta, mean, variance = (
            self.tensors[f"{norm}.{key}"].astype(np.float64)
            for key in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + NORM_EPSILON)
        weight = self.tensors[f"{conv}.weight"] * factor.astype(np.float32)[:, None, None, None]
        return weight, (beta - mean * factor).astype(np.float32)


def _declare(graph: _Graph, static: StaticNet) -> None:
    """Write inputs, outputs, operator set and metadata."""
    side = static.architecture.resolution
    graph.proto.name = "candidate"
    graph.proto.input.append(_value("images", 3, side, side))
    features, classes = static.space.feature_channels, static.space.classes
    graph.proto.output.extend([_value("features", features), _value("logits", classes)])
    graph.model.opset_import.append(helper.make_opsetid("", OPSET))
    helper.set_model_props(graph.model, {METADATA_KEY: static.architecture.id})


def _value(name: str, *shape: int) -> ValueInfoProto:
    """A float32 value of `(batch, *shape)`."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
