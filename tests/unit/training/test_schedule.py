"""The plan of a training: steps, learning rate, delayed shrinking, time left."""

import pytest

from pfpnas_workloads.training.pace import Pace
from pfpnas_workloads.training.schedule import Schedule


def make_schedule(**changes: float) -> Schedule:
    fields = {"images": 1000, "batch_size": 100, "epochs": 10, "peak": 0.4, "shrink_after": 0.3} | changes
    return Schedule(**fields)  # type: ignore[arg-type]


def test_an_epoch_goes_without_its_incomplete_batch() -> None:
    assert make_schedule(images=1099).steps_per_epoch == 10
    assert make_schedule(images=1099).steps == 100


def test_a_batch_is_all_images_when_there_are_fewer() -> None:
    schedule = make_schedule(images=30)
    assert (schedule.batch, schedule.steps_per_epoch) == (30, 1)


def test_learning_rate_rises_linearly_then_falls_to_nearly_nothing() -> None:
    schedule = make_schedule()
    rates = [schedule.learning_rate(step) for step in range(100)]
    assert rates[:5] == pytest.approx([0.08, 0.16, 0.24, 0.32, 0.4])
    assert max(rates) == pytest.approx(0.4)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize(("share", "first"), [(0.0, 0), (0.3, 30), (0.95, 95)])
def test_smaller_nets_join_after_their_share_of_the_steps(share: float, first: int) -> None:
    assert make_schedule(shrink_after=share).first_shrinking_step == first


def test_time_left_counts_both_kinds_of_steps() -> None:
    pace = Pace(make_schedule())
    assert pace.remaining(0) is None
    pace.took(1.0, shrinking=False)
    assert pace.remaining(10) == pytest.approx(20 * 1 + 70 * 2)
    pace.took(3.0, shrinking=True)
    assert pace.remaining(40) == pytest.approx(60 * 3)
