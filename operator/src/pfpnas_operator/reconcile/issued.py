"""Which tasks an experiment ever had: an answer to one of them may come twice or late, any other is refused."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pfpnas_api.kinds import ArtifactRef, NASExperiment, Trial
from pfpnas_operator.reconcile.finalists import REPETITIONS
from pfpnas_operator.reconcile.measuring import measure_task
from pfpnas_operator.reconcile.repeats import BLIND

Split = Literal["Validation", "Test"]


def issued_by(experiment: NASExperiment, artifact: ArtifactRef | None) -> Iterator[str]:
    """Ids of the tasks that a candidate may have had in the search and at its end; without one, of raw pixels."""
    wanted: list[tuple[Split, int]] = [("Test", 0)]
    if artifact is not None:
        wanted += [("Validation", repetition) for repetition in (0, BLIND, *REPETITIONS)]
    for split, repetition in wanted:
        yield measure_task(
            experiment, artifact, experiment.status.reference, split=split, repetition=repetition
        ).task_id


@dataclass
class IssuedTasks:
    """Ids of the tasks of finished trials, worked out once each, and only when an answer makes it necessary.

    The ids follow from the record alone, so they outlive Redis and the operator. A spec.target changed in mid-search
    changes them: late answers to tasks from before then count as refused.
    """

    _finished: set[str] = field(default_factory=set)
    _looked_at: int = 0

    def strange(
        self, ids: Iterable[str], experiment: NASExperiment, *, active: Iterable[Trial], finished: Sequence[Trial]
    ) -> frozenset[str]:
        """Those of some task ids that this experiment never had.

        Args:
            ids: Of answers that no task on the road explains; nothing is worked out without any.
            experiment: Whose tasks they would have to be.
            active: Trials that are not finished.
            finished: All the others; the list may only grow.
        """
        left = set(ids)
        if not left:
            return frozenset()
        for trial in finished[self._looked_at :]:
            self._finished.update(_of_trial(experiment, trial))
        self._looked_at = len(finished)
        left -= self._finished
        for trial in active:
            left.difference_update(_of_trial(experiment, trial))
        for evaluation in experiment.status.evaluations:
            left.difference_update(issued_by(experiment, evaluation.artifact))
        return frozenset(left)


def _of_trial(experiment: NASExperiment, trial: Trial) -> Iterator[str]:
    return issued_by(experiment, trial.status.artifact) if trial.status.artifact else iter(())
