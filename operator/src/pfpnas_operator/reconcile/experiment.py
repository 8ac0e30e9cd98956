"""NASExperiment: what it needs is there, trials go through, the end is evaluated; one plan a cycle."""

from collections.abc import Iterable
from datetime import datetime

from pfpnas_api.kinds import CheckpointStatus, NASExperiment, Supernet, Trial, is_true
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.conditions import FALSE, TRUE, Stamp
from pfpnas_operator.reconcile.counting import count
from pfpnas_operator.reconcile.cycle import Cycle, Fault
from pfpnas_operator.reconcile.ending import TOO_MANY, fail, finale, reopen, rest
from pfpnas_operator.reconcile.finale import evaluation_build
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.search import SearchState, search_step
from pfpnas_operator.reconcile.stepping import Stepped, step_trials
from pfpnas_operator.reconcile.summary import reasons
from pfpnas_operator.reconcile.sweeping import sweep
from pfpnas_operator.reconcile.telling import tell
from pfpnas_operator.reconcile.upkeep import build_reference, checkpoint_of, keep_jobs, see_agents, wait_for_supernet
from pfpnas_operator.reconcile.warming import lacking, offered


def reconcile_experiment(observed: ExperimentObserved, now: datetime) -> Plan:
    """The next step of an experiment."""
    generation = observed.experiment.metadata.generation
    status = observed.experiment.status
    refused = status.refused_results + observed.refused
    cycle = Cycle(
        observed=observed,
        stamp=Stamp(now=now, generation=generation),
        status=status.model_copy(update={"observed_generation": generation, "refused_results": refused}),
        summary=observed.summary,
    )
    _decide(cycle)
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
    if status.reference is None:
        architectures.append(supernet.space().minimum().id)
    requests = [build_request(experiment, checkpoint, architecture) for architecture in architectures]
    finals = (evaluation_build(experiment, checkpoint, evaluation) for evaluation in status.evaluations)
    return [request.uid for request in (*requests, *(final for final in finals if final))]


def _decide(cycle: Cycle) -> None:
    reopen(cycle)
    if cycle.ended:
        rest(cycle, cycle.observed.active)
        return sweep(cycle)
    cycle.put("Accepted", TRUE, "Valid")
    supernet = cycle.observed.supernet
    checkpoint = checkpoint_of(supernet)
    if supernet is None or checkpoint is None:
        # Nothing was looked at, so nothing is swept: answers wait until the Supernet is there.
        return wait_for_supernet(cycle, supernet)
    cycle.put("SupernetReady", TRUE, "Ready")
    see_agents(cycle)
    _search(cycle, supernet, checkpoint)
    return sweep(cycle)


def _search(cycle: Cycle, supernet: Supernet, checkpoint: CheckpointStatus) -> None:
    lack = lacking(cycle.observed) if cycle.status.started_at is None else None
    if lack is not None:
        # Another search may take days: until it is over nothing is kept up for this one.
        count(cycle, cycle.observed.active)
        return cycle.put("Searching", FALSE, "WaitingForWarmStart", lack)
    fault = keep_jobs(cycle, supernet, checkpoint)
    if cycle.status.reference is None:
        fault = fault or build_reference(cycle, supernet, checkpoint)
        return fail(cycle, fault, cycle.observed.active) if fault else None
    _begin(cycle)
    stepped = step_trials(cycle, supernet, checkpoint)
    fault = _fault(cycle, stepped) or fault
    if fault:
        return fail(cycle, fault, stepped.active)
    waiting = not _go_on(cycle, stepped)
    if cycle.status.search_finished_at is not None:
        finale(cycle, supernet, checkpoint, waiting=waiting)
    return None


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


def _fault(cycle: Cycle, stepped: Stepped) -> Fault | None:
    """What the trials say against the experiment; a search that is finished stays so, whatever is added by hand."""
    most = cycle.experiment.spec.budget.max_failed_trials
    if cycle.status.search_finished_at is not None:
        return None
    if stepped.fault or cycle.summary.failures <= most:
        return stepped.fault
    return Fault(reason=TOO_MANY, message=f"more than {most} trials failed: {reasons(cycle.summary)}")


def _go_on(cycle: Cycle, stepped: Stepped) -> bool:
    """Start what is to be started; whether nothing is, and nothing is under way."""
    state = SearchState(over="Searched")
    if cycle.status.search_finished_at is None:
        state = search_step(cycle.observed, stepped.active, cycle.plan, summary=cycle.summary, now=cycle.stamp.now)
    unfinished = [*stepped.active, *state.created]
    tell(cycle.observed, unfinished, [*cycle.observed.untold, *stepped.done], cycle.plan)
    count(cycle, unfinished)
    if state.over is None:
        cycle.put("Searching", TRUE, "Searching")
    if state.over is None or unfinished:
        return False
    if cycle.status.search_finished_at is None:
        cycle.put("Searching", FALSE, state.over, state.message)
        cycle.note(state.over, state.message)
        cycle.update(search_finished_at=cycle.stamp.now)
    return True
