"""What is only seen when documents are read together: limits that no net can meet, budgets larger than the space."""

from collections.abc import Iterator

from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.scoring import static_limits
from pfpnas_api.spaces import ArchitectureError, SearchSpace, cost
from pfpnas_operator.documents.loading import Documents
from pfpnas_operator.documents.problems import DocumentError


def cross_check(documents: Documents) -> tuple[str, ...]:
    """Check experiments against their Supernets, and trials against their spaces.

    Returns:
        Warnings, one line each: what will run, but hardly as meant.

    Raises:
        DocumentError: something that can't succeed; every problem is a line of the message.
    """
    errors: list[str] = []
    warnings: list[str] = []
    for experiment in documents.experiments:
        supernet = documents.supernet_of(experiment)
        name = f"NASExperiment/{experiment.metadata.name}"
        errors += [f"{name}: {text}" for text in _impossible(experiment, supernet)]
        warnings += [f"{name}: {text}" for text in _doubtful(experiment, supernet.space())]
    for trial in documents.trials:
        errors += [f"Trial/{trial.metadata.name}: {text}" for text in _outside(trial, documents)]
    if errors:
        raise DocumentError("\n".join(errors))
    return tuple(warnings)


def check_for_one_machine(documents: Documents) -> tuple[str, ...]:
    """Check what means something in a cluster only.

    Returns:
        Warnings, one line each: what is passed over here, though the search would be another one with it.

    Raises:
        DocumentError: nothing would be done.
    """
    suspended = [f"Supernet/{one.metadata.name}" for one in documents.supernets if one.spec.suspend]
    suspended += [f"NASExperiment/{one.metadata.name}" for one in documents.experiments if one.spec.suspend]
    if suspended:
        raise DocumentError("\n".join(f"{name}: spec.suspend: {_SUSPEND}" for name in suspended))
    return tuple(
        f"NASExperiment/{one.metadata.name}: spec.trialTemplate.image: {_IMAGE}"
        for one in documents.experiments
        if one.spec.trial_template.image is not None
    )


_SUSPEND = (
    "is true, so that nothing would be started; leave it out (on one machine Ctrl-C stops a run, and the same command "
    "goes on with it)"
)

_IMAGE = "is passed over on one machine: candidates are built by the workloads that are installed here"


def _impossible(experiment: NASExperiment, supernet: Supernet) -> Iterator[str]:
    """Limits that even the smallest subnet breaks, and with it every other."""
    space, objective = supernet.space(), experiment.spec.objective
    smallest = cost(space, space.minimum())
    for limit in static_limits(objective, space).broken(smallest):
        constraint = objective.constraint(limit.metric)
        assert constraint is not None  # static_limits are made of the constraints
        field = "maxRelative" if constraint.relative else "max"
        yield (
            f"spec.objective.constraints[{objective.constraints.index(constraint)}].{field}: {limit.metric} is limited "
            f"to {constraint.max_relative or constraint.max}, but the smallest subnet of "
            f"Supernet/{supernet.metadata.name}, {space.minimum().id}, has "
            f"{_shown(limit.metric, limit.value(smallest))} already; raise the limit or make the search space smaller"
        )


def _shown(metric: str, value: int) -> str:
    if metric == "ModelSize":
        return f"{value} bytes ({value / 2**20:.2f}Mi)"
    return f"{value / 1e6:.2f}M" if value >= 10_000 else str(value)


def _doubtful(experiment: NASExperiment, space: SearchSpace) -> Iterator[str]:
    yield from _penalty(experiment)
    yield from _budget(experiment, space)
    yield from _tuner(experiment)
    if experiment.spec.objective.constraint("Energy") and experiment.spec.target.backend == "onnxruntime":
        yield (
            "spec.objective.constraints: Energy is limited, but the backend onnxruntime doesn't measure it; each trial "
            "will fail as MetricUnavailable unless target.backend is a command that does"
        )
    measurement = experiment.spec.target.measurement
    longest = DECIMAL.parse(measurement.warmup_seconds) + DECIMAL.parse(measurement.max_seconds)
    if measurement.deadline_seconds <= longest:
        yield (
            f"spec.target.measurement.deadlineSeconds: is {measurement.deadline_seconds}, but warm-up and timed runs "
            f"alone may take {longest:g}; slow candidates will end as MeasurementTimeout"
        )


def _budget(experiment: NASExperiment, space: SearchSpace) -> Iterator[str]:
    budget = experiment.spec.budget
    if budget.max_trials > space.count:
        yield (
            f"spec.budget.maxTrials: is {budget.max_trials}, but the search space has only {space.count} "
            "architectures; the search ends when all were tried"
        )
    if budget.parallel_trials > budget.max_trials:
        yield (
            f"spec.budget.parallelTrials: is {budget.parallel_trials}, but maxTrials is {budget.max_trials}; "
            f"no more than {budget.max_trials} will be under way"
        )
    # The default of 3 is no wish of the user's: a search of one trial is fine with it.
    if "finalists" in budget.model_fields_set and budget.finalists > budget.max_trials:
        yield (
            f"spec.budget.finalists: is {budget.finalists}, but maxTrials is {budget.max_trials}; "
            f"no more than {budget.max_trials} will be measured again"
        )
    if budget.convergence is not None and budget.convergence.patience >= budget.max_trials:
        yield (
            f"spec.budget.convergence.patience: is {budget.convergence.patience}, but maxTrials is "
            f"{budget.max_trials}; the budget is spent before the search can be seen to converge"
        )


def _tuner(experiment: NASExperiment) -> Iterator[str]:
    tuner, parallel = experiment.spec.tuner, experiment.spec.budget.parallel_trials
    if 0 < tuner.pseudo_trials < parallel:
        yield (
            f"spec.tuner.pseudoTrials: is {tuner.pseudo_trials}, but budget.parallelTrials is {parallel}; the "
            "predictors have nothing to choose from unless more are drawn than are measured at once (300 is usual)"
        )
    if tuner.algorithm == "NSGA2" and not tuner.pseudo_trials:
        yield (
            "spec.tuner.pseudoTrials: is 0, so NSGA2 breeds from the few measured trials alone; with some (300 is "
            "usual) it evolves whole generations on the predictors between the measurements"
        )


def _penalty(experiment: NASExperiment) -> Iterator[str]:
    objective = experiment.spec.objective
    latency = objective.constraint("Latency")
    if latency is not None and latency.relative and latency.limit < 1:
        yield (
            f"spec.objective.constraints: Latency is limited to {latency.max_relative} times the reference model, "
            "which is the smallest subnet; hardly any candidate can be faster than that"
        )
    coefficient = DECIMAL.parse(objective.penalty_coefficient)
    if objective.scoring != "PenalizedAccuracy" or latency is None:
        return
    if coefficient == 0:
        yield "spec.objective.penaltyCoefficient: is 0, so the Latency limit doesn't count in the score"
    elif coefficient > 1:
        yield (
            f"spec.objective.penaltyCoefficient: is {objective.penalty_coefficient}, but accuracy is a fraction of 1; "
            "every candidate over the limit scores below zero (the usual value is 0.2)"
        )


def _outside(trial: Trial, documents: Documents) -> Iterator[str]:
    wanted = (trial.metadata.namespace, trial.spec.experiment_ref.name)
    experiment = next(e for e in documents.experiments if (e.metadata.namespace, e.metadata.name) == wanted)
    try:
        documents.supernet_of(experiment).space().parse(trial.spec.architecture)
    except ArchitectureError as e:
        yield f"spec.architecture: {e}"
