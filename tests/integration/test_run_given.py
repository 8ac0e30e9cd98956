"""A Redis that is given, and an agent that somebody else has started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pfpnas_api.kinds import is_true
from support.redis_server import redis_server
from support.run_process import Place

pytestmark = pytest.mark.timeout(600)


def test_agent_elsewhere_measures_over_a_redis_that_is_given(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"budget": {"maxTrials": 2}}})
    with redis_server() as server, place.run("--no-agent", "--redis", server.url) as run:
        run.until(lambda: "no agent of pool bench is heard yet" in run.stdout, "it says whom it waits for")
        assert not [line for line in run.children().values() if "redis-server" in line or "pfpnas_agent" in line]
        with place.agent_elsewhere(server.url):
            assert run.wait() == 0, run.stdout + run.stderr
    assert is_true(place.documents()[1].status.conditions, "Succeeded")
    assert (place.out / "best" / "model.onnx").is_file()
    assert not (place.out / "best" / "deployable.onnx").exists()


def test_given_redis_that_restarts_empty_only_costs_time(trained: Callable[..., Place]) -> None:
    place = trained({"spec": {"budget": {"maxTrials": 2, "parallelTrials": 1}}})
    with redis_server() as server, place.run("--redis", server.url) as run:
        run.until(lambda: any(trial.finished for trial in place.trials().values()), "a measured trial")
        server.kill()
        run.until(lambda: "Redis:" in run.stdout, "it says that Redis is away")
        server.start()
        assert run.wait() == 0, run.stdout + run.stderr
    assert len(place.trials()) == 2
    assert set(place.measured().values()) == {1}


def test_two_searches_share_a_pool(trained: Callable[..., Place], whole_run: tuple[Place, str], tmp_path: Path) -> None:
    first = trained({"spec": {"budget": {"maxTrials": 2}}})
    second = Place(tmp_path / "second", experiment=first.experiment)
    second.adopt_supernet(whole_run[0].out)
    with redis_server() as server, first.agent_elsewhere(server.url):
        shared = ("--no-agent", "--redis", server.url)
        with first.run(*shared) as one, second.run(*shared) as other:
            assert one.wait() == 0, one.stdout + one.stderr
            assert other.wait() == 0, other.stdout + other.stderr
    for place in (first, second):
        status = place.documents()[1].status
        assert (status.trials.succeeded, status.replicates, status.refused_results) == (2, 0, 0)
