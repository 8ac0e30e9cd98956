"""A run that starts warm from another one's folder beside its own."""

import shutil
from collections.abc import Callable

import pytest

from pfpnas_api.kinds import is_true
from support.run_process import Place

pytestmark = pytest.mark.timeout(600)

WARM = {"metadata": {"name": "later"}, "spec": {"warmStartFrom": [{"name": "tiny"}], "budget": {"maxTrials": 2}}}


def test_what_another_run_found_is_measured_first(trained: Callable[..., Place], whole_run: tuple[Place, str]) -> None:
    place = trained(WARM)
    shutil.copytree(whole_run[0].out, place.folder / "tiny")
    with place.run() as run:
        assert run.wait() == 0, run.stdout + run.stderr
        assert "found by tiny, and measured here first: 1" in run.stdout
    trials = place.trials()
    (warm,) = [trial for trial in trials.values() if trial.spec.origin == "WarmStart"]
    assert warm.spec.architecture == whole_run[0].documents()[1].status.front[0].architecture
    assert is_true(warm.status.conditions, "Succeeded")
    assert len(trials) == 2
    ends = [trial.status.finished_at for trial in trials.values() if trial.status.finished_at is not None]
    assert len(ends) == 2
    assert warm.status.finished_at == min(ends)


def test_run_that_is_not_there_is_named_beforehand_with_the_remedy(trained: Callable[..., Place]) -> None:
    place = trained(WARM)
    with place.run() as run:
        assert run.wait() == 2
        assert "spec.warmStartFrom[0].name: there is no run of tiny in" in run.stderr
        assert f"run it first, with --out {place.folder / 'tiny'}" in run.stderr
        assert "Traceback" not in run.stderr
        assert run.children() == {}
    assert not place.trials()
