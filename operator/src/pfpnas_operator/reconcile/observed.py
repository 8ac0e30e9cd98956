"""What a decision sees: resources, Jobs, leases, results. Values only; a driver fills them in."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import NASExperiment, PredictorStatus, Supernet, Trial
from pfpnas_api.messages import Heartbeat, MeasureResult, Progress, Suggestion
from pfpnas_operator.reconcile.summary import Summary


@dataclass(frozen=True, kw_only=True)
class JobView:
    """A Job (or local process) as it stands."""

    name: str
    state: Literal["Queued", "Pending", "Running", "Succeeded", "Failed"]
    """Queued: it is suspended until its queue (Kueue) admits it. Pending: its pods do not run yet."""
    since: datetime
    """When its state began, as well as the system tells: of Pending when the reason for it began, of Running when its
    last container started, of an ended one when it ended, of a leaving one when it was deleted."""
    progressed_at: datetime
    """When it last said something new about its progress; `since` if never."""
    exit_code: int | None = None
    message: str = ""
    """The system's own words on why it waits or failed."""
    reason: str = ""
    """Why it waits, in the system's own word: Unschedulable, ImagePullBackOff, CreateContainerConfigError, …"""
    infrastructure: bool = False
    """Whether what ended it is no fault of its own: an evicted or preempted pod, a node that is gone."""
    leaving: bool = False
    """It was deleted, but its pods have not ended yet: nothing of its name can be created before."""
    progress: Progress | None = None

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("Queued", "Pending", "Running")


@dataclass(frozen=True, kw_only=True)
class BadManifest:
    """What a Job left behind can't be used: it is no manifest, or names a model that is not there."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Lease:
    """An entry of a work stream, and who holds it since when."""

    entry: str
    state: Literal["Waiting", "Claimed", "Answered"]
    since: datetime
    """When this state was first seen: time without Redis is never counted against its holder."""
    consumer: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResultView:
    """A readable result on an agent's stream."""

    agent: str
    entry: str
    result: MeasureResult


@dataclass(frozen=True, kw_only=True)
class LogView:
    """What the tuner's log holds by now."""

    asked: int = 0
    asked_at: datetime | None = None
    """When `asked` last rose; None when it isn't known."""
    started: Set[str] = frozenset()
    """Names of trials."""
    finished: Set[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class TrialsRefused:
    """New Trials that could not all be made at the last try, for a quota or a policy."""

    why: str
    since: datetime
    """When the first of the tries in a row was that made none."""
    due: bool
    """Whether it is time for another."""


@dataclass(frozen=True, kw_only=True)
class SupernetObserved:
    """A Supernet and its children."""

    supernet: Supernet
    jobs: Mapping[str, JobView] = field(default_factory=dict)
    """By name."""
    manifests: Mapping[str, Manifest | BadManifest] = field(default_factory=dict)
    """By uid, of the uids that `names.supernet_manifests` lists."""


@dataclass(frozen=True, kw_only=True)
class ExperimentObserved:
    """A NASExperiment, its children, and its share of the bus."""

    experiment: NASExperiment
    supernet: Supernet | None
    active: tuple[Trial, ...] = ()
    """Trials that are not finished, oldest first."""
    summary: Summary = field(default_factory=Summary)
    """Of the finished ones."""
    untold: tuple[Trial, ...] = ()
    """Finished trials that the tuner's log lacks, in the order in which they finished."""
    jobs: Mapping[str, JobView] = field(default_factory=dict)
    manifests: Mapping[str, Manifest | BadManifest] = field(default_factory=dict)
    """By uid, of the builds under way."""
    builds: Mapping[str, Lease] = field(default_factory=dict)
    """By build uid; Pooled workers only."""
    tasks: Mapping[str, Lease] = field(default_factory=dict)
    """By task id."""
    results: Mapping[str, tuple[ResultView, ...]] = field(default_factory=dict)
    """By task id; without those that answer another experiment's task."""
    strange: Set[str] = frozenset()
    """Ids among those of `results` to which this experiment never had a task (see `issued.IssuedTasks`)."""
    refused: int = 0
    """Answers that could not be read, removed since the last look."""
    agents: Mapping[str, Heartbeat] = field(default_factory=dict)
    said_for: Mapping[str, timedelta] = field(default_factory=dict)
    """How long each of them has said what it says now, as far as it was heard; who is left out, since this look."""
    refusers: Mapping[str, str] = field(default_factory=dict)
    """Of them, those that refused a task of this experiment before this look and measured none since, and why."""
    refused_ago: Mapping[str, timedelta] = field(default_factory=dict)
    """How long before this look each of them refused last; who is left out did just now."""
    refusals: Mapping[str, int] = field(default_factory=dict)
    """How often each task was refused by an agent for what is the agent's, this look included."""
    suggestions: Mapping[int, Suggestion] = field(default_factory=dict)
    predictor: PredictorStatus | None = None
    """The newest that came with a suggestion: the one by the most labels. Without noise floors."""
    sources: Mapping[str, NASExperiment] = field(default_factory=dict)
    """Those of `warmStartFrom` that are there, by name."""
    source_supernets: Mapping[str, Supernet] = field(default_factory=dict)
    """What they searched, by the names of the experiments; those that are there."""
    pool_refused: str | None = None
    """Why the experiment's namespace may not use its pool, if so: said to whoever wrote it."""
    reserved: Set[str] = frozenset()
    """Names like those of the search's own trials, of Trials that it did not make."""
    trials_refused: TrialsRefused | None = None
    log: LogView = field(default_factory=LogView)
