"""`pfpnas-agent export`: the deployable model, made on the owner's side: backbone and fitted head in one ONNX file.

The head is fitted again on the training split only, so that it is the very one whose accuracy was reported.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pfpnas_agent.backends.onnx_runtime import CPU, input_size, open_session, translated
from pfpnas_agent.config import AgentConfig
from pfpnas_agent.datasets import Prepared, prepare
from pfpnas_agent.datasets.resize import as_inputs
from pfpnas_agent.datasets.splits import TRAIN, VALIDATION
from pfpnas_agent.failures import Refused
from pfpnas_agent.heads import ridge
from pfpnas_agent.state import StateDir
from pfpnas_api.artifacts import write_atomically

BATCH = 64


class ExportError(Exception):
    """No deployable model; the message says why and what to do."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    bytes: int
    classes: int
    train_images: int
    validation_accuracy: float


def export(config: AgentConfig, state: StateDir, *, model: Path, dataset: str, out: Path) -> Exported:
    """Fit the head on the training split, fold it into the model, and write one ONNX file with the output `logits`.

    Raises:
        ExportError: no such alias, no onnx package, a model that breaks the contract.
        DataError: the data can't be used.
        ArtifactError: `out` can't be written.
    """
    onnx = _onnx()
    if dataset not in config.datasets:
        raise ExportError(f"datasets: no {dataset!r} in the config; known are {', '.join(config.datasets) or 'none'}")
    data = prepare(dataset, config.datasets[dataset].model_dump(mode="json"), state.cache)
    try:
        features = _features(model, data)
    except Refused as e:
        raise ExportError(f"{model} is no candidate: {e}") from e
    except OSError as e:
        raise ExportError(f"{model} can't be read: {e.strerror}") from e
    train, scored = data.rows(TRAIN), data.rows(VALIDATION)
    head = ridge.fit(features[train], data.labels[train], classes=data.classes)
    content = _with_head(onnx, onnx.load_model_from_string(model.read_bytes()), head)
    write_atomically(out, content)
    right = head.predicted(features[scored]) == data.labels[scored]
    return Exported(len(content), data.classes, len(train), float(np.mean(right)))


def _onnx() -> Any:
    try:
        import onnx  # noqa: PLC0415 - the extra [export]; no measurement needs it
    except ImportError as e:
        raise ExportError("export needs the onnx package: pip install onnx") from e
    return onnx


def _features(model: Path, data: Prepared) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Features `(n, d)` of every image; the CPU computes them, whatever the target."""
    session = open_session(model, providers=(CPU,), threads=0)
    images = data.images(*input_size(session))
    with translated():
        parts = [
            session.run(["features"], {"images": as_inputs(images[at : at + BATCH])})[0]
            for at in range(0, len(images), BATCH)
        ]
    return np.concatenate(parts)


def _with_head(onnx: Any, model: Any, head: ridge.Ridge) -> bytes:
    """The model with everything behind `features` replaced by one Gemm, whose output is `logits`."""
    graph = model.graph
    kept = _needed(graph, "features")
    tensors = {
        "head.weight": head.weights.astype(np.float32),  # (d, classes)
        "head.bias": head.bias.astype(np.float32),  # (classes)
    }
    gemm = onnx.helper.make_node("Gemm", ["features", *tensors], ["logits"], name="head")
    used = {name for node in kept for name in node.input}
    initializers = [tensor for tensor in graph.initializer if tensor.name in used]
    added = [onnx.numpy_helper.from_array(array, name) for name, array in tensors.items()]
    inputs = [value for value in graph.input if value.name == "images"]
    batch = inputs[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [batch, len(head.bias)])
    made = onnx.helper.make_graph([*kept, gemm], graph.name or "deployable", inputs, [logits], [*initializers, *added])
    result = onnx.helper.make_model(made, opset_imports=model.opset_import, ir_version=model.ir_version)
    onnx.checker.check_model(result)
    content: bytes = result.SerializeToString()
    return content


def _needed(graph: Any, output: str) -> list[Any]:
    """The nodes on which an output depends, in the graph's order."""
    wanted, kept = {output}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]
