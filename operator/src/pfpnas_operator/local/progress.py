"""How far a run is: a live picture on a terminal, else a plain line now and then."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pfpnas_api.kinds import Finalist, PredictorStatus, RankedTrial, Supernet, is_true
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import Event, ExperimentObserved
from pfpnas_operator.reconcile.finale import settled
from pfpnas_operator.report.units import milliseconds, pairs

PLAIN_SECONDS = 20.0
"""Between two plain lines: often enough to see that it lives, seldom enough for a log."""

LIVE_SECONDS = 0.25
"""Between two drawings: each costs a little of the cores on which the agent measures."""


STAGES = {
    "Pretrain": "1/3 training the supernet",
    "FitPredictor": "1/3 fitting the accuracy predictor",
    "Search": "2/3 searching",
    "Finalists": "3/3 measuring the finalists again",
    "Finale": "3/3 scoring on the private test split",
}
"""What is being done, by the names that jobs and this module give it."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A run at one moment.

    Attributes:
        stage: What is being done, in words.
        done: Share of the stage, 0 to 1; None when it has none.
        detail: Epochs, trials.
        seconds_left: Of the stage, estimated.
        best: The best trial so far.
        predictors: How good they are, in words.
        waiting: What it waits for, if for anything.
    """

    stage: str
    done: float | None = None
    detail: str = ""
    seconds_left: float | None = None
    best: RankedTrial | None = None
    predictors: str = ""
    waiting: str = ""


class Pace:
    """How fast trials finish in this run: time that passed between two runs doesn't count."""

    def __init__(self) -> None:
        self._since: tuple[datetime, int] | None = None

    def seconds_left(self, done: int, most: int, *, now: datetime) -> float | None:
        """An estimate, once a trial has finished in this run."""
        if self._since is None:
            self._since = (now, done)
        start, before = self._since
        if done <= before:
            return None
        return (now - start).total_seconds() / (done - before) * max(0, most - done)


def opening_lines(records: Records, root: Path, config: Path | None) -> list[str]:
    """What is going to happen, and where."""
    experiment, supernet = records.experiment, records.supernet
    target, budget = experiment.spec.target, experiment.spec.budget
    goes_on = supernet.status.started_at is not None
    who = f"the agent of {config}" if config else f"agents of pool {target.pool}, wherever they run"
    lines = [
        f"{experiment.metadata.name} {'goes on' if goes_on else 'begins'} in {root}: every step is kept there; Ctrl-C "
        "stops it, and the same command goes on."
    ]
    if supernet.status.predictor is None:
        lines.append(f"  1. {_training_plan(supernet)}")
    else:
        lines.append(f"  1. train the supernet: done ({supernet.metadata.name})")
    done = f", {records.summary.tuned} of them done" if records.summary.tuned else ""
    tuner = experiment.spec.tuner
    chosen = f"{tuner.algorithm}, by predictors from {tuner.pseudo_trials} pseudo trials at every refit"
    lines += [
        f"  2. search: {budget.max_trials} trials{done}, {budget.parallel_trials} at once, chosen by "
        f"{chosen if tuner.pseudo_trials else tuner.algorithm}; measured on {target.dataset} by {who}",
        "  3. measure the finalists again, score the best and its baselines on the private test split, once; write "
        "best/ and report.html",
    ]
    return lines


def _training_plan(supernet: Supernet) -> str:
    spec, count = supernet.spec, supernet.space().count
    number = f"{count:,}" if count < 1_000_000 else f"{count:.1e}"
    epochs = f"{spec.training.epochs} epoch{'s' if spec.training.epochs > 1 else ''}"
    return (
        f"train the supernet {supernet.metadata.name} ({spec.search_space.backbone}, {number} architectures; "
        f"{spec.dataset.format}, {epochs}), evaluate {spec.predictor.samples} subnets"
    )


def picture(records: Records, observed: ExperimentObserved | None, *, pace: Pace, now: datetime) -> Picture:
    """What is to be shown."""
    if observed is None:
        return _training(records)
    if records.experiment.status.search_finished_at is not None:
        return _finale(records, observed)
    return _searching(records, observed, pace=pace, now=now)


def _training(records: Records) -> Picture:
    status = records.supernet.status
    progress = status.progress
    if status.predictor is not None:
        return Picture(stage=STAGES["Search"], detail="starting")
    if progress is None or not progress.percent + progress.epoch:
        name = "Pretrain" if status.checkpoint is None else "FitPredictor"
        return Picture(stage=STAGES[name], detail="starting")
    return Picture(
        stage=STAGES[progress.stage],
        done=progress.percent / 100,
        detail=f"epoch {progress.epoch} of {progress.epochs}" if progress.epochs else "",
        seconds_left=progress.eta_seconds,
    )


def _searching(records: Records, observed: ExperimentObserved, *, pace: Pace, now: datetime) -> Picture:
    status, most = records.experiment.status, records.experiment.spec.budget.max_trials
    if status.reference is None:
        return Picture(stage=STAGES["Search"], detail="building the reference model", waiting=_waiting(observed))
    done = status.trials.succeeded + status.trials.failed
    return Picture(
        stage=STAGES["Search"],
        done=min(1.0, done / most),
        detail=", ".join([f"{done} of {most} trials", *_under_way(records)]),
        seconds_left=pace.seconds_left(done, most, now=now),
        best=records.summary.best,
        predictors=predictor_text(status.predictor),
        waiting=_waiting(observed),
    )


