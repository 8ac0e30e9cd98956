"""Which namespaces kopf was told to serve, as far as their names tell."""

import pytest

from pfpnas_operator.kube.housekeeping import named_namespaces


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ["kopf", "run", "-m", "pfpnas_operator.kube", "--namespace=team-a", "--namespace=team-b"],
            {"team-a", "team-b"},
        ),
        (["kopf", "run", "-n", "team-a", "--namespace", "team-b"], {"team-a", "team-b"}),
        (["kopf", "run", "--all-namespaces"], set()),
        (["kopf", "run", "-n", "team-*", "--namespace=!team-b"], set()),
    ],
)
def test_named_namespaces(arguments: list[str], named: set[str]) -> None:
    assert named_namespaces(arguments) == named
