"""Builders of what decisions see: a small supernet, its experiment, trials, Jobs, leases and answers."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import (
    AccuracyPredictorStatus,
    ArtifactRef,
    CheckpointStatus,
    Condition,
    Finalist,
    NASExperiment,
    NASExperimentStatus,
    Supernet,
    SupernetStatus,
    Trial,
    TrialMetrics,
    find_condition,
)
from pfpnas_api.messages import Heartbeat, MeasureResult, Suggestion
from pfpnas_operator.reconcile import ExperimentObserved, JobView, Lease, LogView, Plan, ResultView, names
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.finalists import REPETITIONS
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.summary import Summary, rank

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPERIMENT, SUPERNET = "digits", "tiny"
SPEC: dict[str, Any] = {
    "searchSpace": {
        "backbone": "MobileNetV2",
        "widthMultiplier": "0.25",
        "kernelSizes": [3, 5],
        "expandRatios": [2, 3],
        "depths": [1, 2],
        "resolutions": [16],
    },
    "dataset": {"format": "Shapes"},
}
SPACE = Supernet.model_validate(
    {"metadata": {"name": SUPERNET}, "spec": SPEC, "status": {}},
).space()


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def artifact(text: str, *, size: int = 1000) -> ArtifactRef:
    return ArtifactRef(sha256=digest_of(text), size=size)


def condition(kind: str, reason: str = "Test", *, status: str = "True", message: str = "") -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": reason, "message": message, "last_transition_time": NOW}
    )


def architecture(number: int) -> str:
    """A different architecture for every number below the space's count."""
    genes = SPACE.genes()
    indices = []
    for gene in genes:
        number, choice = divmod(number, len(gene.values))
        indices.append(choice)
    return SPACE.from_genes(indices).id


# -- the Supernet ----------------------------------------------------------------------------------------------------


def make_checkpoint() -> CheckpointStatus:
    return CheckpointStatus(
        uri="sha256:" + digest_of("checkpoint"),
        sha256=digest_of("checkpoint"),
        size=5000,
        calibration=artifact("calibration"),
        classes=10,
        largest_accuracy=0.9,
        smallest_accuracy=0.7,
    )


def make_predictor() -> AccuracyPredictorStatus:
    return AccuracyPredictorStatus(
        uri="sha256:" + digest_of("predictor"),
        sha256=digest_of("predictor"),
        size=300,
        samples=40,
        kendall_tau=0.7,
        mean_absolute_error=0.02,
        constant_mean_absolute_error=0.05,
    )


def make_supernet(state: str = "Ready", **status: Any) -> Supernet:
    """A Supernet: New, Trained or Ready."""
    fields: dict[str, Any] = dict(status)
    if state in ("Trained", "Ready"):
        fields.setdefault("checkpoint", make_checkpoint())
        fields["conditions"] = (condition("Trained"),)
    if state == "Ready":
        fields.setdefault("observed_generation", 1)
        fields.setdefault("predictor", make_predictor())
        fields["conditions"] = (condition("Trained"), condition("PredictorReady"), condition("Ready"))
    return Supernet.model_validate(
        {"metadata": {"name": SUPERNET, "uid": "sn-uid"}, "spec": SPEC, "status": SupernetStatus(**fields)}
    )


def pretrain_manifest(**fields: Any) -> Manifest:
    content: dict[str, Any] = {
        "uid": names.supernet_manifests(make_supernet("New"))[0],
        "outcome": "Done",
        "artifacts": {"checkpoint": artifact("checkpoint", size=5000), "calibration": artifact("calibration")},
        "figures": {"classes": 10, "largestAccuracy": 0.9, "smallestAccuracy": 0.7},
    }
    return Manifest(**{**content, **fields})


def predictor_manifest(**fields: Any) -> Manifest:
    figures = {"samples": 40, "kendallTau": 0.7, "meanAbsoluteError": 0.02, "constantMeanAbsoluteError": 0.05}
    content: dict[str, Any] = {
        "uid": names.supernet_manifests(make_supernet("New"))[1],
        "outcome": "Done",
        "artifacts": {"predictor": artifact("predictor", size=300)},
        "figures": figures,
    }
    return Manifest(**{**content, **fields})


