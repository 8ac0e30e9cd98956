"""What a run says while it goes on."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pfpnas_api.kinds import Finalist, NASExperimentStatus, PredictorStatus, StageProgress
from pfpnas_operator.local.progress import (
    Display,
    Pace,
    Picture,
    left_text,
    opening_lines,
    picture,
    predictor_text,
)
from pfpnas_operator.local.records import Records
from pfpnas_operator.reconcile import Event
from support.reconcile_builders import NOW, artifact, make_experiment, make_supernet, make_trial, observe, seconds


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _display(*, terminal: bool = False) -> tuple[Display, _Clock, io.StringIO]:
    written, clock = io.StringIO(), _Clock()
    console = Console(file=written, force_terminal=terminal, width=120, color_system=None)
    return Display(console, clock=clock), clock, written


def _records(state: str = "Ready", *trials: Any, **status: Any) -> Records:
    supernet = make_supernet(state)
    experiment = make_experiment()
    experiment = experiment.model_copy(update={"status": NASExperimentStatus(**status)})
    return Records.of(supernet, experiment, trials)


def test_without_a_terminal_a_line_is_said_when_the_stage_changes_and_now_and_then() -> None:
    display, clock, written = _display()
    with display:
        for clock.now, stage in ((0, "a"), (1, "a"), (19, "a"), (21, "a"), (22, "b"), (23, "b")):
            display.show(Picture(stage=stage, detail=f"at {clock.now}"))
    assert written.getvalue().splitlines() == ["a · at 0", "a · at 21", "b · at 22"]


def test_measured_trials_are_not_said_one_by_one_but_failed_ones_are() -> None:
    display, _, written = _display()
    with display:
        display.tell(Event(type="Normal", reason="Measured", message="accuracy 0.9", subject="tiny-00000"))
        display.tell(Event(type="Warning", reason="OutOfMemory", message="does not fit", subject="tiny-00001"))
    assert written.getvalue() == "tiny-00001: does not fit\n"


def test_on_a_terminal_the_picture_is_drawn_and_taken_away() -> None:
    display, _, written = _display(terminal=True)
    with display:
        display.show(Picture(stage="2/3 searching", done=0.5, detail="2 of 4 trials", seconds_left=100, waiting="hm"))
        drawn = written.getvalue()
    assert all(words in drawn for words in ("2/3 searching", "2 of 4 trials", "about 2 min left", "hm"))
    assert written.getvalue().removeprefix(drawn).count("\x1b[2K") >= 2, "both its lines are erased"
    assert "\x1b[?25h" in written.getvalue(), "the cursor is shown again"


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (None, ""),
        (0.4, ""),
        (42, "about 42 s left"),
        (100, "about 2 min left"),
        (4000, "about 67 min left"),
        (7320, "about 2 h 2 min left"),
    ],
)
def test_time_left_in_words(left: float | None, text: str) -> None:
    assert left_text(left) == text


def test_pace_counts_only_what_this_run_has_seen() -> None:
    pace = Pace()
    assert pace.seconds_left(10, 20, now=NOW) is None
    assert pace.seconds_left(10, 20, now=NOW + seconds(30)) is None
    assert pace.seconds_left(12, 20, now=NOW + seconds(40)) == pytest.approx(160)
    assert pace.seconds_left(20, 20, now=NOW + seconds(200)) == 0


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (None, Picture(stage="1/3 training the supernet", detail="starting")),
        (StageProgress(stage="Pretrain"), Picture(stage="1/3 training the supernet", detail="starting")),
        (
            StageProgress(stage="Pretrain", epoch=2, epochs=8, percent=25, eta_seconds=60),
            Picture(stage="1/3 training the supernet", done=0.25, detail="epoch 2 of 8", seconds_left=60),
        ),
        (
            StageProgress(stage="FitPredictor", percent=50),
            Picture(stage="1/3 fitting the accuracy predictor", done=0.5),
        ),
    ],
)
def test_picture_of_the_training(progress: StageProgress | None, expected: Picture) -> None:
    records = _records("New")
    status = records.supernet.status.model_copy(update={"progress": progress})
    records.supernet = records.supernet.model_copy(update={"status": status})
    assert picture(records, None, pace=Pace(), now=NOW) == expected


def test_picture_of_the_search_tells_what_is_under_way() -> None:
    trials = [make_trial(0, "Succeeded"), make_trial(1, "Built"), make_trial(2, "Pending"), make_trial(3, "Pending")]
    records = _records("Ready", *trials, reference=artifact("smallest"), trials={"succeeded": 1})
    shown = picture(records, observe(records.experiment), pace=Pace(), now=NOW)
    most = records.experiment.spec.budget.max_trials
    assert shown.detail == f"1 of {most} trials, 2 being built, 1 being measured"
    assert shown.best is not None


def test_picture_says_what_the_search_waits_for() -> None:
    records = _records("Ready", reference=artifact("smallest"))
    pool = records.experiment.spec.target.pool
    shown = picture(records, observe(records.experiment, agents={}), pace=Pace(), now=NOW)
    assert shown.waiting == f"no agent of pool {pool} is heard yet"


def test_opening_says_what_will_happen_and_where(tmp_path: Path) -> None:
    lines = opening_lines(_records("New"), Path("runs/digits"), Path("agent.yaml"))
    assert lines[0].startswith("digits begins in runs/digits")
    assert "train the supernet tiny (MobileNetV2" in lines[1]
    assert "by the agent of agent.yaml" in lines[2]
    assert "test split" in lines[3]


def test_opening_of_a_resumed_run_says_what_is_done() -> None:
    records = _records("Ready", make_trial(0, "Succeeded"))
    status = records.supernet.status.model_copy(update={"started_at": NOW - timedelta(hours=1)})
    records.supernet = records.supernet.model_copy(update={"status": status})
    lines = opening_lines(records, Path("runs/digits"), None)
    assert lines[0].startswith("digits goes on in runs/digits")
    assert lines[1] == "  1. train the supernet: done (tiny)"
    assert "1 of them done" in lines[2]
    assert "agents of pool" in lines[2]


def test_picture_of_the_search_tells_how_good_the_predictors_are() -> None:
    status = PredictorStatus(
        labels=20, latency_mape=0.031, noise_floor=0.012, repeats=1, accuracy_mae=0.006, kendall_tau=0.8
    )
    records = _records("Ready", reference=artifact("smallest"), predictor=status)
    shown = picture(records, observe(records.experiment), pace=Pace(), now=NOW)
    said = "latency off by 3.1% (noise 1.2% from 1 pair), accuracy by 0.60%, τ 0.80 from 20 measurements"
    assert shown.predictors == said
    display, _, written = _display()
    with display:
        display.show(shown)
    assert "predictors latency off by 3.1%" in written.getvalue()


@pytest.mark.parametrize("status", [None, PredictorStatus(), PredictorStatus(repeats=2, noise_floor=0.01)])
def test_nothing_is_said_of_predictors_that_were_never_fitted(status: PredictorStatus | None) -> None:
    assert predictor_text(status) == ""


def test_picture_of_the_finalists_counts_those_that_are_measured_again() -> None:
    finalists = (Finalist(trial="tiny-00000", reason="MeasurementTimeout"), Finalist(trial="tiny-00001"))
    records = _records("Ready", reference=artifact("smallest"), search_finished_at=NOW, finalists=finalists)
    shown = picture(records, observe(records.experiment), pace=Pace(), now=NOW)
    assert (shown.stage, shown.detail, shown.done) == (
        "3/3 measuring the finalists again",
        "1 of 2 finalists",
        0.5,
    )


def test_opening_says_that_predictors_choose() -> None:
    records = _records()
    tuner = records.experiment.spec.tuner.model_copy(update={"algorithm": "TPE", "pseudo_trials": 300})
    spec = records.experiment.spec.model_copy(update={"tuner": tuner})
    records.experiment = records.experiment.model_copy(update={"spec": spec})
    lines = opening_lines(records, Path("runs/digits"), None)
    assert "chosen by TPE, by predictors from 300 pseudo trials at every refit" in lines[2]
