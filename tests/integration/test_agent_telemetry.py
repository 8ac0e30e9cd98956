"""The runtime that the agent loads tells nobody of its use, and keeps nothing to tell it later."""

from pathlib import Path

import pytest

from support.agent_process import World
from support.redis_server import redis_server


def test_no_process_of_the_agent_keeps_events_for_the_runtimes_makers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    # In tests and CI onnxruntime is silent by itself; here it shall behave as on a device.
    for name in ("CI", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    with redis_server() as server:
        world = World(tmp_path / "device", server.url)
        with world.agent(environment={"HOME": str(home), "OMP_NUM_THREADS": "1"}):
            assert world.measured(world.task()).latency is not None
    assert [str(path.relative_to(home)) for path in home.rglob("*")] == []