# -- the experiment --------------------------------------------------------------------------------------------------


def make_experiment(
    *,
    mode: str = "Pooled",
    budget: Mapping[str, Any] | None = None,
    constraints: tuple[Mapping[str, str], ...] = ({"metric": "Latency", "max": "10ms"},),
    target: Mapping[str, Any] | None = None,
    objective: Mapping[str, Any] | None = None,
    repeats: str = "0",
    sources: tuple[str, ...] = (),
    name: str = EXPERIMENT,
    generation: int = 1,
    **status: Any,
) -> NASExperiment:
    """An experiment that has its reference model and searches, unless its status says otherwise."""
    fields: dict[str, Any] = {"reference": artifact("reference"), "started_at": NOW - seconds(60), **status}
    return NASExperiment.model_validate(
        {
            "metadata": {"name": name, "uid": "ex-uid", "generation": generation},
            "spec": {
                "supernetRef": {"name": SUPERNET},
                "target": {"pool": "bench", "dataset": "private", **(target or {})},
                "objective": {"constraints": list(constraints), **(objective or {})},
                "budget": {"maxTrials": 8, "parallelTrials": 4, **(budget or {})},
                "trialTemplate": {"mode": mode},
                "predictor": {"repeats": repeats},
                "warmStartFrom": [{"name": source} for source in sources],
            },
            "status": NASExperimentStatus(**fields),
        }
    )


def make_metrics(accuracy: float | None = 0.8, p50: float = 5.0, **fields: Any) -> TrialMetrics:
    latency = {"p50": p50, "p90": p50, "mad": 0.1, "runs": 64, "reference": 2.0}
    return TrialMetrics.model_validate(
        {"accuracy": accuracy, "accuracySamples": 500, "latencyMilliseconds": latency, "flops": 10**6, **fields}
    )


def make_trial(index: int | None = 0, state: str = "Pending", *, name: str | None = None, **status: Any) -> Trial:
    """A trial: Pending, Built, Succeeded or Failed; without an index it is one by hand."""
    number = 50 if index is None else index
    fields: dict[str, Any] = {"createdAt": NOW, **status}
    if state != "Pending":
        fields.setdefault("artifact", artifact(f"model {number}"))
        fields.setdefault("metrics", make_metrics() if state == "Succeeded" else {"flops": 10**6})
        fields.setdefault("buildAttempts", 1)
        fields["buildStartedAt"] = NOW
    if state == "Succeeded":
        fields = {"score": 0.8, "feasible": True, "violation": 0.0, **fields}
    reason = fields.pop("reason", "Poisoned")
    kinds = {"Pending": [], "Built": ["Built"], "Succeeded": ["Built", "Succeeded"], "Failed": ["Failed"]}[state]
    fields["conditions"] = tuple(condition(kind, reason if kind == "Failed" else "Test") for kind in kinds)
    if state in ("Succeeded", "Failed"):
        fields.setdefault("finishedAt", NOW)
    spec: dict[str, Any] = {"experimentRef": {"name": EXPERIMENT}, "architecture": architecture(number)}
    if index is not None:
        spec |= {"index": index, "origin": "Tuner"}
    default = f"{EXPERIMENT}-{index:05d}" if index is not None else "by-hand"
    return Trial.model_validate({"metadata": {"name": name or default}, "spec": spec, "status": fields})


def make_finalist(trial: Trial, **fields: Any) -> Finalist:
    """A trial that was measured again at the end, and got the figures that it had."""
    ranked = rank(trial)
    latency, accuracy = ranked.metrics.latency_milliseconds, {"value": ranked.accuracy, "samples": 500}
    again = tuple(
        {"repetition": repetition, "latency_milliseconds": latency, "accuracy": accuracy} for repetition in REPETITIONS
    )
    content = {"trial": ranked.trial, "remeasurements": again, "ranked": ranked}
    return Finalist.model_validate({**content, **fields})


