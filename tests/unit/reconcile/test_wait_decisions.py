"""What an experiment waits for: said with its reason, with a deadline where only somebody's doing ends it."""

from datetime import timedelta
from typing import Any

import pytest

from pfpnas_api.kinds import Condition, NASExperiment, Supernet, Trial, find_condition
from pfpnas_operator.reconcile import Plan, names, reconcile_experiment
from pfpnas_operator.reconcile.deadlines import (
    BROKEN_DEADLINE,
    CLAIM_DEADLINE,
    MOST_INTERRUPTIONS,
    STEADY,
    UNSCHEDULABLE_DEADLINE,
    WAIT_DEADLINE,
)
from support.reconcile_builders import (
    NOW,
    condition,
    experiment_status,
    make_checkpoint,
    make_experiment,
    make_job,
    make_lease,
    make_supernet,
    make_trial,
    message_of,
    observe,
    own_jobs,
    reason_of,
    seconds,
    suggest,
    task_id_of,
)

TUNE, WORKER = names.tune_job(make_experiment()), names.worker_job(make_experiment())
LONG_AGO = NOW - WAIT_DEADLINE - seconds(1)


def decide(experiment: NASExperiment, *trials: Trial, **fields: Any) -> Plan:
    return reconcile_experiment(observe(experiment, *trials, **fields), NOW)


def said(plan: Plan, kind: str) -> tuple[str, str]:
    found = find_condition(experiment_status(plan).conditions, kind)
    assert found is not None
    return found.status, found.reason


def since(moment: Any, kind: str, reason: str, *, status: str = "False") -> Condition:
    return condition(kind, reason, status=status).model_copy(update={"last_transition_time": moment})


def fresh(**fields: Any) -> NASExperiment:
    """One whose search has not begun, with its reference model."""
    return make_experiment(started_at=None, **fields)


# -- its own pods ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "reason"),
    [
        ({"state": "Queued", "message": "no quota"}, "Queued"),
        ({"state": "Pending"}, "Pending"),
        ({"state": "Pending", "reason": "Unschedulable", "message": "no node"}, "Unschedulable"),
        ({"state": "Failed", "leaving": True}, "Terminating"),
    ],
)
@pytest.mark.parametrize("which", [TUNE, WORKER])
def test_the_search_begins_once_its_pods_run(waits: dict[str, Any], reason: str, which: str) -> None:
    jobs = own_jobs(make_experiment()) | {which: make_job(which, **waits)}
    plan = decide(fresh(), jobs=jobs, suggestions=suggest(0))
    assert said(plan, "Searching") == said(plan, "Succeeded") == ("False", reason)
    assert experiment_status(plan).started_at is None
    assert (plan.create_trials, plan.delete_jobs, plan.create_jobs) == ([], [], [])
    warned = [event.reason for event in plan.events if event.type == "Warning"]
    assert warned == (["Unschedulable"] if reason == "Unschedulable" else [])


@pytest.mark.parametrize(
    ("reason", "deadline"),
    [
        ("ImagePullBackOff", BROKEN_DEADLINE),
        ("Unschedulable", UNSCHEDULABLE_DEADLINE),
        ("JobRefused", UNSCHEDULABLE_DEADLINE),
        ("NoPod", UNSCHEDULABLE_DEADLINE),
    ],
)
def test_a_pod_of_its_own_that_never_starts_fails_it_with_the_reason(reason: str, deadline: timedelta) -> None:
    patient = make_job(TUNE, "Pending", age=deadline.total_seconds() - 1, reason=reason, message="its own words")
    plan = decide(fresh(), jobs=own_jobs(make_experiment()) | {TUNE: patient})
    assert said(plan, "Searching") == ("False", reason)
    assert [job.name for job in plan.waiting_jobs] == [TUNE]
    late = make_job(TUNE, "Pending", age=deadline.total_seconds() + 1, reason=reason, message="its own words")
    plan = decide(fresh(), jobs=own_jobs(make_experiment()) | {TUNE: late})
    assert reason_of(experiment_status(plan), "Failed") == reason
    assert "its own words" in message_of(experiment_status(plan), "Failed")


