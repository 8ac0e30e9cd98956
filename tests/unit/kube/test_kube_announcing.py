"""Events: equal ones have one name, and what went well is rationed."""

from datetime import UTC, datetime

from pfpnas_operator.kube.announcing import Allowance, Notice, Subject, event_body

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def notice(message: str = "done", name: str = "search") -> Notice:
    subject = Subject(kind="NASExperiment", namespace="a", name=name, uid="u-1")
    return Notice(subject=subject, type="Normal", reason="Succeeded", message=message)


def test_a_repetition_has_the_name_of_the_first() -> None:
    assert notice().name == notice().name
    assert notice().name != notice("again").name


def test_the_name_of_an_event_is_one_that_the_api_takes() -> None:
    name = notice(name="a" * 39 + "-" + "b" * 12).name
    assert len(name) <= 63
    assert "-." not in name


def test_an_event_points_at_its_object_and_counts() -> None:
    body = event_body(notice("x" * 5000), count=3, first=WHEN, last=WHEN)
    assert body["involvedObject"]["uid"] == "u-1"
    assert (body["count"], body["lastTimestamp"]) == (3, "2026-01-01T00:00:00Z")
    assert len(body["message"]) == 1024


def test_an_allowance_is_spent_and_comes_back() -> None:
    now = [0.0]
    allowance = Allowance(most=2, a_second=0.5, clock=lambda: now[0])
    assert [allowance.spend() for _ in range(3)] == [True, True, False]
    now[0] = 2.0
    assert [allowance.spend() for _ in range(2)] == [True, False]