def make_job(
    name: str, state: Any = "Running", *, age: float = 1.0, quiet: float | None = None, **fields: Any
) -> JobView:
    """A Job started `age` seconds ago, that last said something `quiet` seconds ago."""
    said = NOW - seconds(age if quiet is None else quiet)
    return JobView(name=name, state=state, since=NOW - seconds(age), progressed_at=said, **fields)


def own_jobs(experiment: NASExperiment) -> dict[str, JobView]:
    """Tuner and worker, up."""
    jobs = [make_job(names.tune_job(experiment))]
    if experiment.spec.trial_template.mode == "Pooled":
        jobs.append(make_job(names.worker_job(experiment)))
    return {job.name: job for job in jobs}


def observe(experiment: NASExperiment | None = None, *trials: Trial, **fields: Any) -> ExperimentObserved:
    """An experiment in full swing: its Jobs are up, an agent beats, the tuner knows of every trial."""
    experiment = experiment or make_experiment()
    active = tuple(trial for trial in trials if not trial.finished)
    finished = [trial for trial in trials if trial.finished]
    everything: dict[str, Any] = {
        "experiment": experiment,
        "supernet": make_supernet(),
        "active": active,
        "summary": summary_of(*finished, experiment=experiment),
        "jobs": own_jobs(experiment),
        "agents": {"agent-1": Heartbeat(state="Idle")},
        "log": LogView(
            started=frozenset(trial.metadata.name for trial in trials),
            finished=frozenset(trial.metadata.name for trial in finished),
        ),
    }
    return ExperimentObserved(**{**everything, **fields})


def suggest(*indices: int) -> dict[int, Suggestion]:
    return {index: Suggestion(index=index, architecture=architecture(index)) for index in indices}


def build_uid_of(experiment: NASExperiment, trial: Trial) -> str:
    return build_request(experiment, make_checkpoint(), trial.spec.architecture).uid


def build_manifest(uid: str, **fields: Any) -> Manifest:
    content: dict[str, Any] = {"outcome": "Done", "artifacts": {"model": artifact(uid)}}
    return Manifest(uid=uid, **{**content, **fields})


def task_id_of(experiment: NASExperiment, trial: Trial) -> str:
    return measure_task(experiment, trial.status.artifact, experiment.status.reference).task_id


def make_lease(state: Any = "Claimed", *, age: float = 1.0, entry: str = "1-0", consumer: str = "agent-1") -> Lease:
    holder = consumer if state == "Claimed" else None
    return Lease(entry=entry, state=state, since=NOW - seconds(age), consumer=holder)


def make_answer(task_id: str, *, agent: str = "agent-1", entry: str = "7-0", **fields: Any) -> ResultView:
    """An answer with figures, or (failure=…) with a reason."""
    content: dict[str, Any] = fields
    if "failure" not in fields:
        latency = {"p50": 5.0, "p90": 5.5, "mad": 0.1, "runs": 64, "reference": 2.0}
        content = {"latency": latency, "accuracy": {"value": 0.8, "samples": 500}, **fields}
    content = {key: value for key, value in content.items() if value is not None}
    return ResultView(agent=agent, entry=entry, result=MeasureResult(task_id=task_id, **content))


# -- looking at plans ------------------------------------------------------------------------------------------------


def experiment_status(plan: Plan) -> NASExperimentStatus:
    assert isinstance(plan.status, NASExperimentStatus)
    return plan.status


def reason_of(resource: Any, kind: str) -> str | None:
    """The reason of a condition that is True, of a status or of a resource."""
    found = find_condition(getattr(resource, "status", resource).conditions, kind)
    return found.reason if found is not None and found.status == "True" else None


def message_of(resource: Any, kind: str) -> str:
    found = find_condition(getattr(resource, "status", resource).conditions, kind)
    assert found is not None
    return found.message


def summary_of(*trials: Trial, experiment: NASExperiment | None = None) -> Summary:
    """The summary of the finished ones, from nothing."""
    summary = Summary.of(experiment) if experiment else Summary()
    for trial in trials:
        summary = summary.add(trial) if trial.finished else summary
    return summary