def _under_way(records: Records) -> list[str]:
    """What the trials that aren't finished are at."""
    built = sum(is_true(trial.status.conditions, "Built") for trial in records.active.values())
    counts = {
        "failed": records.experiment.status.trials.failed,
        "being built": len(records.active) - built,
        "being measured": built,
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def _finale(records: Records, observed: ExperimentObserved) -> Picture:
    status, evaluations = records.experiment.status, records.experiment.status.evaluations
    finalists = status.finalists
    if finalists and not evaluations:
        again, detail = measured_again(finalists), f"{measured_again(finalists)} of {len(finalists)} finalists"
        return Picture(
            stage=STAGES["Finalists"],
            done=again / len(finalists),
            detail=detail,
            best=status.best,
            waiting=_waiting(observed),
        )
    done, total = sum(settled(evaluation) for evaluation in evaluations), len(evaluations) or 1
    detail = f"{done} of {total} nets" if evaluations else "starting"
    best, waiting = status.best or records.summary.best, _waiting(observed)
    return Picture(stage=STAGES["Finale"], done=done / total, detail=detail, best=best, waiting=waiting)


def measured_again(finalists: Iterable[Finalist]) -> int:
    """How many of them are through with it."""
    return sum(finalist.ranked is not None or finalist.reason is not None for finalist in finalists)


def predictor_text(status: PredictorStatus | None) -> str:
    """The private predictors in a few words; nothing as long as there are none."""
    if status is None or not status.labels:
        return ""
    parts = []
    if status.latency_mape is not None:
        noise = status.noise_floor
        floor = f" (noise {noise:.1%} from {pairs(status.repeats)})" if noise is not None else ""
        parts.append(f"latency off by {status.latency_mape:.1%}{floor}")
    if status.accuracy_mae is not None:
        parts.append(f"accuracy by {status.accuracy_mae:.2%}")
    if status.kendall_tau is not None:
        parts.append(f"τ {status.kendall_tau:.2f}")
    return f"{', '.join(parts)} from {status.labels} measurements"


def _waiting(observed: ExperimentObserved) -> str:
    if observed.agents:
        return ""
    return f"no agent of pool {observed.experiment.spec.target.pool} is heard yet"


def best_text(best: RankedTrial | None) -> str:
    """The best so far in a few words."""
    if best is None:
        return ""
    latency = best.metrics.latency_milliseconds
    parts = [f"accuracy {best.accuracy:.2%}" if best.accuracy is not None else "accuracy skipped"]
    if latency is not None:
        parts.append(milliseconds(latency.p50))
        if latency.relative is not None:
            parts.append(f"{latency.relative:.2f}× reference")
    if not best.feasible:
        parts.append("over a limit")
    return ", ".join(parts)


def left_text(seconds: float | None) -> str:
    """Time left, in words as exact as an estimate is; nothing for the last moment."""
    if seconds is None or seconds < 1:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min left"
    return f"about {minutes // 60} h {minutes % 60} min left"


class Display:
    """Shows pictures and events; used as a context manager."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._live: Live | None = None
        self._shown, self._last = float("-inf"), ""

    def __enter__(self) -> "Display":
        """Begin to draw, where there is a terminal to draw on."""
        if self._console.is_terminal:
            # Drawn by `show` alone: a thread of its own would run while children are forked.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def show(self, picture: Picture) -> None:
        """Draw, or say a line, when the stage changes and every so often."""
        now, interval = self._clock(), LIVE_SECONDS if self._live else PLAIN_SECONDS
        if picture.stage == self._last and now - self._shown < interval:
            return
        self._last, self._shown = picture.stage, now
        if self._live is not None:
            self._live.update(_drawn(picture), refresh=True)
        else:
            self._print(_line(picture))

    def tell(self, event: Event) -> None:
        """Say what was decided; the picture tells of trials, unless they fail."""
        if event.reason == "Measured":
            return
        style = "yellow" if event.type == "Warning" else ""
        self._print(Text(f"{event.subject}: {event.message or event.reason}", style=style))

    def _print(self, text: str | Text) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _line(picture: Picture) -> str:
    parts = [picture.stage]
    if picture.done is not None:
        parts.append(f"{picture.done:.0%}")
    best = f"best so far {best_text(picture.best)}" if picture.best else ""
    predictors = f"predictors {picture.predictors}" if picture.predictors else ""
    parts += [picture.detail, left_text(picture.seconds_left), best, predictors, picture.waiting]
    return " · ".join(part for part in parts if part)


def _drawn(picture: Picture) -> Group:
    row = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=1.0, completed=picture.done or 0.0, width=32, pulse=picture.done is None)
    row.add_row(Text(picture.stage, style="bold"), bar, picture.detail, left_text(picture.seconds_left))
    lines = [Text(f"    best so far: {best_text(picture.best)}")] if picture.best else []
    if picture.predictors:
        lines.append(Text(f"    predictors: {picture.predictors}"))
    if picture.waiting:
        lines.append(Text(f"    {picture.waiting}", style="yellow"))
    return Group(row, *lines)
