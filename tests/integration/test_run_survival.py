"""What a search needs dies in the middle of it: it is started again, and every candidate is measured once."""

from collections.abc import Callable

import pytest

from pfpnas_api.kinds import is_true
from support.run_process import Place

pytestmark = pytest.mark.timeout(600)

SLOW = {"spec": {"target": {"measurement": {"warmupSeconds": "0.3"}}, "budget": {"maxTrials": 3, "parallelTrials": 1}}}


def _assert_ended_well(place: Place, *, trials: int = 3) -> None:
    found = place.trials()
    assert sorted(trial.spec.index or 0 for trial in found.values()) == list(range(trials))
    assert all(is_true(trial.status.conditions, "Succeeded") for trial in found.values())
    assert is_true(place.documents()[1].status.conditions, "Succeeded")
    assert set(place.measured().values()) == {1}


@pytest.mark.parametrize("process", ["redis-server", "pfpnas_agent run", "--serve", "tune"])
def test_survives_the_death_of(process: str, trained: Callable[..., Place]) -> None:
    place = trained(SLOW)
    with place.run() as run:
        run.until(lambda: any(trial.finished for trial in place.trials().values()), "a measured trial")
        run.child("pfpnas_agent.measuring")
        killed = run.kill_child(process)
        run.until(lambda: killed not in run.children(), "its death")
        assert run.wait() == 0, run.stdout + run.stderr
        assert run.children() == {}
    _assert_ended_well(place)
