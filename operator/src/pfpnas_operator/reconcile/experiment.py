"""NASExperiment: what it needs is there, trials go through, the end is evaluated; one plan a cycle."""

from collections.abc import Iterable
from datetime import datetime

from pfpnas_api.kinds import CheckpointStatus, NASExperiment, Supernet, Trial, is_true
from pfpnas_operator.reconcile.away import as_before, seen_again
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.conditions import FALSE, TRUE, Stamp
from pfpnas_operator.reconcile.counting import count
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.ending import fail, finale, reopen, rest
from pfpnas_operator.reconcile.finale import evaluation_build
from pfpnas_operator.reconcile.fitting import fitted
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.patience import gives_up, state_of
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.search import SearchState, search_step
from pfpnas_operator.reconcile.stepping import Stepped, fault_of, hold_trials, step_trials
from pfpnas_operator.reconcile.suspending import nothing_to_suspend, pause, resume, suspend
from pfpnas_operator.reconcile.sweeping import sweep
from pfpnas_operator.reconcile.telling import tell
from pfpnas_operator.reconcile.trials import measures_itself
from pfpnas_operator.reconcile.upkeep import (
    Kept,
    build_reference,
    checkpoint_of,
    keep_jobs,
    see_agents,
    wait_for_supernet,
    wait_with,
)
from pfpnas_operator.reconcile.waits import Wait, wait_of_refusal
from pfpnas_operator.reconcile.warming import PATIENT, lacking, offered


def reconcile_experiment(observed: ExperimentObserved, now: datetime) -> Plan:
    """The next step of an experiment."""
    generation = observed.experiment.metadata.generation
    status = observed.experiment.status
    refused = status.refused_results + observed.refused
    cycle = Cycle(
        observed=observed,
        stamp=Stamp(now=now, generation=generation),
        status=seen_again(status).model_copy(update={"observed_generation": generation, "refused_results": refused}),
        summary=observed.summary,
    )
    _decide(cycle)
    if not is_true(cycle.status.conditions, "Succeeded"):
        cycle.put("Succeeded", FALSE, *state_of(cycle.status))
    cycle.status = fitted(as_before(cycle.status, status))
    # Trials that finish at the same time finish in the order of their names, here as in what is read again later.
    cycle.plan.trial_status = dict(sorted(cycle.plan.trial_status.items()))
    if cycle.status != status:
        cycle.plan.status = cycle.status
    return cycle.plan


def build_uids(experiment: NASExperiment, supernet: Supernet | None, active: Iterable[Trial]) -> list[str]:
    """Uids whose manifests `reconcile_experiment` wants to see."""
    checkpoint = supernet.status.checkpoint if supernet else None
    if supernet is None or checkpoint is None:
        return []
    status = experiment.status
    architectures = [t.spec.architecture for t in active if not is_true(t.status.conditions, "Built")]
    if status.reference is None and not measures_itself(status):
        architectures.append(supernet.space().minimum().id)
    requests = [build_request(experiment, checkpoint, architecture) for architecture in architectures]
    finals = (evaluation_build(experiment, checkpoint, evaluation) for evaluation in status.evaluations)
    return [request.uid for request in (*requests, *(final for final in finals if final))]


def _decide(cycle: Cycle) -> None:
    wanted = not cycle.experiment.spec.suspend
    if wanted:
        reopen(cycle)
    elif cycle.ended:
        nothing_to_suspend(cycle)
    if cycle.ended:
        rest(cycle, cycle.observed.active if wanted else ())
        return sweep(cycle)
    allowed = _accept(cycle)
    if not wanted:
        return suspend(cycle)
    resume(cycle)
    if allowed:
        return _look_for_supernet(cycle)
    return sweep(cycle) if gives_up(cycle) else pause(cycle)


def _accept(cycle: Cycle) -> bool:
    """Whether its namespace may use the pool."""
    refused = cycle.observed.pool_refused
    if refused is None:
        cycle.put("Accepted", TRUE, "Valid")
        return True
    if is_true(cycle.status.conditions, "Accepted") or not cycle.status.conditions:
        cycle.note("PoolNotAllowed", refused, warning=True)
    cycle.put("Accepted", FALSE, "PoolNotAllowed", refused)
    return False


def _look_for_supernet(cycle: Cycle) -> None:
    supernet = cycle.observed.supernet
    checkpoint = checkpoint_of(supernet)
    replaced = _replaced(cycle, supernet)
    if replaced is not None:
        fail(cycle, replaced, cycle.observed.active)
        return sweep(cycle)
    if supernet is None or checkpoint is None:
        # Nothing was looked at, so nothing is swept: answers wait until the Supernet is there.
        wait_for_supernet(cycle, supernet)
        if gives_up(cycle):
            return sweep(cycle)
        return hold_trials(cycle, _supernet_wait(cycle))
    cycle.update(supernet_uid=supernet.metadata.uid or None)
    cycle.put("SupernetReady", TRUE, "Ready")
    see_agents(cycle)
    if not gives_up(cycle):
        _search(cycle, supernet, checkpoint)
    return sweep(cycle)


