"""A whole search in memory, with whatever may fail failing at random: it ends, and loses and doubles nothing."""

import random
from typing import Any

import pytest

from pfpnas_api.kinds import Evaluation, NASExperiment, Trial, find_condition, is_true
from pfpnas_operator.reconcile.deadlines import CLAIM_DEADLINE
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.origins import is_own
from pfpnas_operator.reconcile.repeats import chosen
from pfpnas_operator.reconcile.summary import rank
from pfpnas_operator.report import build_report
from support.reconcile_builders import NOW, make_experiment, make_supernet, make_trial, reason_of, summary_of
from support.world import World, figures_of

FAULTY_TICKS, MOST_TICKS, CALM_TICKS = 150, 2500, 60


class CheckedWorld(World):
    """A world that looks at every plan, and fails at random."""

    deaths = 0

    def check(self) -> None:
        observed, plan = self.last_observed, self.last_plan
        assert observed is not None
        budget = observed.experiment.spec.budget
        tuned = [t for t in [*self.documents.values(), *plan.create_trials] if is_own(t)]
        assert len({t.metadata.name for t in tuned}) <= budget.max_trials
        after = {t.metadata.name for t in observed.active if is_own(t)}
        after |= {t.metadata.name for t in plan.create_trials}
        after -= {name for name, status in plan.trial_status.items() if finished(status)}
        assert len(after) <= budget.parallel_trials
        self._measured_is_accepted()

    def _measured_is_accepted(self) -> None:
        """A good answer to a trial's task that was seen ends the trial with its figures."""
        observed, plan = self.last_observed, self.last_plan
        assert observed is not None
        experiment = observed.experiment
        if observed.supernet is None or reason_of(experiment, "Failed"):
            return
        for trial in observed.active:
            if not is_true(trial.status.conditions, "Built"):
                continue
            task = measure_task(experiment, trial.status.artifact, experiment.status.reference)
            answers = observed.results.get(task.task_id, ())
            if any(answer.result.failure is None for answer in answers):
                status = plan.trial_status.get(trial.metadata.name, trial.status)
                repeated = status.repeat is not None or repeats_wanted(experiment, trial)
                assert reason_of(status, "Succeeded") or (repeated and reason_of(status, "Measured")), status
                assert status.metrics is not None
                assert status.metrics.latency_milliseconds == figures_of(task).latency

    def disturb(self) -> dict[str, int]:
        """Perhaps a fault; what happens in the midst of the next cycle, if anything."""
        rng = self.rng
        fault = rng.choice(("agent", "job", "flush", "kill", "twice", "unknown", "outage", *["none"] * 8))
        agent = self.agents[rng.choice(sorted(self.agents))]
        if fault == "agent":
            agent.die()
        elif fault == "job" and self.processes and self.deaths < 2:
            # A third death of the same Job would rightly fail the experiment.
            self.deaths += 1
            self.processes[rng.choice(sorted(self.processes))].code = -9
        elif fault == "flush":
            self.flush()
        elif fault == "kill":
            return {"kill_after": rng.randrange(12)}
        elif fault == "twice" and self.results:
            name, entry = rng.choice(sorted(self.results))
            self.answer(name, self.results[name, entry])
        elif fault == "unknown":
            task = measure_task(self.experiment, None, None, repetition=rng.randrange(1000))
            self.answer(agent.name, figures_of(task))
        elif fault == "outage":
            return {"away_after": rng.randrange(6)}
        return {}


def repeats_wanted(experiment: NASExperiment, trial: Trial) -> bool:
    return trial.spec.index is not None and chosen(experiment, trial.spec.index)


def finished(status: object) -> bool:
    return bool(reason_of(status, "Succeeded") or reason_of(status, "Failed"))


def run(world: CheckedWorld, *, faulty: int, kills: float = 0.0) -> None:
    """Until the experiment has ended; faults only in the first ticks, the operator killed so often all the while."""
    for tick in range(MOST_TICKS):
        trouble = world.disturb() if tick < faulty else {}
        if world.rng.random() < kills:
            trouble = {"kill_after": world.rng.randrange(12)}
        for agent in world.agents.values():
            agent.alive = agent.alive or tick >= faulty or world.rng.random() < 0.2
        world.cycle(**trouble)
        if ended(world) and tick >= faulty:
            return
        world.tick()
    raise AssertionError(f"not ended: {world.experiment.status.conditions}")


