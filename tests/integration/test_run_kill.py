"""`pfpnas run` killed with -9, alone or with all its children: nothing stays behind, is lost or doubled."""

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pfpnas_api.kinds import Trial, TrialMetrics
from support.run_process import Place, RunProcess

pytestmark = pytest.mark.timeout(900)

SLOW = {
    "spec": {
        # Long enough that a kill hits a measurement, and one at a time so that others wait meanwhile.
        "target": {"measurement": {"warmupSeconds": "0.5"}},
        "budget": {"maxTrials": 4, "parallelTrials": 2},
    }
}


class Before:
    """What was there when everything was killed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._metrics = _metrics(place.trials())
        self._journal = place.journal()
        self._scored = _scored(place)

    def assert_kept(self) -> None:
        """Every measured result is as it was, and none was measured again."""
        after = _metrics(self._place.trials())
        assert {name: after.get(name) for name in self._metrics} == self._metrics
        journal = self._place.journal()
        assert {name: journal.get(name) for name in self._journal} == self._journal
        scored = _scored(self._place)
        assert {name: scored.get(name) for name in self._scored} == self._scored
        measured = self._place.measured()
        assert {task: measured[task] for task in self._tasks if measured[task] > 1} == {}

    @property
    def _tasks(self) -> list[str]:
        return [name.removesuffix(".json") for name in self._journal]


def _metrics(trials: Mapping[str, Trial]) -> dict[str, TrialMetrics | None]:
    return {name: trial.status.metrics for name, trial in trials.items() if trial.finished}


def _scored(place: Place) -> dict[str, object]:
    return {e.name: e.accuracy for e in place.documents()[1].status.evaluations if e.accuracy is not None}


def _assert_whole(place: Place, *, trials: int) -> None:
    place.assert_whole(trials=trials)
    assert (place.out / "report.html").is_file()


def _killed_at(place: Place, moment: Callable[[RunProcess], object]) -> Before:
    with place.run() as run:
        moment(run)
        run.kill_all()
        return Before(place)


JOURNAL_SECONDS = 2.0
"""Longest time between a measuring process' end and its result in the journal, on a loaded machine."""


def _unsent_result(place: Place, run: RunProcess) -> None:
    """A result in the journal that can't be sent, since Redis is frozen before its measurement ends."""
    unsent = place.out / "agent" / "journal" / "unsent"

    def journalled() -> bool:
        return any(not path.name.startswith(".") for path in unsent.glob("*.json"))

    while not journalled():
        measuring, redis = run.child("pfpnas_agent.measuring"), run.child("redis-server")
        os.kill(redis, signal.SIGSTOP)
        run.until(lambda pid=measuring: journalled() or pid not in run.children(), "the measurement's end")
        # The journal is written after the measuring process has ended, within milliseconds.
        deadline = time.monotonic() + JOURNAL_SECONDS
        while not journalled() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not journalled():  # frozen too late, once the answer was sent: the next one, then
            os.kill(redis, signal.SIGCONT)


def _first_steps(place: Place) -> list[int]:
    """At which step each process of the training began."""
    log = (place.out / "logs" / "tiny-net-pretrain.log").read_text()
    return [int(step) for step in re.findall(r"starts at step (\d+) of", log)]


def test_training_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    training = {"spec": {"training": {"epochs": 2}}}
    place = Place(tmp_path, supernet=training, experiment={"spec": {"budget": {"maxTrials": 1}}})
    refs = place.out / "artifacts" / "refs"
    with place.run() as run:
        run.until(lambda: list(refs.glob("*.checkpoint.json")), "a checkpoint")
        run.kill_all()
    kept = place.documents()[0]
    assert kept.status.checkpoint is None
    assert _first_steps(place) == [0]
    with place.run() as run:
        run.child("fit-predictor")
        assert [step > 0 for step in _first_steps(place)] == [False, True]
        run.kill_all()
    trained = place.documents()[0].status.checkpoint
    assert trained is not None
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    assert place.documents()[0].metadata.uid == kept.metadata.uid
    assert place.documents()[0].status.checkpoint == trained
    _assert_whole(place, trials=1)


def test_search_killed_time_and_again_loses_and_repeats_nothing(trained: Callable[..., Place]) -> None:
    place = trained(SLOW)
    moments: list[Callable[[RunProcess], object]] = [
        lambda run: run.until(place.trials, "a trial to build"),
        lambda run: run.child("pfpnas_agent.measuring"),
        lambda run: run.until(lambda: _metrics(place.trials()), "a measured trial"),
        lambda run: _unsent_result(place, run),
        lambda run: run.until(lambda: _scored(place), "a net scored on the test split"),
    ]
    killed = [_killed_at(place, moment) for moment in moments]
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    for before in killed:
        before.assert_kept()
    _assert_whole(place, trials=4)


def test_killed_alone_it_leaves_no_process_behind(trained: Callable[..., Place]) -> None:
    place = trained(SLOW)
    with place.run() as run:
        run.child("pfpnas_agent.measuring")
        assert {"redis-server", "tune", "--serve", "pfpnas_agent run", "measuring"} <= _roles(run)
        run.kill()
        run.await_no_children()
        before = Before(place)
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    before.assert_kept()
    _assert_whole(place, trials=4)


def _roles(run: RunProcess) -> set[str]:
    words = ("redis-server", "tune", "--serve", "pfpnas_agent run", "measuring")
    return {word for word in words if any(word in line for line in run.children().values())}
