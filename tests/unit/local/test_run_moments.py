"""The times of a run's cycles: what the documents tell of them keeps the order in which trials ended."""

from datetime import timedelta

from pfpnas_operator.local.driver import moment_after
from support.reconcile_builders import NOW, make_trial

MILLISECOND, MICROSECOND = timedelta(milliseconds=1), timedelta(microseconds=1)


def test_a_cycle_is_never_at_the_time_of_the_one_before() -> None:
    first = moment_after(NOW - MILLISECOND, clock=NOW + 7 * MICROSECOND)
    second = moment_after(first, clock=NOW + 8 * MICROSECOND)
    third = moment_after(second, clock=NOW + 9 * MICROSECOND)
    assert (first, second, third) == (NOW, NOW + MILLISECOND, NOW + 2 * MILLISECOND)
    assert moment_after(third, clock=NOW + 50 * MILLISECOND) == NOW + 50 * MILLISECOND


def test_a_time_is_as_exact_as_the_documents_tell_it() -> None:
    moment = moment_after(NOW, clock=NOW + 1234 * MICROSECOND)
    trial = make_trial(0, "Succeeded", finishedAt=moment)
    again = type(trial).model_validate(trial.document())
    assert again.status.finished_at == moment


def test_a_clock_that_was_set_back_is_believed() -> None:
    hour = timedelta(hours=1)
    assert moment_after(NOW, clock=NOW - hour) == NOW - hour
