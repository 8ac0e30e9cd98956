"""The local agent's process: started again when it dies, but not for ever; told of Redis where nobody else reads it."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from pfpnas_operator.local import agent as module
from pfpnas_operator.local.agent import AgentError, LocalAgent
from pfpnas_operator.local.folder import RunFolder
from support.agent_process import eventually

URL = "redis://:secret@127.0.0.1:1/0"
SAYS = (
    "import json, os, sys, time; "
    "print(json.dumps([os.getpid(), sys.argv, dict(os.environ)]), flush=True); "
    "time.sleep(99)"
)


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAgent:
    """An agent that only says who it is."""
    monkeypatch.setattr(module, "_argv", lambda command, config: [sys.executable, "-c", SAYS, command])
    return LocalAgent(tmp_path / "agent.yaml", RunFolder(tmp_path), redis_url=URL)


def _said(folder: Path, starts: int) -> list[tuple[int, list[str], dict[str, str]]]:
    """What each start of it has said, once there were so many."""

    def look() -> list[tuple[int, list[str], dict[str, str]]] | None:
        lines = (folder / "logs" / "agent.log").read_text().splitlines()
        return [json.loads(line) for line in lines] if len(lines) == starts else None

    return eventually(look, f"start {starts} of the agent")


def _die(agent: LocalAgent, folder: Path, starts: int) -> None:
    pid, _, _ = _said(folder, starts)[-1]
    agent.ensure()  # seen alive
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: agent._process is None or agent._process.poll() is not None or None, "its death")


def test_password_of_redis_stands_in_no_command_line(agent: LocalAgent, tmp_path: Path) -> None:
    agent.ensure()
    (_, argv, environment) = _said(tmp_path, 1)[0]
    agent.stop()
    assert "secret" not in " ".join(argv)
    assert environment["PFPNAS_REDIS_URL"] == URL


@pytest.mark.parametrize(("steady", "forgiven"), [(0.0, True), (600.0, False)])
def test_agent_that_stays_up_is_forgiven_its_earlier_deaths(
    agent: LocalAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steady: float, forgiven: bool
) -> None:
    monkeypatch.setattr(module, "STEADY_SECONDS", steady)
    monkeypatch.setattr(module, "RESTART_LIMIT", 1)
    for starts in (1, 2):
        agent.ensure()
        _die(agent, tmp_path, starts)
    if not forgiven:
        with pytest.raises(AgentError, match="the agent died 2 times"):
            agent.ensure()
        return
    agent.ensure()
    assert len(_said(tmp_path, 3)) == 3
    agent.stop()
