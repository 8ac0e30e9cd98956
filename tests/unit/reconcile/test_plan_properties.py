"""Properties of every plan: repeatable, bounded in size, and of a cost that does not grow with the finished trials."""

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from pfpnas_api.kinds import Accuracy, Evaluation, NASExperiment, Trial
from pfpnas_operator.documents import dump
from pfpnas_operator.reconcile import ExperimentObserved, LogView, Plan, reconcile_experiment
from pfpnas_operator.reconcile.summary import FRONT_SHOWN, Summary
from support.reconcile_builders import (
    NOW,
    SPACE,
    condition,
    experiment_status,
    make_answer,
    make_experiment,
    make_finalist,
    make_job,
    make_lease,
    make_metrics,
    make_trial,
    observe,
    suggest,
    task_id_of,
)

MANY = 2000


def many_trials(number: int, *, on_front: bool = False) -> list[Trial]:
    """So many measured trials; all of them on the front, or hardly any."""
    return [
        make_trial(
            index,
            "Succeeded",
            metrics=make_metrics(0.5 + index / 10_000 if on_front else 0.5, 1 + index / 1000),
            score=0.5 + index / 10_000,
        )
        for index in range(number)
    ]


def in_full_swing(experiment: NASExperiment) -> ExperimentObserved:
    """A bit of everything: done, answered, claimed, lost, queued, being built, new."""
    trials = [make_trial(index, "Built") for index in range(4)] + [make_trial(4), make_trial(None)]
    answered, claimed, lost, _ = (task_id_of(experiment, trial) for trial in trials[:4])
    return observe(
        experiment,
        make_trial(5, "Succeeded"),
        *trials,
        results={answered: (make_answer(answered), make_answer(answered, entry="8-0"))},
        tasks={claimed: make_lease(entry="2-0"), lost: make_lease(entry="3-0", age=10**4)},
        suggestions=suggest(*range(20)),
        log=LogView(),
    )


def carried_out(observed: ExperimentObserved, plan: Plan) -> ExperimentObserved:
    """What is seen once a plan was carried out and nothing else happened."""
    entries = count(1)
    trials = [*observed.active, *plan.create_trials]
    after = [t.model_copy(update={"status": plan.trial_status.get(t.metadata.name, t.status)}) for t in trials]
    tasks = {k: v for k, v in observed.tasks.items() if v.entry not in plan.delete_tasks}
    builds = {k: v for k, v in observed.builds.items() if v.entry not in plan.delete_builds}
    tasks |= {task.task_id: make_lease("Waiting", entry=f"9-{next(entries)}") for task in plan.tasks}
    builds |= {request.uid: make_lease("Waiting", entry=f"9-{next(entries)}") for request in plan.builds}
    summary = observed.summary
    for trial in after:
        summary = summary.add(trial) if trial.finished else summary
    told = {**dict.fromkeys(observed.log.started, "Started"), **dict.fromkeys(observed.log.finished, "Finished")}
    told |= plan.told
    return replace(
        observed,
        experiment=observed.experiment.model_copy(update={"status": plan.status or observed.experiment.status}),
        active=tuple(trial for trial in after if not trial.finished),
        summary=summary,
        untold=(),
        results={k: v for k, v in observed.results.items() if not set(v) <= set(plan.delete_results)},
        tasks=tasks,
        builds=builds,
        log=LogView(
            asked=max([observed.log.asked, *(entry.count or 0 for entry in plan.log)]),
            started=frozenset(told),
            finished=frozenset(name for name, state in told.items() if state == "Finished"),
        ),
    )


def test_the_same_observation_gives_the_same_plan() -> None:
    observed = in_full_swing(make_experiment(budget={"maxTrials": 20, "parallelTrials": 8}))
    assert reconcile_experiment(observed, NOW) == reconcile_experiment(observed, NOW)