def ended(world: World) -> bool:
    seen = world.experiment.status.observed_generation == world.experiment.metadata.generation
    return seen and finished(world.experiment.status) and not world.records.active


def assert_consistent(world: World) -> None:
    """Documents, counts and road agree at the end."""
    trials = list(world.documents.values())
    assert all(trial.finished for trial in trials)
    counts = world.experiment.status.trials
    good = [trial for trial in trials if is_true(trial.status.conditions, "Succeeded")]
    assert (counts.succeeded, counts.failed) == (len(good), len(trials) - len(good))
    assert (counts.created, counts.pending, counts.running) == (len(trials), 0, 0)
    assert world.records.summary == summary_of(*sorted_by_end(world), experiment=world.experiment)
    assert_best_of_the_finalists(world)
    assert_repeats(world)


def assert_best_of_the_finalists(world: World) -> None:
    """The best is what was found best when measured again, and every figure is one that was measured."""
    status, top = world.experiment.status, world.records.summary.top
    feasible = [contender for contender in top if contender.ranked.feasible]
    assert len(status.finalists) >= min(len(feasible), world.experiment.spec.budget.finalists) or not feasible
    ranked = [finalist.ranked for finalist in status.finalists]
    assert (status.best in ranked) if ranked else (status.best is None)
    tested = [row.architecture for row in status.evaluations if row.name in ("best", "finalist")]
    if tested:
        assert status.best is not None
        assert tested[0] == status.best.architecture
    assert len(tested) == len(set(tested))


def assert_repeats(world: World) -> None:
    """As many pairs as trials have a repeat, and finalists two measurements; each was measured once more."""
    pairs = [trial for trial in world.documents.values() if trial.status.repeat is not None]
    assert all(repeats_wanted(world.experiment, trial) for trial in pairs)
    finalists = [finalist for finalist in world.experiment.status.finalists if finalist.reason is None]
    predictor = world.experiment.status.predictor
    assert (predictor.repeats if predictor else 0) == len(pairs) + len(finalists)


def sorted_by_end(world: World) -> list:  # type: ignore[type-arg]
    return sorted(world.documents.values(), key=lambda t: (t.status.finished_at, t.metadata.name))


def assert_road_is_clear(world: World) -> None:
    for _ in range(CALM_TICKS):
        world.tick()
        world.cycle()
    assert not world.tasks.messages
    assert not world.builds.messages
    assert not world.results
    assert not world.processes


@pytest.mark.parametrize("mode", ["Pooled", "Pod"])
@pytest.mark.parametrize("gated", [True, False])
def test_a_calm_search_measures_every_trial_once(mode: str, gated: bool) -> None:
    experiment = make_experiment(mode=mode, repeats="0.3", reference=None, started_at=None)
    world = CheckedWorld(make_supernet("New"), experiment)
    world.gated = gated
    run(world, faulty=0)
    assert reason_of(world.experiment, "Succeeded") == "BudgetSpent"
    assert_consistent(world)
    assert world.experiment.status.trials.succeeded == 8
    assert all(evaluation.accuracy for evaluation in world.experiment.status.evaluations)
    assert set(world.measured.values()) == {1}
    assert_road_is_clear(world)


@pytest.mark.parametrize("who", ["agent-1", "agent-2"])
@pytest.mark.parametrize("reason", ["NamespaceRefused", "DeviceUnavailable"])
def test_a_search_goes_to_its_end_though_one_agent_of_two_refuses(who: str, reason: Any) -> None:
    experiment = make_experiment(mode="Pooled", repeats="0.3", reference=None, started_at=None)
    world = CheckedWorld(make_supernet("New"), experiment)
    world.gated = False
    world.agents[who].refuses = reason
    run(world, faulty=0)
    assert reason_of(world.experiment, "Succeeded") == "BudgetSpent"
    assert_consistent(world)
    assert world.experiment.status.trials.succeeded == 8
    assert all(evaluation.accuracy for evaluation in world.experiment.status.evaluations)
    assert_road_is_clear(world)


def refused_by_the_first() -> CheckedWorld:
    world = CheckedWorld(make_supernet("New"), make_experiment(repeats="0.3", reference=None, started_at=None))
    world.gated, world.agents["agent-1"].refuses = False, "NamespaceRefused"
    return world


