"""What the observer makes of answers: the unreadable are counted, and others' are left to them."""

from typing import Any

import pytest

from pfpnas_api.messages import MeasureResult
from pfpnas_operator.reconcile.measuring import measure_task
from support.reconcile_builders import make_experiment, make_supernet
from support.world import World, figures_of

THEIRS = "f" * 32
"""A task that is not this experiment's."""


def _searching() -> World:
    """A world in the midst of its search."""
    world = World(make_supernet(), make_experiment())
    while not world.measured:
        world.cycle()
        world.tick()
    return world


def test_every_answer_that_cannot_be_read_is_counted_once() -> None:
    world = _searching()
    for number in range(5):
        world.results["agent-1", f"unreadable-{number}"] = None  # type: ignore[assignment]
    for _ in range(3):
        world.cycle()
    assert world.experiment.status.refused_results == 5
    assert not [entry for _, entry in world.results if entry.startswith("unreadable")]


def test_answer_that_another_search_takes_between_two_looks_is_no_replicate(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _searching()
    world.answer("agent-2", MeasureResult(task_id=THEIRS, failure="OutOfMemory"))
    entry = ("agent-2", str(world.answers))
    bus: Any = world.observer.bus
    tasks = bus.tasks

    def taken_meanwhile(pool: str) -> Any:
        world.results.pop(entry, None)
        return tasks(pool)

    monkeypatch.setattr(bus, "tasks", taken_meanwhile)
    world.cycle()
    assert world.experiment.status.replicates == 0


def test_answer_to_a_task_that_never_was_is_refused_and_removed() -> None:
    world = _searching()
    world.answer("agent-2", MeasureResult(task_id=THEIRS, failure="OutOfMemory"))
    world.cycle()
    assert (world.experiment.status.replicates, world.experiment.status.refused_results) == (0, 1)
    assert not world.results


def test_late_second_answer_is_a_replicate_even_after_redis_lost_everything() -> None:
    world = _searching()
    while not any(trial.finished for trial in world.documents.values()):
        world.tick()
        world.cycle()
    done = next(trial for trial in world.documents.values() if trial.finished)
    task = measure_task(world.experiment, done.status.artifact, world.experiment.status.reference)
    world.flush()
    world.start_operator()
    world.answer("agent-2", figures_of(task))
    world.cycle()
    assert (world.experiment.status.replicates, world.experiment.status.refused_results) == (1, 0)
