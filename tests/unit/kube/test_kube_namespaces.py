"""Which namespaces kopf was told to serve, as far as their names tell."""

import pytest

from pfpnas_operator.kube.housekeeping import served_namespaces


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
    assert served_namespaces(arguments) == named
