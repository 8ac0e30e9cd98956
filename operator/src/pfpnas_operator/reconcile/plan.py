"""What a decision asks for. A driver carries it out in the order of the fields: record first, then the road."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from pfpnas_api.jobs import FitPredictorJob, PretrainJob, TrialJob, TrialWorkerJob, TuneJob
from pfpnas_api.kinds import ArtifactRef, NASExperimentStatus, SupernetStatus, Trial, TrialStatus
from pfpnas_api.messages import BuildRequest, LogEntry, MeasureTask
from pfpnas_operator.reconcile.observed import ResultView

JobDocument = PretrainJob | FitPredictorJob | TuneJob | TrialWorkerJob | TrialJob


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A Job to create: deterministic name, so that creating it twice is harmless."""

    name: str
    workload: Literal["pretrain", "fit-predictor", "tune", "trial-worker", "trial"]
    document: JobDocument


@dataclass(frozen=True, kw_only=True)
class Event:
    """A decision worth a line in the log, and in a cluster an Event."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    subject: str
    """Name of the resource it is about."""


@dataclass(kw_only=True)
class Plan:
    """One cycle's actions; empty when there is nothing to do."""

    create_trials: list[Trial] = field(default_factory=list)
    trial_status: dict[str, TrialStatus] = field(default_factory=dict)
    """By name; only what changed."""
    status: SupernetStatus | NASExperimentStatus | None = None
    """None when nothing changed."""
    forget: list[str] = field(default_factory=list)
    """Uids whose manifests are void: their Jobs refused what was changed since, or left what can't be used."""
    delete_results: list[ResultView] = field(default_factory=list)
    delete_tasks: list[str] = field(default_factory=list)
    """Entries."""
    delete_builds: list[str] = field(default_factory=list)
    delete_jobs: list[str] = field(default_factory=list)
    create_jobs: list[JobRequest] = field(default_factory=list)
    waiting_jobs: list[JobRequest] = field(default_factory=list)
    """Jobs that do not run yet, as they would be made now: one that was refused is tried again, one that would be made
    otherwise is made anew."""
    log: list[LogEntry] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    """Trials that `log` tells of: name → Started or Finished."""
    builds: list[BuildRequest] = field(default_factory=list)
    push: list[ArtifactRef] = field(default_factory=list)
    """Artifacts whose chunks Redis lost."""
    tasks: list[MeasureTask] = field(default_factory=list)
    wanted_tasks: set[str] = field(default_factory=set)
    """Ids of the tasks that something still waits for: what else lies on the road is swept."""
    wanted_builds: set[str] = field(default_factory=set)
    """The same of builds, by uid."""
    wanted_jobs: set[str] = field(default_factory=set)
    """The same of Jobs, by name."""
    replicates: int = 0
    """Answers that nobody waited for any more."""
    refuse_results: list[ResultView] = field(default_factory=list)
    """Answers that can't be ones to their task, or to a task that was never issued: forgotten as `delete_results`."""
    events: list[Event] = field(default_factory=list)

    def jobs_to_make(self) -> list[JobRequest]:
        """Those to create, and those that wait; what this plan deletes is not made again by it."""
        return [*self.create_jobs, *(job for job in self.waiting_jobs if job.name not in self.delete_jobs)]

    def leave_out(self, trials: Iterable[Trial]) -> None:
        """Tell the tuner nothing of trials that could not be made: they will be, or others in their place."""
        lacking = {trial.metadata.name: (trial.spec.index, trial.spec.architecture) for trial in trials}
        self.log = [
            entry
            for entry in self.log
            if entry.event != "Started" or (entry.index, entry.architecture) not in lacking.values()
        ]
        self.told = {name: how for name, how in self.told.items() if name not in lacking}

    def note(self, subject: str, reason: str, message: str, *, warning: bool = False) -> None:
        """Add an event."""
        kind: Literal["Normal", "Warning"] = "Warning" if warning else "Normal"
        self.events.append(Event(type=kind, reason=reason, message=message, subject=subject))