def test_a_tuner_that_waits_in_mid_search_holds_up_no_trial() -> None:
    jobs = own_jobs(make_experiment()) | {TUNE: make_job(TUNE, "Queued")}
    busy = decide(make_experiment(), make_trial(0, "Built"), jobs=jobs)
    assert said(busy, "Searching") == ("True", "Searching")
    assert len(busy.tasks) == 1
    idle = decide(make_experiment(), jobs=jobs)
    assert said(idle, "Searching") == ("False", "Queued")


@pytest.mark.parametrize(
    ("job", "reason"), [({"state": "Queued"}, "Queued"), ({"reason": "Unschedulable"}, "Unschedulable")]
)
def test_a_reference_that_no_worker_builds_yet_waits_for_what_the_worker_waits_for(
    job: dict[str, Any], reason: str
) -> None:
    early = make_experiment(reference=None, started_at=None)
    jobs = own_jobs(make_experiment()) | {WORKER: make_job(WORKER, **{"state": "Pending", **job})}
    assert said(decide(early, jobs=jobs), "Searching") == ("False", reason)
    starting = own_jobs(make_experiment()) | {WORKER: make_job(WORKER, "Pending")}
    assert said(decide(early, jobs=starting), "Searching") == ("False", "BuildingReference")


def test_an_evicted_tuner_is_no_death_and_is_made_again_after_a_pause() -> None:
    def after(count: int, age: float) -> Plan:
        evicted = make_job(TUNE, "Failed", infrastructure=True, message="Evicted", age=age)
        experiment = make_experiment(interruptions={TUNE: count} if count else {})
        return decide(experiment, jobs=own_jobs(experiment) | {TUNE: evicted})

    plan = after(0, 0)
    assert plan.delete_jobs == [TUNE]
    assert (experiment_status(plan).attempts, experiment_status(plan).interruptions) == ({}, {TUNE: 1})
    assert [event.reason for event in plan.events] == ["Interrupted"]
    assert after(2, 19).delete_jobs == []
    assert after(2, 20).delete_jobs == [TUNE]
    given_up = after(MOST_INTERRUPTIONS - 1, 10**4)
    assert reason_of(experiment_status(given_up), "Failed") == "Interrupted"


def test_a_tuner_that_stays_up_is_forgiven_its_interruptions() -> None:
    experiment = make_experiment(interruptions={TUNE: 5})
    steady = make_job(TUNE, age=STEADY.total_seconds() + 1)
    plan = decide(experiment, jobs=own_jobs(experiment) | {TUNE: steady})
    assert experiment_status(plan).interruptions == {}


def test_the_reference_models_pod_says_why_it_waits() -> None:
    experiment = make_experiment(mode="Pod", reference=None, started_at=None)
    (build,) = [job for job in decide(experiment).create_jobs if job.workload == "trial"]
    waits = make_job(build.name, "Pending", reason="InvalidImageName", message="couldn't parse image")
    plan = decide(experiment, make_trial(None), jobs=own_jobs(experiment) | {build.name: waits})
    assert said(plan, "Searching") == ("False", "InvalidImageName")
    assert [event.reason for event in plan.events] == ["InvalidImageName"]
    by_hand = find_condition(plan.trial_status["by-hand"].conditions, "Succeeded")
    assert by_hand is not None
    assert by_hand.reason == "WaitingForSearch"
    late = make_job(build.name, "Pending", reason="InvalidImageName", age=BROKEN_DEADLINE.total_seconds() + 1)
    failed = decide(experiment, jobs=own_jobs(experiment) | {build.name: late})
    assert reason_of(experiment_status(failed), "Failed") == "InvalidImageName"


# -- what others bring -----------------------------------------------------------------------------------------------

