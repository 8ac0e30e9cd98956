"""How far a run is: a live picture on a terminal, else a plain line now and then."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pfpnas_api.kinds import RankedTrial
from pfpnas_operator.local.observer import Records
from pfpnas_operator.reconcile import Event, ExperimentObserved

PLAIN_SECONDS = 20.0
"""Between two plain lines: often enough to see that it lives, seldom enough for a log."""

LIVE_PER_SECOND = 2
"""Drawing costs a little of the cores on which the agent measures."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A run at one moment.

    Attributes:
        stage: What is being done, in words.
        done: Share of the stage, 0 to 1; None when it has none.
        detail: Epochs, trials.
        seconds_left: Of the stage, estimated.
        best: The best trial so far.
        waiting: What it waits for, if for anything.
    """

    stage: str
    done: float | None = None
    detail: str = ""
    seconds_left: float | None = None
    best: RankedTrial | None = None
    waiting: str = ""


def picture(records: Records, observed: ExperimentObserved | None, now: datetime) -> Picture:
    """What is to be shown."""
    if observed is None:
        return _training(records)
    experiment = records.experiment
    if experiment.status.search_finished_at is not None:
        settled = [e for e in experiment.status.evaluations if e.accuracy or e.reason]
        total = len(experiment.status.evaluations) or 1
        detail = f"{len(settled)} of {total} nets"
        return Picture(stage="Scoring on the private test split", done=len(settled) / total, detail=detail)
    return _searching(records, observed, now)


def _training(records: Records) -> Picture:
    progress = records.supernet.status.progress
    if progress is None:
        return Picture(stage="Starting")
    names = {"Pretrain": "Training the supernet", "FitPredictor": "Fitting the accuracy predictor"}
    detail = f"epoch {progress.epoch} of {progress.epochs}" if progress.epochs else ""
    return Picture(
        stage=names[progress.stage],
        done=progress.percent / 100,
        detail=detail,
        seconds_left=progress.eta_seconds,
    )


def _searching(records: Records, observed: ExperimentObserved, now: datetime) -> Picture:
    status, most = records.experiment.status, records.experiment.spec.budget.max_trials
    done = status.trials.succeeded + status.trials.failed
    left = None
    if done and status.started_at is not None:
        left = (now - status.started_at).total_seconds() / done * max(0, most - done)
    waiting = "" if observed.agents else "waits for an agent's heartbeat"
    failed = f", {status.trials.failed} failed" if status.trials.failed else ""
    return Picture(
        stage="Searching",
        done=done / most,
        detail=f"{done} of {most} trials{failed}",
        seconds_left=left,
        best=records.summary.best,
        waiting=waiting,
    )


def best_text(best: RankedTrial | None) -> str:
    """The best so far in a few words."""
    if best is None:
        return ""
    latency = best.metrics.latency_milliseconds
    parts = [f"accuracy {best.accuracy:.2%}" if best.accuracy is not None else "accuracy skipped"]
    if latency is not None:
        parts.append(f"{latency.p50:.2f} ms")
        if latency.relative is not None:
            parts.append(f"{latency.relative:.2f}× reference")
    if not best.feasible:
        parts.append("over a limit")
    return ", ".join(parts)


def left_text(seconds: float | None) -> str:
    """Time left, in words."""
    return "" if seconds is None else f"about {timedelta(seconds=round(seconds))} left"


class Display:
    """Shows pictures and events; used as a context manager."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._live: Live | None = None
        self._said, self._last = float("-inf"), ""

    def __enter__(self) -> "Display":
        """Begin to draw, where there is a terminal to draw on."""
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=LIVE_PER_SECOND, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def show(self, picture: Picture) -> None:
        """Draw, or say a line when the stage changes and every `PLAIN_SECONDS`."""
        if self._live is not None:
            self._live.update(_drawn(picture))
            return
        now = self._clock()
        if picture.stage != self._last or now - self._said >= PLAIN_SECONDS:
            self._last, self._said = picture.stage, now
            self._print(_line(picture))

    def tell(self, event: Event) -> None:
        """Say what was decided; single trials only where there is no live picture."""
        if event.reason == "Measured" and self._live is not None:
            return
        style = "yellow" if event.type == "Warning" else ""
        self._print(Text(f"{event.subject}: {event.message or event.reason}", style=style))

    def _print(self, text: str | Text) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _line(picture: Picture) -> str:
    parts = [picture.stage]
    if picture.done is not None:
        parts.append(f"{picture.done:.0%}")
    parts += [picture.detail, best_text(picture.best), left_text(picture.seconds_left), picture.waiting]
    return " · ".join(part for part in parts if part)


def _drawn(picture: Picture) -> Group:
    row = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=1.0, completed=picture.done or 0.0, width=32, pulse=picture.done is None)
    row.add_row(Text(picture.stage, style="bold"), bar, picture.detail, left_text(picture.seconds_left))
    lines = [Text(f"best so far: {best_text(picture.best)}")] if picture.best else []
    if picture.waiting:
        lines.append(Text(picture.waiting, style="yellow"))
    return Group(row, *lines)
