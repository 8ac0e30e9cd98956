"""The journal: what was measured outlives the process, what failed is not remembered for ever, and it stays small."""

import os
from pathlib import Path

from pfpnas_agent.journal import Journal
from pfpnas_api.kinds.metrics import Accuracy
from pfpnas_api.messages import FailureReason, MeasureResult


def result(number: int, failure: FailureReason | None = None) -> MeasureResult:
    accuracy = None if failure else Accuracy(value=0.5, samples=10)
    return MeasureResult(task_id=f"{number:032x}", failure=failure, accuracy=accuracy)


def test_a_result_is_there_for_the_next_process(tmp_path: Path) -> None:
    Journal(tmp_path).record(result(1))
    assert Journal(tmp_path).unsent() == [result(1)]
    assert Journal(tmp_path).find(result(1).task_id) == result(1)


def test_a_sent_figure_is_found_but_not_sent_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record(result(1))
    journal.mark_sent(result(1))
    assert journal.unsent() == []
    assert journal.find(result(1).task_id) == result(1)


def test_a_sent_failure_is_forgotten_since_it_may_pass(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.record(result(1, "DeviceUnavailable"))
    assert journal.unsent() == [result(1, "DeviceUnavailable")]
    journal.mark_sent(result(1, "DeviceUnavailable"))
    assert journal.kept() == []
    assert journal.find(result(1).task_id) is None


def test_only_the_newest_sent_figures_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, most=3)
    for number in range(6):
        journal.record(result(number))
        path = tmp_path / "unsent" / f"{number:032x}.json"
        os.utime(path, ns=(number, number))
        journal.mark_sent(result(number))
    assert journal.kept() == [result(3), result(4), result(5)]


def test_unsent_results_are_never_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, most=1)
    for number in range(4):
        journal.record(result(number))
    journal.mark_sent(result(0))
    assert len(journal.unsent()) == 3


def test_a_torn_file_is_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    (tmp_path / "unsent" / f"{1:032x}.json").write_bytes(b'{"version":1,"task')
    assert journal.unsent() == []
    assert journal.find(f"{1:032x}") is None
