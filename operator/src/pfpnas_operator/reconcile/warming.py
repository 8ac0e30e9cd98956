"""Starting warm: what other experiments found best is measured here first, before the tuner's first trial."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, zip_longest

from pfpnas_api.kinds import (
    LocalReference,
    Metadata,
    NASExperiment,
    Supernet,
    Trial,
    TrialSpec,
    TrialStatus,
    is_true,
)
from pfpnas_api.quantities import DECIMAL
from pfpnas_api.spaces import ArchitectureError, SearchSpace
from pfpnas_operator.reconcile import names
from pfpnas_operator.reconcile.observed import ExperimentObserved
from pfpnas_operator.reconcile.summary import Summary
from pfpnas_operator.reconcile.waits import Wait

SHARE = 4
"""One of so many trials of the budget at most comes from other experiments: their devices are not this one."""


@dataclass(frozen=True, kw_only=True)
class Warm:
    """What other experiments offer.

    Attributes:
        chosen: Architectures to measure here, the most promising first.
        foreign: Those left out, since they are none of this search space.
    """

    chosen: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def lacking(observed: ExperimentObserved) -> Wait | None:
    """What the search has to wait for; None when every source is there, has searched, and searched the same nets.

    The reason is that of the first source which somebody has to do something about.
    """
    wanted = [source.name for source in observed.experiment.spec.warm_start_from]
    waits = [wait for wait in (_lacking(observed, name) for name in wanted) if wait is not None]
    if not waits:
        return None
    worst = next((wait for wait in waits if wait.reason != PATIENT), waits[0])
    return Wait(reason=worst.reason, message=f"spec.warmStartFrom: {'; '.join(wait.message for wait in waits)}")


PATIENT = "WaitingForWarmStart"
"""The wait for a search that goes on."""


def _lacking(observed: ExperimentObserved, name: str) -> Wait | None:
    source = observed.sources.get(name)
    if source is None:
        text = f"no NASExperiment {name} in this namespace: create it, or take it out"
        return Wait(reason="WarmStartNotFound", message=text)
    theirs = observed.source_supernets.get(name)
    other = unlike(observed.supernet, theirs) if observed.supernet and theirs else None
    if other is not None:
        text = f"NASExperiment {name} searched other nets ({other}): name a search of the same ones, or take it out"
        return Wait(reason="WarmStartMismatch", message=text)
    return None if has_searched(source) else _unfinished(source, observed.experiment)


def _unfinished(source: NASExperiment, experiment: NASExperiment) -> Wait:
    """Why there is nothing of a source yet; two that wait for each other do so until somebody interferes."""
    name, mine = source.metadata.name, experiment.metadata.name
    in_turn = any(other.name == mine for other in source.spec.warm_start_from)
    if in_turn and source.status.started_at is None:
        text = f"NASExperiment {name} waits for {mine} in turn: take one of the two out of the other's warmStartFrom"
        return Wait(reason="WarmStartInTurn", message=text)
    return Wait(reason=PATIENT, message=f"NASExperiment {name} has not ended its search yet")


def has_searched(source: NASExperiment) -> bool:
    """Whether a source's front is what it found in the end."""
    status = source.status
    ended = is_true(status.conditions, "Succeeded") or is_true(status.conditions, "Failed")
    return ended or status.search_finished_at is not None


def unlike(supernet: Supernet, other: Supernet) -> str | None:
    """Why an architecture of another Supernet is another net here, although its id reads the same; None if it is not.

    Ids tell kernels, ratios, depths and resolutions: what of these is lacking here is found when an id is read.
    """
    mine, its = supernet.spec.search_space, other.spec.search_space
    if mine.backbone != its.backbone:
        return f"spec.searchSpace.backbone is {its.backbone} there, and {mine.backbone} here"
    if DECIMAL.parse(mine.width_multiplier) != DECIMAL.parse(its.width_multiplier):
        return f"spec.searchSpace.widthMultiplier is {its.width_multiplier} there, and {mine.width_multiplier} here"
    return None


def offered(observed: ExperimentObserved) -> Warm:
    """The sources' fronts in turns, each from its best score on; at most a quarter of the budget, but one."""
    experiment, supernet = observed.experiment, observed.supernet
    there = [observed.sources.get(source.name) for source in experiment.spec.warm_start_from]
    fronts = [[ranked.architecture for ranked in source.status.front] for source in there if source]
    turns = dict.fromkeys(one for one in chain.from_iterable(zip_longest(*fronts)) if one is not None)
    fitting = _of_space(turns, supernet)
    most = max(1, experiment.spec.budget.max_trials // SHARE)
    return Warm(chosen=tuple(fitting[:most]), foreign=tuple(one for one in turns if one not in fitting))


def _of_space(architectures: Iterable[str], supernet: Supernet | None) -> list[str]:
    space = supernet.space() if supernet else None
    return [one for one in architectures if space is not None and _belongs(space, one)]


def _belongs(space: SearchSpace, architecture: str) -> bool:
    try:
        space.parse(architecture)
    except ArchitectureError:
        return False
    return True


def warm_trials(
    observed: ExperimentObserved, active: Sequence[Trial], *, summary: Summary, now: datetime
) -> tuple[Trial, ...]:
    """The trials that are still to be made of what is offered; none once the tuner's own have begun."""
    experiment = observed.experiment
    if not experiment.spec.warm_start_from or summary.next_index or any(t.spec.index is not None for t in active):
        return ()
    there = summary.warmed | {trial.metadata.name for trial in active}
    made = (_trial(experiment, architecture, now) for architecture in offered(observed).chosen)
    return tuple(trial for trial in made if trial.metadata.name not in there | observed.reserved)


def _trial(experiment: NASExperiment, architecture: str, now: datetime) -> Trial:
    return Trial(
        metadata=Metadata(name=names.warm_trial(experiment, architecture), namespace=experiment.metadata.namespace),
        spec=TrialSpec(
            experiment_ref=LocalReference(name=experiment.metadata.name), architecture=architecture, origin="WarmStart"
        ),
        status=TrialStatus(created_at=now),
    )
