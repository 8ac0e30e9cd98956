"""The documents of one search as they stand, in memory."""

from collections.abc import Iterable, Mapping, MutableSequence
from dataclasses import dataclass, field
from typing import Self

from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from pfpnas_operator.reconcile.summary import Summary


@dataclass(kw_only=True)
class Records:
    """What a folder or an API server holds of a search."""

    supernet: Supernet | None
    experiment: NASExperiment
    active: dict[str, Trial] = field(default_factory=dict)
    finished: MutableSequence[Trial] = field(default_factory=list)
    """In the order in which they finished."""
    summary: Summary = field(default_factory=Summary)
    sources: Mapping[str, NASExperiment] = field(default_factory=dict)
    """Other experiments that this one starts warm from, by name."""

    @classmethod
    def of(
        cls,
        supernet: Supernet,
        experiment: NASExperiment,
        trials: Iterable[Trial],
    ) -> Self:
        """The records of a search that is begun or resumed."""
        records = cls(supernet=supernet, experiment=experiment, summary=Summary.of(experiment))
        records.fill(trials)
        return records

    def fill(self, trials: Iterable[Trial]) -> None:
        """Take in trials in the order in which they finished."""
        for trial in sorted(trials, key=finished_at):
            self.put(trial)

    def put(self, trial: Trial) -> None:
        """A new trial, or a new state of one; a finished one is counted once."""
        if trial.finished:
            self.active.pop(trial.metadata.name, None)
            self.finished.append(trial)
            self.summary = self.summary.add(trial)
        else:
            self.active[trial.metadata.name] = trial


def finished_at(trial: Trial) -> tuple[float, str]:
    """Trials in the order in which they finished; unfinished ones last."""
    moment = trial.status.finished_at
    return (moment.timestamp() if moment else float("inf"), trial.metadata.name)
