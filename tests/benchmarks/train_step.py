"""What a sandwich step costs: all nets of a step against the largest net by itself, on the same batch.

The peer is an ordinary training step (forward, backward, SGD) of the largest architecture as a static net, the way it
would be trained without a supernet. The supernet's step trains the largest, the smallest and two random nets. The space
is elastic in all four ways; the narrower a space, the more a random net of it costs. The quick start's, narrow so that
even its smallest net is good, has a row of its own without a target.

Run as ``python tests/benchmarks/train_step.py``; prints one JSON row a line.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.kinds.supernet import DatasetSpec, SearchSpaceSpec, ShapesSpec, Supernet, TrainingSpec
from pfpnas_workloads.data import load
from pfpnas_workloads.data.augment import augment, stream, to_unit
from pfpnas_workloads.nets import StaticNet
from pfpnas_workloads.training.memory import keep_freed_memory
from pfpnas_workloads.training.trainer import Trainer

QUICK_START = Path(__file__).parents[2] / "examples/digits/supernet.yaml"
SPACE = SearchSpaceSpec(
    backbone="MobileNetV2",
    width_multiplier="0.25",
    kernel_sizes=(3, 5),
    expand_ratios=(2, 3, 4),
    depths=(1, 2, 3),
    resolutions=(16, 20, 24, 28, 32),
)
ROUNDS, WARM_UP = 24, 3
TARGET = 2.2
BATCH = 64


def main() -> None:
    """Measure both spaces and print their medians."""
    keep_freed_memory()
    quick_start = Supernet.model_validate(yaml.safe_load(QUICK_START.read_text())).spec
    training = TrainingSpec(batch_size=BATCH, random_subnets=2)
    _compare("train_step", _trainer(SPACE, training), target=TARGET)
    _compare("train_step quick start", _trainer(quick_start.search_space, quick_start.training), target=None)


def _compare(row: str, trainer: Trainer, *, target: float | None) -> None:
    sandwich, static = _timed(_sandwich_steps(trainer), _static_steps(trainer))
    ratio = statistics.median(sandwich) / statistics.median(static)
    _row(row, ratio, "x", target, "a step of the largest static net", 1.0)
    figures = [trainer.schedule.batch / statistics.median(times) for times in (sandwich, static)]
    _row(f"{row}, images", figures[0], "images/s", None, "the largest static net", figures[1])


def _trainer(space: SearchSpaceSpec, training: TrainingSpec) -> Trainer:
    """A training at the first step that trains all nets."""
    side = max(space.resolutions)
    shapes = ShapesSpec(samples=4000, validation_samples=50, resolution=side)
    data = load(DatasetSpec(format="Shapes", shapes=shapes), store=FolderStore(Path()), side=side)
    trainer = Trainer(training, space, data)
    trainer.step = trainer.schedule.first_shrinking_step
    return trainer


def _sandwich_steps(trainer: Trainer) -> Callable[[], object]:
    return trainer.advance


def _static_steps(trainer: Trainer) -> Callable[[], object]:
    net = StaticNet(trainer.space, trainer.space.maximum(), mean=trainer.data.mean, std=trainer.data.std)
    net = net.to(trainer.device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    batches = _batches(trainer)

    def step() -> None:
        images, labels = next(batches)
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()

    return step


def _batches(trainer: Trainer) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches, as the sandwich step makes them for itself."""
    size, step = trainer.schedule.batch, 0
    while True:
        indices = torch.arange(step * size, (step + 1) * size) % trainer.schedule.images
        images = augment(trainer.data.train_images[indices], stream(0, step), mirror=False)
        yield to_unit(images, device=trainer.device), trainer.data.train_labels[indices].to(trainer.device)
        step += 1


def _timed(*steps: Callable[[], object]) -> list[list[float]]:
    """Seconds of each step, round by round, so that a disturbance meets all of them."""
    times: list[list[float]] = [[] for _ in steps]
    for round_number in range(WARM_UP + ROUNDS):
        for step, kept in zip(steps, times, strict=True):
            before = time.perf_counter()
            step()
            if round_number >= WARM_UP:
                kept.append(time.perf_counter() - before)
    return times


def _row(row: str, figure: float, unit: str, target: float | None, peer: str, peer_figure: float) -> None:
    values = {"row": row, "figure": round(figure, 3), "unit": unit, "target": target}
    print(json.dumps({**values, "peer": peer, "peer_figure": round(peer_figure, 3)}))


if __name__ == "__main__":
    main()