def test_a_search_goes_to_its_end_though_the_willing_agent_is_never_seen_idle() -> None:
    world = refused_by_the_first()
    for agent in world.agents.values():
        agent.shared = True
    run(world, faulty=0)
    assert reason_of(world.experiment, "Succeeded") == "BudgetSpent"
    assert world.experiment.status.trials.succeeded == 8


def test_a_search_waits_for_the_willing_agent_while_only_the_other_is_heard() -> None:
    world = refused_by_the_first()
    while world.experiment.status.trials.succeeded < 2:
        world.cycle()
        world.tick()
    world.agents["agent-2"].alive, reasons = False, set()
    for _ in range(100):
        world.cycle()
        world.tick()
        found = find_condition(world.experiment.status.conditions, "AgentsAvailable")
        reasons.add(found and (found.status, found.reason))
    assert ("False", "AgentsRefuse") in reasons
    assert not finished(world.experiment.status)
    world.agents["agent-2"].alive = True
    run(world, faulty=0)
    assert reason_of(world.experiment, "Succeeded") == "BudgetSpent"
    assert world.experiment.status.trials.succeeded == 8


def test_agents_that_are_heard_and_take_nothing_are_missed_until_they_do() -> None:
    world = CheckedWorld(make_supernet(), make_experiment())
    for agent in world.agents.values():
        agent.stuck = True
    while not world.tasks.messages:
        world.cycle()
        world.tick()
    assert said_of_agents(world) == ("True", "Heartbeat")
    for _ in range(2):
        world.cycle()
        world.now += CLAIM_DEADLINE
    world.cycle()
    assert said_of_agents(world) == ("False", "NotClaimed")
    world.start_operator()
    world.cycle()
    assert said_of_agents(world) == ("False", "NotClaimed")
    for agent in world.agents.values():
        agent.stuck = False
    run(world, faulty=0)
    assert said_of_agents(world) == ("True", "Heartbeat")
    assert world.experiment.status.trials.succeeded == 8


def said_of_agents(world: World) -> tuple[str, str] | None:
    found = find_condition(world.experiment.status.conditions, "AgentsAvailable")
    return found and (found.status, found.reason)


WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"budget": {"convergence": {"patience": 3, "minGain": "0.05"}}},
    {"objective": {"goal": "0.85"}},
    {"sources": ("before",)},
    {"budget": {"maxDurationSeconds": 60}},
    {"budget": {"finalists": 5}, "constraints": ({"metric": "Latency", "max": "4ms"},)},
)
ENDS = {"BudgetSpent", "DurationSpent", "GoalReached", "Converged"}


def source() -> NASExperiment:
    """Another search that has ended, with a front of four."""
    trials = [make_trial(40 + n, "Succeeded", score=0.9 - n / 100) for n in range(4)]
    return make_experiment(name="before", front=tuple(rank(trial) for trial in trials), search_finished_at=NOW)


@pytest.mark.parametrize("mode", ["Pooled", "Pod"])
@pytest.mark.parametrize("seed", range(60))
def test_a_search_outlives_random_faults(mode: str, seed: int) -> None:
    wish = WISHES[seed % len(WISHES)]
    budget = {"maxTrials": 10, "maxFailedTrials": 100, **wish.get("budget", {})}
    fields = {**wish, "budget": budget, "repeats": "0.3", "reference": None, "started_at": None}
    by_hand = [make_trial(None)] if seed % 4 == 0 else []
    world = CheckedWorld(
        make_supernet("New"), make_experiment(mode=mode, **fields), trials=by_hand, sources=[source()], seed=seed
    )
    world.gated = seed % 2 == 0
    run(world, faulty=FAULTY_TICKS)
    failure = reason_of(world.experiment, "Failed")
    assert failure in (None, "NoFeasibleArchitecture") or (
        failure == "NoTrialSucceeded" and not world.records.summary.best
    )
    assert failure or reason_of(world.experiment, "Succeeded") in ENDS
    assert_consistent(world)
    assert_road_is_clear(world)
    failed = {reason_of(trial, "Failed") for trial in world.documents.values()} - {None}
    assert failed <= {"Poisoned", "NoUsableAnswer", "BlobMissing", "BuildFailed", "Withdrawn"}
    warm = [trial for trial in world.documents.values() if trial.spec.origin == "WarmStart"]
    assert len(warm) == (2 if "sources" in wish else 0)


