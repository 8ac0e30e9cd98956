"""`pfpnas status`: a run in a few lines."""

from pfpnas_api.kinds import Condition
from pfpnas_operator.local.observer import Records
from pfpnas_operator.local.progress import best_text


def status_lines(records: Records) -> list[str]:
    """Supernet, experiment and the best so far, one fact a line."""
    supernet, experiment = records.supernet, records.experiment
    trials = experiment.status.trials
    lines = [
        f"Supernet/{supernet.metadata.name}: {_told(supernet.status.conditions)}",
        f"NASExperiment/{experiment.metadata.name}: {_told(experiment.status.conditions)}",
        f"trials: {trials.succeeded} measured ({trials.infeasible} over a limit), {trials.failed} failed, "
        f"{trials.running} running, {trials.pending} pending, of {experiment.spec.budget.max_trials}",
    ]
    if experiment.status.best is not None:
        best = experiment.status.best
        lines.append(f"best: {best.trial} {best.architecture}: {best_text(best)}")
    return lines


def _told(conditions: tuple[Condition, ...]) -> str:
    """The last thing that happened, else that nothing did."""
    if not conditions:
        return "not begun"
    latest = max(conditions, key=lambda condition: condition.last_transition_time)
    state = latest.type if latest.status == "True" else f"not {latest.type}"
    return f"{state} ({latest.reason}){f': {latest.message}' if latest.message else ''}"
