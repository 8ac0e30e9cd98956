"""Whatever dies in mid-search, and however much Redis forgets: the run goes on by itself, to the same result.

The device is one whose answers are known, so every figure of a search with one trial at a time is determined, those of
the predictors that choose its trials included: a search that was disturbed is held to one that was not, figure by
figure.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import find_condition, is_true
from pfpnas_api.messages import LogEntry
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.workload import make_proposer
from support.known_answer import ENUMERABLE
from support.known_answer_run import known_place
from support.run_process import Place, RunProcess

pytestmark = pytest.mark.timeout(600)

TRIALS = 14
"""The first eight fill the space; the others are chosen by predictors, which are fitted anew after every second."""

ONE_BY_ONE: dict[str, Any] = {
    "spec": {
        "tuner": {"algorithm": "TPE", "pseudoTrials": 40, "seed": 3},
        "predictor": {"refitEvery": 2},
        "objective": {"constraints": [{"metric": "Latency", "max": "1.1ms"}]},
        "budget": {"maxTrials": TRIALS, "parallelTrials": 1},
    }
}

SEVERAL: dict[str, Any] = {
    "spec": {
        "tuner": {"algorithm": "RandomSearch", "seed": 5},
        "budget": {"maxTrials": 6, "parallelTrials": 3},
    }
}


def figures(place: Place) -> dict[str, Any]:
    """What a search found, without times, names of agents, and what depends on this machine's speed."""
    status = place.documents()[1].status
    trials = {
        name: (
            trial.spec.architecture,
            trial.spec.origin,
            trial.status.metrics,
            trial.status.repeat,
            trial.status.predicted,
            trial.status.score,
            trial.status.feasible,
            trial.status.artifact,
        )
        for name, trial in place.trials().items()
    }
    ended = find_condition(status.conditions, "Succeeded")
    evaluations = [(one.name, one.architecture, one.accuracy, one.reason) for one in status.evaluations]
    return {
        "trials": trials,
        "counts": status.trials,
        "best": status.best,
        "front": status.front,
        "predictor": status.predictor,
        "evaluations": evaluations,
        "finalists": [(one.trial, one.remeasurements, one.ranked, one.reason) for one in status.finalists],
        "ended": ended.reason if ended else None,
    }


def assert_whole(place: Place, *, trials: int) -> None:
    """Every index once, every trial succeeded, told as measured once, and measured once by the agent."""
    place.assert_whole(trials=trials)
    status = place.documents()[1].status
    assert is_true(status.conditions, "Succeeded")
    assert status.refused_results == 0
    assert told_as_measured(place) == dict.fromkeys(place.trials(), 1)
    assert set(place.measured().values()) == {1}


def told_as_measured(place: Place) -> Counter[str]:
    """How often the run's log says of each trial that it was measured."""
    lines = [json.loads(line) for line in (place.out / "log.jsonl").read_text().splitlines()]
    return Counter(line["subject"] for line in lines if line["reason"] == "Measured")


def finished(place: Place) -> int:
    return sum(trial.finished for trial in place.trials().values())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A search to which nothing happened."""
    place = known_place(tmp_path_factory.mktemp("undisturbed"), ONE_BY_ONE)
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    assert_whole(place, trials=TRIALS)
    predictor = place.documents()[1].status.predictor
    assert predictor is not None
    assert predictor.latency is not None
    assert predictor.accuracy is not None
    chosen = [trial for trial in place.trials().values() if trial.spec.origin == "Tuner"]
    assert any(trial.status.predicted and trial.status.predicted.latency_milliseconds for trial in chosen)
    return place


def dies(words: str, *, while_measuring: bool = True) -> Callable[[RunProcess], None]:
    """Kill -9 a process of the run, and wait until it is another one."""

    def strike(run: RunProcess) -> None:
        if while_measuring:
            run.child("pfpnas_agent.measuring")
        killed = run.kill_child(words)
        run.until(lambda: killed not in run.children(), "its death")
        run.until(lambda: any(words in line for line in run.children().values()), "its successor")

    return strike


def forgets(run: RunProcess) -> None:
    """Empty Redis while a candidate is being measured."""
    run.child("pfpnas_agent.measuring")
    run.redis().flushall()


FAULTS: list[tuple[int, Callable[[RunProcess], None]]] = [
    (1, dies("pfpnas_agent run")),
    (3, dies("--serve", while_measuring=False)),
    (5, forgets),
    (7, dies("redis-server")),
    (10, dies("pfpnas_workloads tune", while_measuring=False)),
    (11, forgets),
    (12, dies("pfpnas_workloads tune")),
]
"""What happens once so many trials have finished; the last three while predictors choose."""


def test_deaths_and_losses_in_mid_search_change_no_figure(undisturbed: Place, tmp_path: Path) -> None:
    place = known_place(tmp_path, ONE_BY_ONE)
    with place.run() as run:
        for after, strike in FAULTS:
            run.until(lambda after=after: finished(place) >= after, f"{after} measured trials")
            strike(run)
        assert run.wait() == 0, run.stdout + run.stderr
        assert run.children() == {}
    assert_whole(place, trials=TRIALS)
    assert figures(place) == figures(undisturbed)


def suggestions(place: Place) -> list[str]:
    """What the tuner suggests for a search whose trials don't depend on what was measured."""
    _, experiment = place.documents()
    job = TuneJob(
        uid="replay",
        experiment="replay",
        search_space=ENUMERABLE,
        classes=10,
        objective=experiment.spec.objective,
        tuner=experiment.spec.tuner,
    )
    asked = [LogEntry(event="Ask", count=experiment.spec.budget.max_trials)]
    return [str(one.architecture) for one in Answers(make_proposer(job), made={}).to(asked)]


def test_redis_emptied_time_and_again_loses_and_doubles_nothing(tmp_path: Path) -> None:
    place = known_place(tmp_path, SEVERAL)
    moments: list[tuple[Callable[[], Any], str]] = [
        (place.trials, "trials to build"),
        (lambda: place.measured() and finished(place) < 3, "some of several measured"),
        (lambda: finished(place) >= 3, "half of them measured"),
        (lambda: place.documents()[1].status.evaluations, "the evaluation"),
    ]
    with place.run() as run:
        for reached, what in moments:
            run.until(reached, what)
            run.redis().flushall()
        assert run.wait() == 0, run.stdout + run.stderr
        assert run.children() == {}
    assert_whole(place, trials=6)
    by_index = sorted(place.trials().values(), key=lambda trial: trial.spec.index or 0)
    assert [trial.spec.architecture for trial in by_index] == suggestions(place)