@pytest.mark.parametrize("seed", range(12))
def test_a_larger_budget_scores_no_net_on_the_test_split_twice(seed: int) -> None:
    """Ended, wished longer twice, and the operator killed at random all the while."""
    wish = WISHES[(0, 1, 3)[seed % 3]]
    budget = {"maxTrials": 4, "maxFailedTrials": 100, **wish.get("budget", {})}
    experiment = make_experiment(**{**wish, "budget": budget, "repeats": "0.3"})
    world = CheckedWorld(make_supernet(), experiment, sources=[source()], seed=seed)
    # One agent: another one's journal can't know what this one has measured already.
    world.agents.pop("agent-2")
    figures: dict[str, Any] = {}
    for most in (7, 12, None):
        run(world, faulty=0, kills=0.2)
        assert_consistent(world)
        tested = {row.architecture: row.accuracy for row in scored(world)}
        assert figures.items() <= tested.items()
        figures = tested
        if most is not None:
            world.wish(max_trials=most, finalists=most % 5 + 1, convergence=None)
    assert set(world.tested.values()) == {1}
    assert len(world.documents) == 12
    assert len(figures) >= len(world.experiment.status.finalists)


def scored(world: World) -> list[Evaluation]:
    return [row for row in world.experiment.status.evaluations if row.name in ("best", "finalist") and row.accuracy]


def test_what_an_agent_makes_up_is_refused_and_counted() -> None:
    """Answers to tasks that never were, contradictions and repetitions: the search ends as if there had been none."""
    honest = CheckedWorld(make_supernet(), make_experiment(repeats="0.3"))
    run(honest, faulty=0)
    world = CheckedWorld(make_supernet(), make_experiment(repeats="0.3"))
    made_up = replayed = 0
    while not ended(world):
        if world.results and world.rng.random() < 0.5:
            name, entry = world.rng.choice(sorted(world.results))
            world.answer(name, world.results[name, entry])
            replayed += 1
        if world.rng.random() < 0.3:
            world.answer("agent-9", figures_of(measure_task(world.experiment, None, None, repetition=made_up)))
            made_up += 1
        world.cycle()
        world.tick()
    status = world.experiment.status
    assert made_up
    assert replayed
    assert (status.refused_results, status.replicates) == (made_up, replayed)
    assert status.best == honest.experiment.status.best
    assert_consistent(world)


@pytest.mark.parametrize("seed", range(20))
def test_a_measured_result_outlives_the_operator(seed: int) -> None:
    """Killed at every possible effect in turn: what was measured is accepted, and measured once by each agent."""
    experiment = make_experiment(budget={"maxFailedTrials": 100}, repeats="0.3")
    world = CheckedWorld(make_supernet(), experiment, seed=seed)
    rng = random.Random(seed)
    for _ in range(MOST_TICKS):
        world.cycle(kill_after=rng.randrange(20) if rng.random() < 0.3 else None)
        if ended(world):
            break
        world.tick()
    assert_consistent(world)
    assert world.experiment.status.trials.succeeded == 8
    assert all(count <= len(world.agents) for count in world.measured.values())


def test_the_record_comes_first_then_jobs_then_the_road() -> None:
    world = CheckedWorld(make_supernet(), make_experiment())
    order = {"record": 0, "job": 1, "road": 2}
    seen = set()
    while not ended(world):
        world.cycle()
        assert world.trace == sorted(world.trace, key=order.__getitem__)
        seen |= set(world.trace)
        world.tick()
    assert seen == order.keys()


def test_what_was_decided_is_said_although_redis_is_away() -> None:
    world = CheckedWorld(make_supernet(), make_experiment(reference=None))
    while not world.results:
        world.cycle()
        world.tick()
    assert not world.cycle(away_after=0)
    assert {event.reason for event in world.events if event.subject != "digits"} == {"Measured"}


@pytest.mark.parametrize("limit", [{"max": "9ms"}, {"maxRelative": "4"}, None])
def test_status_and_report_judge_the_front_alike(limit: dict[str, str] | None) -> None:
    constraints = ({"metric": "Latency", **limit},) if limit else ()
    world = CheckedWorld(make_supernet(), make_experiment(constraints=constraints))
    run(world, faulty=0)
    report = build_report(world.supernet, world.experiment, list(world.documents.values()))
    assert report["hypervolume"] == pytest.approx(world.experiment.status.hypervolume, abs=1e-6)
    assert report["hypervolume"] > 0
