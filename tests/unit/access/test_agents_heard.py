"""What `pfpnas agents list` says of an agent, from what the operator wrote and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pfpnas_operator.access.registry import Agent
from pfpnas_operator.client.agents import heard

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"let_in": False}, "not let in yet"),
        ({"problem": "Redis has no selectors"}, "Redis has no selectors"),
        ({}, "never"),
        ({"heard": 1, "heard_at": NOW - timedelta(minutes=5)}, "yes"),
        ({"heard": 3, "heard_at": NOW}, "yes, 3 processes"),
        ({"heard": 0, "heard_at": NOW - timedelta(hours=3)}, "not for 3h"),
        ({"heard": 1, "heard_at": NOW - timedelta(minutes=30)}, "unknown: the operator says nothing for 30m"),
        ({"heard": 0, "heard_at": NOW + timedelta(seconds=30)}, "not for 0s"),
    ],
)
def test_an_agents_state_in_words(changes: dict[str, Any], said: str) -> None:
    assert heard(Agent(**{"name": "a", "pool": "p", "password_sha256": "x", "let_in": True, **changes}), NOW) == said
