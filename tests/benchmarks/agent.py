"""What the agent itself costs: a task outside warm-up, timed runs and inference on the private data; idle memory.

    uv run python tests/benchmarks/agent.py

A real agent and a real Redis; the private data are the quick start's 1,797 digits, the candidates the smallest and the
largest net of its space (and the largest of the full width, whose 1,280 features make the costliest head).
There is no peer: no other program answers the same question.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.nets import Supernet, extract, to_onnx
from support.agent_process import AgentProcess, World
from support.redis_server import redis_server

DIGITS = Path(__file__).parents[2] / "examples/digits/digits"
TASKS = 9
TARGET_SECONDS, TARGET_MB = 1.0, 90.0


def candidates() -> dict[str, bytes]:
    """ONNX files by name; weights are random, which costs the same."""
    found = {}
    for width in (0.25, 1.0):
        space = SearchSpace(
            width_multiplier=width, kernel_sizes=(3, 5), expand_ratios=(2, 3, 4), resolutions=(16, 24), classes=10
        )
        supernet = Supernet(space).eval()
        if width < 1:
            found["smallest 0.25"] = to_onnx(extract(supernet, space.minimum()))
        found[f"largest {width:g}"] = to_onnx(extract(supernet, space.maximum()))
    return found


def overheads(world: World, agent: AgentProcess, model: bytes, reference: bytes) -> list[float]:
    """Seconds of each task outside warm-up, timed runs and inference."""
    shared = {"model": world.push(model), "reference": world.push(reference), "dataset": "digits"}
    seconds = []
    for repetition in range(TASKS):
        task = world.task(**shared, repetition=repetition)
        result = world.measured(task)
        assert result.failure is None, result.failure
        agent.wait_for("measured")
        logged = next(line for line in agent.events("measured") if line["task"] == task.task_id)
        seconds.append(logged["seconds"] - sum(logged["phases"].values()))
    return seconds


def resident_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


def row(name: str, figure: float, unit: str, target: float) -> dict[str, Any]:
    """One row, rounded to what the measurement is worth."""
    shown = {"figure": round(figure, 2), "unit": unit, "target": f"<= {target:g}"}
    return {"row": name, **shown, "peer": None, "peer_figure": None}


def main() -> None:
    """Print one JSON object a line."""
    models = candidates()
    with redis_server() as server, tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "device", server.url)
        world.config["datasets"]["digits"] = {
            "format": "IDX",
            "images": str(DIGITS / "images-idx3-ubyte"),
            "labels": str(DIGITS / "labels-idx1-ubyte"),
        }
        with world.agent() as agent:
            agent.wait_for("agent starts")
            world.operator.ensure_pool("bench")
            for name, model in models.items():
                median = statistics.median(overheads(world, agent, model, models["smallest 0.25"]))
                print(json.dumps(row(f"agent: task, {name}", median, "s", TARGET_SECONDS)), flush=True)
            print(json.dumps(row("agent: idle memory", resident_mb(agent.pid), "MB", TARGET_MB)), flush=True)


if __name__ == "__main__":
    main()
