"""The device of `known_answer` as a program for the command backend: it reads the net from the ONNX file it is given.

    known_answer_device.py enumerable|larger NOISE SEED MEMORY DIRECTORY

`MEMORY` is a folder in which it keeps what it found out of a file, as others keep what they compiled.

The pictures of `secrets` tell their own label, and how hard they are; the device answers those right that are easier
than the net is accurate. So the agent, which scores the outputs by itself, finds a share that is known beforehand.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pfpnas_api.kinds import SearchSpaceSpec
    from pfpnas_api.spaces import Architecture, SearchSpace

CLASSES = 10
LEVELS = 256
"""A picture's hardness is one of so many."""

BAD_MODEL = 65
"""Exit code: the file is no net of the space."""


# -- the pictures ----------------------------------------------------------------------------------------------------


def secrets(count: int, *, seed: int = 0, size: int = 8) -> "tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[Any]]":
    """Grey pictures `(count, size, size)`, their labels `(count,)`, and their hardness `(count,)` in [0, 1).

    The upper half is as bright as the label says, the lower one as the hardness: resizing leaves the corners alone.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    labels, levels = rng.integers(0, CLASSES, count), rng.integers(0, LEVELS, count)
    labels[:CLASSES] = range(CLASSES)
    pictures = np.empty((count, size, size), np.uint8)
    pictures[:, : size // 2] = (labels * (LEVELS // CLASSES))[:, None, None]
    pictures[:, size // 2 :] = levels[:, None, None]
    return pictures, labels.astype(np.uint8), levels / LEVELS


def answers(inputs: "NDArray[Any]", share: float) -> "NDArray[np.float32]":
    """Logits `(n, 10)` for pictures `(n, 3, h, w)` in [0, 1]: right for those whose hardness is below `share`."""
    import numpy as np

    labels = np.rint(inputs[:, 0, 0, 0] * 255 / (LEVELS // CLASSES)).astype(int)
    right = np.rint(inputs[:, 0, -1, -1] * 255) / LEVELS < share
    return np.eye(CLASSES, dtype=np.float32)[np.where(right, labels, (labels + 1) % CLASSES)]


# -- the net ---------------------------------------------------------------------------------------------------------


def read(space: "SearchSpace", content: bytes) -> "Architecture":
    """The architecture of a candidate, from the convolutions in its ONNX file alone.

    Raises:
        ValueError: no such net, or one whose stages can't be told apart.
    """
    import onnx

    from pfpnas_api.spaces import Architecture, BlockGene

    graph = onnx.load_from_string(content).graph
    sizes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    convolutions = [(*sizes[node.input[1]], _stride(node)) for node in graph.node if node.op_type == "Conv"]
    stages: list[list[BlockGene]] = []
    # Behind the stem and the fixed block, and before the feature convolution, three make a block.
    for at in range(3, len(convolutions) - 1, 3):
        (middle, inputs, _, _, _), (_, _, kernel, _, stride), (outputs, *_) = convolutions[at : at + 3]
        if stride > 1 or inputs != outputs or not stages:
            stages.append([])
        stages[-1].append(BlockGene(kernel, middle // inputs))
    side = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    return space.parse(Architecture(side, tuple(map(tuple, stages))).id)


def _stride(node: Any) -> int:
    return int(next(attribute.ints[0] for attribute in node.attribute if attribute.name == "strides"))


@dataclass(frozen=True)
class Figures:
    """What the device does with one file: milliseconds a run, and the share of pictures that it answers right."""

    milliseconds: float
    accuracy: float


def figures(spec: "SearchSpaceSpec", content: bytes, *, noise: float, seed: int) -> Figures:
    """By the closed form of `known_answer`; with noise, the very draw that it makes.

    Raises:
        ValueError: the file holds no net of the space.
    """
    from pfpnas_api.spaces import to_matrix
    from support.known_answer import KnownAnswer

    known = KnownAnswer(spec, noise=noise, seed=seed)
    architecture = read(known.space, content)
    latency = known.measured(architecture).latency_milliseconds
    assert latency is not None
    return Figures(latency.p50, float(known.accuracies(to_matrix(known.space, [architecture]))[0]))


# -- the program -----------------------------------------------------------------------------------------------------


def remembered(memory: Path, digest: str, name: str, content: bytes, *, noise: float, seed: int) -> Figures:
    """The figures of a file, from the memory when it was seen before."""
    kept = memory / f"{digest}.json"
    if not kept.exists():
        from support import known_answer

        spec = {"enumerable": known_answer.ENUMERABLE, "larger": known_answer.LARGER}[name]
        found = figures(spec, content, noise=noise, seed=seed)
        kept.with_suffix(f".{os.getpid()}").write_text(json.dumps([found.milliseconds, found.accuracy]))
        kept.with_suffix(f".{os.getpid()}").replace(kept)
    return Figures(*json.loads(kept.read_text()))


def main(space: str, noise: str, seed: str, memory: str, place: str) -> None:
    """Answer one request; runs that are told have really passed, since the agent looks at its own clock."""
    started, folder = time.monotonic(), Path(place)
    request = json.loads((folder / "request.json").read_text())
    content = (folder / request["model"]).read_bytes()
    try:
        found = remembered(Path(memory), request["sha256"], space, content, noise=float(noise), seed=int(seed))
    except ValueError as e:
        print(e)
        sys.exit(BAD_MODEL)
    told = [request["batch_size"] * found.milliseconds] * request["runs"]
    answer: dict[str, Any] = {"version": 1, "latency_ms": told}
    if "inputs" in request:
        import numpy as np

        np.save(folder / "outputs.npy", answers(np.load(folder / request["inputs"]), found.accuracy))
        answer["outputs"] = "outputs.npy"
    time.sleep(max(0.0, sum(told) / 1e3 - (time.monotonic() - started)))
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # a program finds tests/support only when it is told
    main(*sys.argv[1:])
