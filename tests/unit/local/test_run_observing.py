"""What the observer makes of answers: the unreadable are counted, and others' are left to them."""

from support.reconcile_builders import make_experiment, make_supernet
from support.world import World


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
