"""Which namespaces are served: as kopf was told, but for those that nobody may look into."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pfpnas_operator.kube.api import JOBS, SUPERNETS, ApiAway, ApiError, Object, Place
from pfpnas_operator.kube.namespaces import ENV_LEFT_OUT, leave_out, left_out, listed, may_look, named_namespaces

COMMAND = ["python", "-m", "kopf", "run", "-m", "pfpnas_operator.kube", "--standalone"]


class Api:
    """An object of each kind in each namespace, as far as one may look."""

    def __init__(self, *namespaces: str, error: ApiError | None = None) -> None:
        self.namespaces, self.closed = namespaces, set[str | None]()
        self.closed_kind: Place | None = None
        self.error = error or ApiError(403, "Forbidden", "forbidden")

    def list(
        self, place: Place, namespace: str | None = None, *, labels: str | None = None, fields: str | None = None
    ) -> list[Object]:
        if namespace in self.closed or place is self.closed_kind:
            raise self.error
        return [{"metadata": {"uid": f"{place.plural} {one}"}} for one in self.namespaces if namespace in (None, one)]


def api(*namespaces: str, error: ApiError | None = None) -> Any:
    return Api(*namespaces, error=error)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ["kopf", "run", "-m", "pfpnas_operator.kube", "--namespace=team-a", "--namespace=team-b"],
            {"team-a", "team-b"},
        ),
        (["kopf", "run", "-n", "team-a", "--namespace", "team-b"], {"team-a", "team-b"}),
        (["kopf", "run", "--all-namespaces"], None),
        (["kopf", "run", "-n", "team-*", "--namespace=!team-b"], set()),
    ],
)
def test_namespaces_that_are_served(arguments: list[str], named: set[str] | None) -> None:
    assert named_namespaces(arguments) == named


# -- at the start ----------------------------------------------------------------------------------------------


def begun(server: Any, *options: str, out: str = "") -> tuple[list[str], str] | None:
    """The options by which the process is begun again, and what is left out then; None when it isn't."""
    found: list[tuple[list[str], str]] = []

    def start(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        assert list(arguments[: len(COMMAND)]) == COMMAND
        assert environment["HOME"] == "/tmp"
        found.append((list(arguments[len(COMMAND) :]), environment[ENV_LEFT_OUT]))

    environment = {"HOME": "/tmp", ENV_LEFT_OUT: out}
    leave_out(server, arguments=[*COMMAND, *options], environment=environment, start=start)
    return found[0] if found else None


def test_a_namespace_that_is_gone_is_left_out() -> None:
    server = api("team-a", "team-b")
    server.closed = {"gone", "gone-too"}
    options = ["--namespace=team-b", "-n", "gone", "--namespace", "gone-too", "-n", "team-a", "-n", "lab-*"]
    assert begun(server, *options) == (
        ["--namespace=lab-*", "--namespace=team-a", "--namespace=team-b"],
        "gone,gone-too",
    )


def test_one_of_whose_kinds_one_is_closed_is_left_out() -> None:
    server = api("team-a")
    assert may_look(server, "team-a")
    server.closed_kind = SUPERNETS
    assert not may_look(server, "team-a")


def test_one_that_was_left_out_is_served_once_it_is_back() -> None:
    assert begun(api("team-a", "back"), "--namespace=team-a", out="back") == (
        ["--namespace=back", "--namespace=team-a"],
        "",
    )


def test_what_is_left_out_already_begins_nothing_again() -> None:
    server = api("team-a")
    server.closed = {"gone"}
    assert begun(server, "--namespace=team-a", out="gone") is None


@pytest.mark.parametrize("options", [["--all-namespaces"], ["-n", "team-a", "-n", "team-b"], ["-n", "team-*"]])
def test_where_one_may_look_everywhere_nothing_begins_again(options: list[str]) -> None:
    assert begun(api("team-a", "team-b"), *options) is None


def test_with_no_namespace_at_all_kopf_waits() -> None:
    server = api()
    server.closed = {"gone"}
    assert begun(server, "-n", "gone") is None


def test_an_api_server_that_can_not_say_leaves_nothing_out() -> None:
    server = api("team-a", error=ApiAway(503, "ServiceUnavailable", "starting"))
    server.closed = {"team-b"}
    with pytest.raises(ApiAway):
        begun(server, "-n", "team-a", "-n", "team-b")


def test_what_was_left_out_is_known_after_the_new_begin() -> None:
    assert left_out({ENV_LEFT_OUT: "gone,gone-too"}) == {"gone", "gone-too"}
    assert left_out({}) == set()


# -- later -----------------------------------------------------------------------------------------------------


def test_everything_is_listed_from_all_namespaces_in_one_go() -> None:
    found = listed(api("a", "b"), JOBS, SUPERNETS, named=None, kept=set())
    assert [body["metadata"]["uid"] for _, body in found.found] == ["jobs a", "jobs b", "supernets a", "supernets b"]
    assert (found.namespaces, found.unseen, found.whole) == (None, set(), True)


def test_a_refusal_of_all_namespaces_is_no_refusal_for_ever() -> None:
    server = api("a", "b")
    server.closed = {None}
    found = listed(server, JOBS, named=None, kept={"a"})
    assert [body["metadata"]["uid"] for _, body in found.found] == ["jobs a"]
    assert (found.namespaces, found.whole) == ({"a"}, False)
    server.closed = set()
    assert listed(server, JOBS, named=None, kept={"a"}).namespaces is None


def test_a_namespace_that_is_closed_costs_the_others_nothing() -> None:
    server = api("a", "b", "c")
    server.closed = {"b"}
    found = listed(server, JOBS, named={"a", "b"}, kept={"c"})
    assert [body["metadata"]["uid"] for _, body in found.found] == ["jobs a", "jobs c"]
    assert (found.namespaces, found.unseen, found.whole) == ({"a", "c"}, {"b"}, False)


def test_one_of_whose_kinds_one_is_closed_is_not_half_listed() -> None:
    server = api("a")
    server.closed_kind = SUPERNETS
    found = listed(server, JOBS, SUPERNETS, named={"a"}, kept=set())
    assert (found.found, found.namespaces) == ([], set())


def test_an_outage_is_no_closed_namespace() -> None:
    server = api("a", error=ApiAway(500, "InternalError", "etcd"))
    server.closed = {None, "a"}
    for named in (None, {"a"}):
        with pytest.raises(ApiAway):
            listed(server, JOBS, named=named, kept=set())