@pytest.mark.parametrize("mode", ["Pooled", "Pod"])
def test_a_plan_that_was_carried_out_is_not_repeated(mode: str) -> None:
    observed = in_full_swing(make_experiment(mode=mode, budget={"maxTrials": 20, "parallelTrials": 8}))
    first = reconcile_experiment(observed, NOW)
    assert first.create_trials
    assert first.tasks
    assert first.log
    after = carried_out(observed, first)
    if mode == "Pod":
        jobs = {job.name: make_pending(job.name) for job in first.create_jobs}
        after = replace(after, jobs={**after.jobs, **jobs})
    second = reconcile_experiment(after, NOW)
    fresh = {trial.metadata.name for trial in first.create_trials}
    assert (second.create_trials, second.tasks, second.log, second.told, second.delete_results) == ([], [], [], {}, [])
    assert set(second.trial_status) <= fresh
    assert len(second.builds) + len(second.create_jobs) == len(fresh)
    third_seen = carried_out(after, second)
    if mode == "Pod":
        jobs = {job.name: make_pending(job.name) for job in second.create_jobs}
        third_seen = replace(third_seen, jobs={**third_seen.jobs, **jobs})
    third = reconcile_experiment(third_seen, NOW)
    wanted = {"wanted_tasks", "wanted_builds", "wanted_jobs", "waiting_jobs"}
    assert {key: value for key, value in vars(third).items() if key not in wanted and value} == {}


def make_pending(name: str) -> Any:
    return make_job(name, "Pending")


def with_builds(*, over: bool, suspend: bool) -> ExperimentObserved:
    """One that builds by Jobs of their own: new trials beside one to be measured, or (`over`) what baselines lack."""
    best = make_trial(5, "Succeeded")
    known: Any = {"accuracy": Accuracy(value=0.8, samples=300)}
    rows = (
        Evaluation(name="best", architecture=best.spec.architecture, **known),
        Evaluation(name="largest", architecture=SPACE.maximum().id),
        Evaluation(name="smallest", architecture=SPACE.minimum().id, **known),
        Evaluation(name="untrained", architecture=best.spec.architecture),
        Evaluation(name="rawPixels", **known),
    )
    finale = {
        "search_finished_at": NOW,
        "conditions": (condition("Searching", "BudgetSpent", status="False"),),
        "finalists": (make_finalist(best),),
        "evaluations": rows,
    }
    experiment = make_experiment(mode="Pod", budget={"maxTrials": 1 if over else 6}, **(finale if over else {}))
    wish = experiment.spec.model_copy(update={"suspend": suspend})
    trials = [best] if over else [make_trial(0), make_trial(1), make_trial(2, "Built")]
    return observe(experiment.model_copy(update={"spec": wish}), *trials)


def refused_input(observed: ExperimentObserved) -> dict[str, Any]:
    """What is seen when the experiment is at fault: agents do not know its dataset."""
    task = task_id_of(observed.experiment, make_trial(2, "Built"))
    return {"tasks": {task: make_lease(entry="2-0")}, "results": {task: (make_answer(task, failure="UnknownDataset"),)}}


@pytest.mark.parametrize("waits", ["Queued", "Unschedulable", "JobRefused", ""])
@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("why", ["nothing", "suspended", "failed"])
def test_what_a_plan_deletes_it_does_not_make_again(why: str, over: bool, waits: str) -> None:
    first = reconcile_experiment(with_builds(over=over, suspend=False), NOW)
    builds = [job.name for job in first.create_jobs if job.workload == "trial"]
    assert builds
    observed = with_builds(over=over, suspend=why == "suspended")
    state = "Queued" if waits == "Queued" else "Pending"
    jobs = {name: make_job(name, state, reason="" if waits == "Queued" else waits) for name in builds}
    seen: dict[str, Any] = refused_input(observed) if why == "failed" and not over else {}
    plan = reconcile_experiment(replace(observed, jobs={**observed.jobs, **jobs}, **seen), NOW)
    again = {job.name for job in plan.waiting_jobs}
    assert not again & set(plan.delete_jobs)
    goes = why == "suspended" or bool(seen)
    assert (again, set(builds) <= set(plan.delete_jobs)) == (set() if goes else set(builds), goes)