def _supernet_wait(cycle: Cycle) -> Wait:
    return Wait(reason="WaitingForSupernet", message=f"Supernet {cycle.experiment.spec.supernet_ref.name} is not ready")


def _replaced(cycle: Cycle, supernet: Supernet | None) -> Fault | None:
    """Why a Supernet is none of this search: it has the name of the one whose weights were searched, and no more."""
    known, status = cycle.status.supernet_uid, cycle.status
    begun = status.started_at is not None or status.reference_architecture is not None
    if supernet is None or known is None or not begun or supernet.metadata.uid == known:
        return None
    text = f"Supernet {supernet.metadata.name} was made anew: what was measured is of another one's weights"
    return Fault(reason="SupernetReplaced", message=f"{text}; make a new NASExperiment")


def _search(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> None:
    lack = lacking(cycle.observed) if cycle.status.started_at is None else None
    if lack is not None:
        # Another search may take days: until it is over nothing is kept up for this one.
        count(cycle, cycle.observed.active)
        hold_trials(cycle, lack)
        # Unknown while a search goes on that has deadlines of its own, False where somebody has to do something.
        cycle.put("Searching", "Unknown" if lack.reason == PATIENT else FALSE, lack.reason, lack.message)
        gives_up(cycle)
        return None
    kept = keep_jobs(cycle, supernet, checkpoint)
    fault = kept.fault
    if cycle.status.reference is None and not measures_itself(cycle.status):
        fault = fault or build_reference(cycle, supernet, checkpoint, worker=kept.worker)
        hold_trials(cycle, Wait(reason="BuildingReference", message="the search has not begun yet"))
        return fail(cycle, fault, cycle.observed.active) if fault else None
    if cycle.status.started_at is None and kept.wait is not None:
        # Its time begins with its tuner: what that waits for in a queue is none of it.
        hold_trials(cycle, kept.wait)
        return wait_with(cycle, kept.wait)
    _begin(cycle)
    stepped = step_trials(cycle, supernet, checkpoint)
    fault = fault_of(cycle, stepped) or fault or _refused_for_too_long(cycle)
    if fault:
        return fail(cycle, fault, stepped.active)
    waiting = not _go_on(cycle, stepped, kept)
    if cycle.status.search_finished_at is not None:
        finale(cycle, supernet, checkpoint, waiting=waiting)
    return None


def _refused_for_too_long(cycle: Cycle) -> Fault | None:
    refused = cycle.observed.trials_refused
    if refused is None or cycle.status.search_finished_at is not None:
        return None
    wait = wait_of_refusal(refused, cycle.stamp.now)
    return Fault(reason=wait.reason, message=wait.message) if wait.over else None


def _begin(cycle: Cycle) -> None:
    if cycle.status.started_at is None:
        cycle.update(started_at=cycle.stamp.now)
        cycle.note("Searching", "the search has begun")
        if cycle.experiment.spec.warm_start_from:
            _announce_warm(cycle)


def _announce_warm(cycle: Cycle) -> None:
    warm = offered(cycle.observed)
    sources = ", ".join(source.name for source in cycle.experiment.spec.warm_start_from)
    cycle.note("WarmStart", f"found by {sources}, and measured here first: {len(warm.chosen)}")
    if warm.foreign:
        text = f"found by {sources}, but left out since they are none of this search space: {len(warm.foreign)}"
        cycle.note("WarmStart", f"{text} ({warm.foreign[0]}{', …' if len(warm.foreign) > 1 else ''})", warning=True)


def _go_on(cycle: Cycle, stepped: Stepped, kept: Kept) -> bool:
    """Start what is to be started; whether nothing is, and nothing is under way."""
    state = SearchState(over="Searched")
    if cycle.status.search_finished_at is None:
        state = search_step(cycle.observed, stepped.active, cycle.plan, summary=cycle.summary, now=cycle.stamp.now)
    refused = cycle.observed.trials_refused
    # What is tried after a refusal counts once it is there.
    unfinished = [*stepped.active, *(state.created if refused is None else ())]
    tell(cycle.observed, unfinished, [*cycle.observed.untold, *stepped.done], cycle.plan)
    count(cycle, unfinished)
    stopped = kept.worker or (None if unfinished else kept.tuner)
    over = state.over is not None and (refused is None or not state.created)
    if not over and stopped is not None:
        wait_with(cycle, stopped)
    elif not over and refused is not None:
        wait_with(cycle, wait_of_refusal(refused, cycle.stamp.now))
    elif not over:
        cycle.put("Searching", TRUE, "Searching")
    if not over or unfinished:
        return False
    if cycle.status.search_finished_at is None and state.over is not None:
        cycle.put("Searching", FALSE, state.over, state.message)
        cycle.note(state.over, state.message)
        cycle.update(search_finished_at=cycle.stamp.now)
    return True