ABSENT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("SupernetReady", "NotFound", "SupernetNotFound", {"supernet": None}),
    (
        "SupernetReady",
        "SupernetFailed",
        "SupernetFailed",
        {
            "supernet": make_supernet("New").model_copy(
                update={
                    "status": make_supernet("New").status.model_copy(
                        update={"conditions": (condition("Failed", "JobFailed"),)}
                    )
                }
            )
        },
    ),
    ("AgentsAvailable", "NoHeartbeat", "WaitingForAgents", {"agents": {}}),
    (
        "AgentsAvailable",
        "NotClaimed",
        "NotClaimed",
        {
            "tasks": {task_id_of(make_experiment(), make_trial(0, "Built")): make_lease("Waiting", age=10**6)},
            "said_for": {"agent-1": CLAIM_DEADLINE},
        },
    ),
    ("Accepted", "PoolNotAllowed", "PoolNotAllowed", {"pool_refused": "not open"}),
]


@pytest.mark.parametrize(("kind", "reason", "state", "seen"), ABSENT)
def test_what_only_people_can_bring_is_waited_for_for_days_and_not_for_ever(
    kind: str, reason: str, state: str, seen: dict[str, Any]
) -> None:
    for moment, over in ((NOW - WAIT_DEADLINE, False), (LONG_AGO, True)):
        plan = decide(make_experiment(conditions=(since(moment, kind, reason),)), make_trial(0, "Built"), **seen)
        assert said(plan, kind) == ("False", reason)
        assert said(plan, "Succeeded") == ("False", state)
        assert reason_of(experiment_status(plan), "Failed") == (state if over else None)
        ended = [status for status in plan.trial_status.values() if reason_of(status, "Failed") == "Withdrawn"]
        assert bool(ended) == over
        assert experiment_status(plan).trials.failed == (1 if over else 0)


@pytest.mark.parametrize(("kind", "reason", "state", "seen"), ABSENT)
def test_who_changes_the_spec_of_one_that_gave_up_has_all_the_time_again(
    kind: str, reason: str, state: str, seen: dict[str, Any]
) -> None:
    gone = (since(LONG_AGO, kind, reason), condition("Failed", state), since(LONG_AGO, "Searching", state))
    plan = decide(make_experiment(conditions=gone, observed_generation=1, generation=2), **seen)
    assert reason_of(experiment_status(plan), "Failed") is None
    assert said(plan, kind) == ("False", reason)


@pytest.mark.parametrize(("kind", "reason", "state", "seen"), ABSENT)
def test_the_time_in_suspension_is_no_waiting(kind: str, reason: str, state: str, seen: dict[str, Any]) -> None:
    resumed = since(NOW - seconds(60), "Suspended", "Resumed")
    plan = decide(make_experiment(conditions=(since(LONG_AGO, kind, reason), resumed)), **seen)
    assert reason_of(experiment_status(plan), "Failed") is None
    assert said(plan, "Succeeded") == ("False", state)


def test_a_supernet_that_is_being_trained_is_waited_for_however_long_it_takes() -> None:
    experiment = fresh(reference=None, conditions=(since(LONG_AGO, "SupernetReady", "Waiting", status="Unknown"),))
    plan = decide(experiment, make_trial(None), supernet=make_supernet("New"))
    assert said(plan, "SupernetReady") == ("Unknown", "Waiting")
    assert said(plan, "Succeeded") == ("False", "WaitingForSupernet")
    by_hand = find_condition(plan.trial_status["by-hand"].conditions, "Built")
    assert by_hand is not None
    assert by_hand.reason == "WaitingForSearch"


def test_a_supernet_made_anew_in_mid_search_ends_it() -> None:
    searched = make_experiment(supernet_uid="another-uid")
    plan = decide(searched, make_trial(0, "Built"))
    assert reason_of(experiment_status(plan), "Failed") == "SupernetReplaced"
    assert reason_of(plan.trial_status["digits-00000"], "Failed") == "Withdrawn"
    assert sorted(plan.delete_jobs) == [TUNE, WORKER]