def test_what_was_seen_is_left_as_it_was() -> None:
    experiment = make_experiment()
    observed = in_full_swing(experiment)
    before = (observed.experiment.model_dump(), [trial.model_dump() for trial in observed.active], observed.summary)
    reconcile_experiment(observed, NOW)
    assert before == (observed.experiment.model_dump(), [t.model_dump() for t in observed.active], observed.summary)


@pytest.mark.parametrize("on_front", [False, True])
def test_a_status_stays_small_however_many_trials_there_are(on_front: bool) -> None:
    experiment = make_experiment(budget={"maxTrials": 3000})
    plan = reconcile_experiment(observe(experiment, *many_trials(MANY, on_front=on_front)), NOW)
    status = experiment_status(plan)
    assert status.trials.succeeded == MANY
    assert len(status.front) <= FRONT_SHOWN
    written = experiment.model_copy(update={"status": status})
    assert len(dump(written).encode()) < 64 * 1024
    assert len(NASExperiment.model_validate_json(written.model_dump_json()).status.front) == len(status.front)


def test_the_front_shows_the_best_scores_first() -> None:
    plan = reconcile_experiment(observe(make_experiment(), *many_trials(100, on_front=True)), NOW)
    scores = [ranked.score for ranked in experiment_status(plan).front]
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    assert scores[0] == pytest.approx(0.5 + 99 / 10_000)


def calls_of(action: Callable[[], object]) -> int:
    """Python functions called by an action: its cost without a clock."""
    calls = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


def test_the_cost_of_a_cycle_does_not_grow_with_the_finished_trials() -> None:
    experiment = make_experiment(budget={"maxTrials": 3000})
    active = [make_trial(5000 + index, "Built") for index in range(4)]

    def cost(finished: int) -> int:
        observed = observe(experiment, *many_trials(finished), *active)
        reconcile_experiment(observed, NOW)  # what is cached is cached now
        return calls_of(lambda: reconcile_experiment(observed, NOW))

    assert cost(MANY) == cost(20)


# -- the summary -----------------------------------------------------------------------------------------------------


def test_a_summary_counts_every_kind_of_end() -> None:
    trials = [
        *many_trials(30, on_front=True),
        make_trial(40, "Failed"),
        make_trial(41, "Failed", reason="Withdrawn"),
        make_trial(None, "Failed"),
        make_trial(42, "Succeeded", feasible=False, violation=0.5),
    ]
    grown = Summary()
    for trial in trials:
        grown = grown.add(trial)
    assert (grown.succeeded, grown.infeasible, grown.tuned, grown.next_index) == (31, 1, 33, 43)
    assert (grown.failed, grown.failures) == ({"Poisoned": 2, "Withdrawn": 1}, 1)
    assert len(grown.front) == 30  # what breaks a limit on something else than the latency has no place there


def test_a_feasible_trial_is_better_than_any_infeasible_one() -> None:
    infeasible = make_trial(0, "Succeeded", score=0.95, feasible=False, violation=0.1)
    feasible = make_trial(1, "Succeeded", score=0.5)
    best = Summary().add(infeasible).add(feasible).best
    assert best is not None
    assert best.trial == "digits-00001"


# -- the hypervolume -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (({"metric": "Latency", "max": "10ms"},), 0.8 * 5 / 10),
        (({"metric": "Latency", "maxRelative": "5.0"},), 0.8 * 5 / 10),
        ((), 0.0),
    ],
)
def test_the_hypervolume_is_that_within_the_limit(limits: Any, expected: float) -> None:
    plan = reconcile_experiment(observe(make_experiment(constraints=limits), make_trial(0, "Succeeded")), NOW)
    assert experiment_status(plan).hypervolume == pytest.approx(expected)
