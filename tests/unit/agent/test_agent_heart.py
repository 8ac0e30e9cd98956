"""What an agent says of itself: only who asks for tasks is idle."""

from typing import Any

import pytest

from pfpnas_agent.heart import Heart
from pfpnas_agent.loop import Agent


class Asked(Exception):  # noqa: N818 - reads as the state it names
    """The agent asks for tasks."""


class Bus:
    def beat(self, heartbeat: Any) -> None:
        pass

    def held(self) -> None:
        raise Asked


class Journal:
    def unsent(self) -> list[Any]:
        return []


def test_an_agent_that_prepares_its_data_is_busy_and_idle_once_it_asks_for_tasks() -> None:
    unused: Any = Bus()
    heart, said = Heart(unused), []

    class Performer:
        def prepare(self) -> None:
            said.append(heart._says)

    parts: dict[str, Any] = {"journal": Journal(), "performer": Performer()}
    with pytest.raises(Asked):
        Agent(unused, heart, redis="redis://here", **parts).run()
    said.append(heart._says)
    assert [(one.state, one.task_id) for one in said] == [("Busy", None), ("Idle", None)]
