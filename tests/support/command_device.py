"""A program for the command backend: `command_device.py BEHAVIOUR DIRECTORY`, honest or one of several liars."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Answer = dict[str, Any]


def honest(place: Path, request: Answer) -> Answer:
    """Really run the model, as the owner of an accelerator would."""
    import onnxruntime

    session = onnxruntime.InferenceSession((place / request["model"]).read_bytes())
    size = session.get_inputs()[0].shape[2]
    images = np.zeros((request["batch_size"], 3, size, size), np.float32)
    latency = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        session.run(["logits"], {"images": images})
        latency.append(1e3 * (time.perf_counter() - start))
    answer: Answer = {"version": 1, "latency_ms": latency, "peak_memory_bytes": 4096, "energy_mj": 1.5}
    if "inputs" in request:
        inputs = np.load(place / request["inputs"])
        np.save(place / "outputs.npy", session.run([request["output"]], {"images": inputs})[0])
        answer["outputs"] = "outputs.npy"
    print("device: done")
    return answer


def few(place: Path, request: Answer) -> Answer:
    answer = honest(place, request)
    return {**answer, "latency_ms": answer["latency_ms"][:5]}


def impossible(place: Path, request: Answer) -> Answer:
    return {**honest(place, request), "latency_ms": [60_000.0] * request["runs"]}


def nan(place: Path, request: Answer) -> Answer:
    return {**honest(place, request), "latency_ms": [float("nan")] * request["runs"]}


def extra(place: Path, request: Answer) -> Answer:
    return {**honest(place, request), "hostname": "secret"}


def narrow(place: Path, request: Answer) -> Answer:
    answer = honest(place, request)
    if "inputs" in request:
        np.save(place / "outputs.npy", np.load(place / "outputs.npy")[:-1])
    return answer


def infinite(place: Path, request: Answer) -> Answer:
    answer = honest(place, request)
    if "inputs" in request:
        np.save(place / "outputs.npy", np.load(place / "outputs.npy") * np.float32(np.inf))
    return answer


def link(place: Path, request: Answer) -> Answer:
    answer = honest(place, request)
    if "inputs" in request:
        os.rename(place / "outputs.npy", place.parent / "elsewhere.npy")
        (place / "outputs.npy").symlink_to(place.parent / "elsewhere.npy")
    return answer


def no_outputs(place: Path, request: Answer) -> Answer:
    return {name: value for name, value in honest(place, request).items() if name != "outputs"}


def hang(place: Path, request: Answer) -> Answer:
    time.sleep(600)
    return {}


def brood(place: Path, request: Answer) -> Answer:
    """Leave a child behind that would run for ever; its number is in a file beside this program's config."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with Path(sys.argv[2]).open("a") as file:
        file.write(f"{child.pid}\n")
    return honest(place, request)


def told(place: Path, request: Answer) -> Answer:
    """Note what the command was told: environment, folder, request."""
    seen = {"environment": dict(os.environ), "files": sorted(os.listdir(place)), "request": request}
    with Path(sys.argv[2]).open("a") as file:
        file.write(json.dumps(seen) + "\n")
    return honest(place, request)


def exits(place: Path, request: Answer) -> Answer:
    sys.exit(int(sys.argv[2]))


BEHAVIOURS: dict[str, Callable[[Path, Answer], Answer]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        honest, few, impossible, nan, extra, narrow, infinite, link, no_outputs, hang, brood, told, exits,
    )
}  # fmt: skip


def main() -> None:
    place = Path(sys.argv[-1])
    request = json.loads((place / "request.json").read_text())
    answer = BEHAVIOURS[sys.argv[1]](place, request)
    (place / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
