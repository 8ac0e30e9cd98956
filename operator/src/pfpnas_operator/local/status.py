"""`pfpnas status`: a run in a few lines."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pfpnas_api.kinds import Finalist, NASExperiment, PredictorStatus, Supernet, find_condition
from pfpnas_operator.local.baseline import own_baseline
from pfpnas_operator.local.ending import true_condition
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.progress import STAGES, best_text, left_text, measured_again, predictor_text
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile.finale import settled


def status_lines(folder: RunFolder, records: Records) -> list[str]:
    """State, Supernet, trials and the best so far, one fact a line."""
    supernet, experiment = records.supernet, records.experiment
    lines = [
        f"{experiment.metadata.name}: {_state(folder, experiment)}",
        f"supernet: {_supernet(supernet)}",
        f"trials: {_trials(records)}",
    ]
    lines += _waiting(folder, experiment)
    lines += _predictors(experiment.status.predictor)
    lines += _search_end(experiment)
    # Once the finalists are measured again, their medians name the best; until then it is the summary's.
    best = experiment.status.best or records.summary.best
    if best is not None:
        over = experiment.status.finished_at is not None
        lines.append(f"best{'' if over else ' so far'}: {best.trial}, {best_text(best)}  {best.architecture}")
    lines += _finalists(experiment.status.finalists)
    evaluations = experiment.status.evaluations
    if evaluations:
        done = sum(settled(evaluation) for evaluation in evaluations)
        lines.append(f"private test split: {done} of {len(evaluations)} nets scored")
    lines += _baseline(folder, records)
    if (folder.root / "report.html").exists():
        lines.append(f"report: {folder.root / 'report.html'}")
    return lines


def _waiting(folder: RunFolder, experiment: NASExperiment) -> Iterator[str]:
    """That nobody measures, while the run is there to hear it."""
    agents = find_condition(experiment.status.conditions, "AgentsAvailable")
    over = experiment.status.finished_at is not None or not folder.locked()
    if agents is not None and agents.status == "False" and not over:
        yield f"waiting: {agents.message}"


def _predictors(status: PredictorStatus | None) -> Iterator[str]:
    """How good the private predictors are, and what was chosen."""
    said = predictor_text(status)
    if status is None or not said:
        return
    yield f"predictors: {said}"
    chosen = [
        f"{name} by {quality.regressor} on {quality.encoding} (MACs only: off by {quality.macs_error:.2%})"
        for name, quality in (("latency", status.latency), ("accuracy", status.accuracy))
        if quality is not None
    ]
    if chosen:
        yield f"chosen in cross-validation: {', '.join(chosen)}"


def _search_end(experiment: NASExperiment) -> Iterator[str]:
    """Why the search ended, where the state doesn't say it already."""
    searching = find_condition(experiment.status.conditions, "Searching")
    if true_condition(experiment.status.conditions, "Succeeded") is not None:
        return
    if experiment.status.search_finished_at is not None and searching is not None and searching.status == "False":
        yield f"search ended: {searching.reason}{f', {searching.message}' if searching.message else ''}"


def _finalists(finalists: tuple[Finalist, ...]) -> Iterator[str]:
    if not finalists:
        return
    yield f"finalists measured again: {measured_again(finalists)} of {len(finalists)}"
    for finalist in finalists:
        times = 1 + len(finalist.remeasurements)
        if finalist.reason is not None and times == 1:
            yield f"  {finalist.trial}: not measured again ({finalist.reason})"
        elif finalist.ranked is not None:
            ended = f", then {finalist.reason}" if finalist.reason is not None else ""
            yield f"  {finalist.trial}: {best_text(finalist.ranked)} (medians of {times} measurements{ended})"


def _baseline(folder: RunFolder, records: Records) -> Iterator[str]:
    other = own_baseline(folder, records)
    if other is None:
        return
    algorithm, best = other.experiment.spec.tuner.algorithm, other.summary.best
    found = f", best {best_text(best)}" if best is not None else ""
    yield f"baseline: {algorithm}, {_trials(other)}{found}"


def _state(folder: RunFolder, experiment: NASExperiment) -> str:
    for kind in ("Succeeded", "Failed"):
        condition = true_condition(experiment.status.conditions, kind)
        if condition is not None:
            return f"{kind.lower()} ({condition.reason}){f': {condition.message}' if condition.message else ''}"
    if not folder.locked():
        return "not running; the same `pfpnas run` goes on from here"
    started = experiment.status.started_at
    if started is None:
        return "running"
    return f"running; the search began {timedelta(seconds=round((datetime.now(UTC) - started).total_seconds()))} ago"


def _supernet(supernet: Supernet) -> str:
    status = supernet.status
    failure = true_condition(status.conditions, "Failed")
    if failure is not None:
        return f"{supernet.metadata.name} failed ({failure.reason}): {failure.message}"
    if status.progress is not None:
        progress = status.progress
        left = left_text(progress.eta_seconds)
        stage = STAGES[progress.stage].split(" ", 1)[1]
        return f"{stage}, {progress.percent} %{f', {left}' if left else ''}"
    trained = find_condition(status.conditions, "Trained")
    if status.checkpoint is None or trained is None:
        return f"{supernet.metadata.name} is not trained yet"
    return f"{supernet.metadata.name} is trained; {trained.message}"


def _trials(records: Records) -> str:
    summary, most = records.summary, records.experiment.spec.budget.max_trials
    text = f"{summary.succeeded} of {most} measured"
    if summary.infeasible:
        text += f" ({summary.infeasible} over a limit)"
    if summary.failed:
        text += ", failed: " + ", ".join(f"{reason} {count}" for reason, count in sorted(summary.failed.items()))
    if records.active:
        text += f", under way: {len(records.active)}"
    return text
