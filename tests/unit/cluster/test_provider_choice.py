"""Which cluster the end-to-end tests take.

| PFPNAS_E2E | CI | kind can run | root | taken |
| --- | --- | --- | --- | --- |
| – | – | yes | – | kind |
| – | – | no | – | none, with reason and remedy |
| – | true | yes | – | kind |
| – | true | no | yes | local |
| – | true | no | no | none |
| local | – | – | yes | local |
| kind | – | yes / no | – | kind / none |
| existing | – | – | – | existing, if its context is a test cluster's |
"""

from collections.abc import Callable

import pytest

from cluster.provider import choose, context_of


def kind(lacks: str | None) -> Callable[[], str | None]:
    return lambda: lacks


def never() -> str | None:
    raise AssertionError("nobody needs to know whether kind can run")


@pytest.mark.parametrize(
    ("environment", "lacks", "is_root", "taken"),
    [
        ({}, None, False, "kind"),
        ({}, "no program kind", True, None),
        ({"CI": "true"}, None, True, "kind"),
        ({"CI": "true"}, "no privileged containers", True, "local"),
        ({"CI": "true"}, "no program kind", False, None),
        ({"CI": "false"}, "no program kind", True, None),
        ({"PFPNAS_E2E": "kind"}, None, True, "kind"),
        ({"PFPNAS_E2E": "kind", "CI": "true"}, "no program kind", True, None),
        ({"PFPNAS_E2E": ""}, None, False, "kind"),
    ],
)
def test_the_provider_follows_from_the_environment_and_the_machine(
    environment: dict[str, str], lacks: str | None, is_root: bool, taken: str | None
) -> None:
    assert choose(environment, is_root=is_root, kind_lacks=kind(lacks)).provider == taken


@pytest.mark.parametrize(("wanted", "taken"), [("local", "local"), ("existing", "existing")])
def test_who_names_a_provider_gets_it_without_a_look_at_kind(wanted: str, taken: str) -> None:
    assert choose({"PFPNAS_E2E": wanted}, is_root=True, kind_lacks=never).provider == taken


def test_no_cluster_says_what_is_missing_and_what_to_do() -> None:
    choice = choose({}, is_root=True, kind_lacks=kind("no program kind"))

    assert "no program kind" in choice.reason
    assert "PFPNAS_E2E=local" in choice.reason
    assert "PFPNAS_E2E=existing" in choice.reason


def test_the_local_cluster_without_root_says_so() -> None:
    assert "root" in choose({"PFPNAS_E2E": "local"}, is_root=False, kind_lacks=never).reason


def test_an_unknown_provider_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'minikube': it may be existing, kind, local"):
        choose({"PFPNAS_E2E": "minikube"}, is_root=True, kind_lacks=never)


@pytest.mark.parametrize("context", ["kind-mine", "pfpnas-test-local"])
def test_a_test_clusters_context_is_taken(context: str) -> None:
    assert context_of(f"current-context: {context}") == context


@pytest.mark.parametrize(
    "kubeconfig", ["current-context: production", "current-context: my-kind-", "current-context: ''", "{}", "", "[]"]
)
def test_any_other_context_is_refused(kubeconfig: str) -> None:
    with pytest.raises(ValueError, match=r"only take kind-\* or pfpnas-test-\*"):
        context_of(kubeconfig)
