"""The register of agents: what an object says, what is wrong with it, and what the operator adds when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_operator.access.registry import (
    HEARD,
    HEARD_AT,
    LET_IN,
    PROBLEM,
    Agent,
    BadRecord,
    agent_of,
    config_map,
    noted,
    processes_of,
)

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
DIGEST = "ab" * 32
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)


def made(**annotations: str) -> dict[str, Any]:
    """An agent's object as the API server gives it back."""
    found = config_map(Agent("lab", "bench", DIGEST), namespace="pfpnas-system")
    found["metadata"] |= {"creationTimestamp": "2030-01-01T10:00:00Z", "annotations": annotations}
    return found


@given(name=LABEL, pool=LABEL)
def test_an_agent_comes_back_from_its_object(name: str, pool: str) -> None:
    assert agent_of(config_map(Agent(name, pool, DIGEST), namespace="n")) == Agent(name, pool, DIGEST)


def test_an_object_tells_when_it_was_made_and_what_the_operator_said() -> None:
    said = {LET_IN: DIGEST[:16], HEARD: "2", HEARD_AT: "2030-01-01T11:59:00Z"}
    assert agent_of(made(**said)) == Agent(
        "lab",
        "bench",
        DIGEST,
        since=datetime(2030, 1, 1, 10, tzinfo=UTC),
        let_in=True,
        heard=2,
        heard_at=NOW - timedelta(minutes=1),
    )


def test_an_agent_with_a_new_password_is_not_let_in_yet() -> None:
    assert not agent_of(made(**{LET_IN: "cd" * 8})).let_in


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"data": {"pool": "bench"}}, "passwordSha256"),
        ({"data": {"pool": "*", "passwordSha256": DIGEST}}, "pool"),
        ({"data": {"pool": "bench", "passwordSha256": "secret"}}, "passwordSha256"),
        ({"data": {"pool": "bench", "passwordSha256": DIGEST, "admin": "yes"}}, "admin"),
        ({"data": None}, "pool"),
        ({"metadata": {"name": "pfpnas-agent-lab", "labels": {"pfpnas.io/agent": "*"}}}, "ConfigMap pfpnas-agent-lab"),
        ({"metadata": {"name": "pfpnas-agent-lab", "labels": {"pfpnas.io/agent": "other"}}}, "says other"),
        ({"metadata": {"name": "pfpnas-agent-lab"}}, "ConfigMap pfpnas-agent-lab"),
    ],
)
def test_what_somebody_wrote_by_hand_is_checked(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadRecord) as caught:
        agent_of({**made(), **change})
    assert problem in str(caught.value)


def told(agent: Agent, *, processes: int = 0, problem: str = "", after: float = 0) -> dict[str, str | None]:
    return noted(agent, processes=processes, problem=problem, now=NOW + timedelta(minutes=after))


def lab(**changes: Any) -> Agent:
    return Agent(**{"name": "lab", "pool": "bench", "password_sha256": DIGEST, "let_in": True, **changes})


def test_a_new_agent_is_let_in_and_nothing_is_said_of_its_silence() -> None:
    assert told(lab(let_in=False)) == {LET_IN: DIGEST[:16]}


def test_what_is_said_already_is_not_said_again() -> None:
    assert told(lab(heard=2, heard_at=NOW), processes=2, after=4.9) == {}
    assert told(lab(heard=0, heard_at=NOW), after=60) == {}
    assert told(lab(problem="no"), problem="no") == {}


def test_an_agent_that_comes_or_falls_silent_is_noted_at_once() -> None:
    assert told(lab(), processes=1) == {HEARD: "1", HEARD_AT: "2030-01-01T12:00:00Z"}
    assert told(lab(heard=1, heard_at=NOW), after=0.5) == {HEARD: "0", HEARD_AT: "2030-01-01T12:00:30Z"}
    assert told(lab(heard=1, heard_at=NOW), processes=3, after=0.5)[HEARD] == "3"


def test_an_agent_that_is_heard_on_and_on_is_confirmed_every_five_minutes() -> None:
    assert told(lab(heard=1, heard_at=NOW), processes=1, after=5) == {HEARD: "1", HEARD_AT: "2030-01-01T12:05:00Z"}


def test_a_problem_comes_and_goes() -> None:
    assert told(lab(let_in=False), problem="no users here") == {PROBLEM: "no users here"}
    assert told(lab(problem="no users here")) == {PROBLEM: None}


def test_processes_are_told_apart_from_those_of_similar_names() -> None:
    assert processes_of("lab", dict.fromkeys(["lab", "lab.01234567", "labour", "lab-2", "a.lab"])) == 2
