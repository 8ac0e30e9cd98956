"""Ctrl-C and SIGTERM: everything is stopped in order, the exit code is 130, and the same command goes on."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pfpnas_api.kinds import is_true
from support.run_process import Place

pytestmark = pytest.mark.timeout(600)


def test_stopped_search_leaves_nothing_behind_and_goes_on(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"budget": {"maxTrials": 2}, "target": {"measurement": {"warmupSeconds": "0.5"}}}})
    with place.run() as run:
        run.child("pfpnas_agent.measuring")
        run.signal(signal.SIGINT)
        assert run.wait() == 130
        assert run.children() == {}
        assert "The same command goes on from here" in run.stderr
        assert "Traceback" not in run.stderr + run.stdout
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
    assert len(place.trials()) == 2
    assert is_true(place.documents()[1].status.conditions, "Succeeded")


def test_stopped_training_keeps_its_last_step(tmp_path: Path) -> None:
    place = Place(tmp_path, supernet={"spec": {"training": {"epochs": 300, "checkpointEvery": 1000}}})
    refs = place.out / "artifacts" / "refs"
    with place.run() as run:
        run.until(lambda: _epoch(place) > 0, "an epoch trained")
        assert not list(refs.glob("*.checkpoint.json"))
        run.signal(signal.SIGTERM)
        assert run.wait() == 130
        assert run.children() == {}
    assert list(refs.glob("*.checkpoint.json"))


def _epoch(place: Place) -> int:
    if not (place.out / "experiment.yaml").exists():
        return 0
    progress = place.documents()[0].status.progress
    return progress.epoch if progress else 0


def test_second_ctrl_c_kills_what_does_not_stop(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"target": {"measurement": {"warmupSeconds": "0.5"}}}})
    with place.run() as run:
        worker = run.child("--serve")
        run.child("pfpnas_agent.measuring")
        os.kill(worker, signal.SIGSTOP)
        run.signal(signal.SIGINT)
        run.until(lambda: "stopping everything" in run.stdout, "the first to be heard")
        run.signal(signal.SIGINT)
        assert run.wait() == 130
        assert "everything was stopped" not in run.stderr, "it waited for the frozen worker to the end"
        run.await_no_children()
        assert "Traceback" not in run.stderr + run.stdout


def test_ctrl_c_before_anything_runs_is_130_too(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.run() as run:
        run.child("pfpnas_agent check")
        run.signal(signal.SIGTERM)
        assert run.wait() == 130
        run.await_no_children()
        assert "Traceback" not in run.stderr
    assert not (place.out / "supernet.yaml").exists()
