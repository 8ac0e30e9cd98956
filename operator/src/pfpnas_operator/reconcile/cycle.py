"""One cycle of an experiment: what is seen, the status as it becomes, and the plan as it grows."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pfpnas_api.kinds import NASExperiment, NASExperimentStatus, Trial, is_true
from pfpnas_operator.reconcile.conditions import Stamp
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.plan import Plan
from pfpnas_operator.reconcile.summary import Summary
from pfpnas_operator.reconcile.waits import counted


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A failure that is the experiment's own: it ends as failed."""

    reason: str
    message: str


@dataclass(kw_only=True)
class Cycle:
    """What the steps of one cycle work on."""

    observed: ExperimentObserved
    stamp: Stamp
    status: NASExperimentStatus
    summary: Summary
    plan: Plan = field(default_factory=Plan)

    @property
    def experiment(self) -> NASExperiment:
        """The experiment as observed; its status as it becomes is `status`."""
        return self.observed.experiment

    @property
    def ended(self) -> bool:
        """Whether it has succeeded or failed."""
        return is_true(self.status.conditions, "Succeeded") or is_true(self.status.conditions, "Failed")

    def update(self, **fields: Any) -> None:
        """Change fields of the status."""
        self.status = self.status.model_copy(update=fields)

    def put(self, kind: str, status: Literal["True", "False", "Unknown"], reason: str, message: str = "") -> None:
        """Set a condition."""
        self.update(conditions=self.stamp.put(self.status.conditions, kind, status, reason, message))

    def attempt(self, key: str, count: int) -> None:
        """Note how often one of the experiment's own Jobs or builds was tried."""
        self.update(attempts={**self.status.attempts, key: count})

    def interruption(self, key: str, count: int) -> None:
        """Note how often one of them was interrupted in a row."""
        if self.status.interruptions.get(key, 0) != count:
            self.update(interruptions=counted(self.status.interruptions, key, count))

    def note(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Add an event about the experiment."""
        self.plan.note(self.experiment.metadata.name, reason, message, warning=warning)

    def finish(self, trial: Trial) -> None:
        """Take a trial that finished in this cycle into the summary."""
        self.summary = self.summary.add(trial)