def test_a_supernet_made_anew_before_the_search_began_is_the_one_that_is_searched() -> None:
    waiting = fresh(reference=None, supernet_uid="another-uid")
    plan = decide(waiting)
    assert experiment_status(plan).supernet_uid == "sn-uid"
    assert reason_of(experiment_status(plan), "Failed") is None


def test_a_supernet_that_is_gone_in_mid_search_is_said_and_waited_for() -> None:
    plan = decide(make_experiment(supernet_uid="sn-uid"), make_trial(0, "Built"), supernet=None)
    assert said(plan, "SupernetReady") == ("False", "NotFound")
    assert (plan.delete_tasks, plan.delete_jobs, reason_of(experiment_status(plan), "Failed")) == ([], [], None)


@pytest.mark.parametrize(
    ("kind", "seen", "event"),
    [("SupernetReady", {"supernet": None}, "SupernetLost"), ("AgentsAvailable", {"agents": {}}, "NoHeartbeat")],
)
def test_what_is_lost_in_mid_search_is_an_event_once(kind: str, seen: dict[str, Any], event: str) -> None:
    had = make_experiment(conditions=(condition(kind, "Ready"),))
    plan = decide(had, **seen)
    assert [one.reason for one in plan.events if one.type == "Warning"] == [event]
    lost = had.model_copy(update={"status": experiment_status(plan)})
    assert decide(lost, **seen).events == []
    assert decide(make_experiment(), **seen).events == []


# -- starting warm ---------------------------------------------------------------------------------------------------


def other_supernet(width: str) -> Supernet:
    supernet = make_supernet()
    space = supernet.spec.search_space.model_copy(update={"width_multiplier": width})
    return supernet.model_copy(update={"spec": supernet.spec.model_copy(update={"search_space": space})})


def test_a_source_that_searched_other_nets_is_none_to_start_from() -> None:
    source = make_experiment(name="a", search_finished_at=NOW)
    warm = fresh(sources=("a",))
    plan = decide(warm, sources={"a": source}, source_supernets={"a": other_supernet("0.5")})
    assert said(plan, "Searching") == said(plan, "Succeeded") == ("False", "WarmStartMismatch")
    assert "spec.searchSpace.widthMultiplier is 0.5 there, and 0.25 here" in message_of(
        experiment_status(plan), "Searching"
    )
    alike = decide(warm, sources={"a": source}, source_supernets={"a": other_supernet("0.250")})
    assert experiment_status(alike).started_at == NOW


def test_a_source_that_is_not_there_is_waited_for_for_days_and_not_for_ever() -> None:
    late = fresh(sources=("a",), conditions=(since(LONG_AGO, "Searching", "WarmStartNotFound"),))
    assert reason_of(experiment_status(decide(late)), "Failed") == "WarmStartNotFound"
    going_on = {"sources": {"a": make_experiment(name="a")}}
    patient = fresh(sources=("a",), conditions=(since(LONG_AGO, "Searching", "WaitingForWarmStart", status="Unknown"),))
    assert reason_of(experiment_status(decide(patient, **going_on)), "Failed") is None


# -- in one word -----------------------------------------------------------------------------------------------------


def test_the_end_under_way_is_named() -> None:
    searched = (condition("Searching", "BudgetSpent", status="False"),)
    over = make_experiment(budget={"maxTrials": 1}, search_finished_at=NOW, conditions=searched)
    assert said(decide(over, make_trial(0, "Succeeded")), "Succeeded") == ("False", "MeasuringFinalists")


def test_a_checkpoint_of_a_supernet_belongs_to_its_uid() -> None:
    plan = decide(make_experiment())
    assert experiment_status(plan).supernet_uid == "sn-uid"
    assert make_supernet().status.checkpoint == make_checkpoint()
