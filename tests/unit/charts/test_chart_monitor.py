"""The ServiceMonitor: only where it is asked for, and of a port that the operator's Service has.

No Prometheus operator runs in any test, so that this is all that is known of it.
"""

import pytest

from support.charts import RENDERINGS, Document, of_kind, rendered

BY_NAME = {one.name: one for one in RENDERINGS}


def _service(documents: list[Document]) -> Document:
    (found,) = (one for one in of_kind(documents, "Service") if one["metadata"]["name"] == "pfpnas-operator")
    return found


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    """With every switch of the chart turned."""
    return rendered(BY_NAME["everything"])


@pytest.fixture(scope="module")
def monitor(documents: list[Document]) -> Document:
    (found,) = of_kind(documents, "ServiceMonitor")
    return found


def test_nobody_is_given_a_monitor_unasked() -> None:
    """Its kind is Prometheus' own: a cluster without it would refuse the whole release."""
    assert of_kind(rendered(BY_NAME["default"]), "ServiceMonitor") == []


def test_it_chooses_the_operators_service_and_no_other(documents: list[Document], monitor: Document) -> None:
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    chosen = [one for one in of_kind(documents, "Service") if wanted <= one["metadata"]["labels"].items()]
    assert chosen == [_service(documents)]
    # It looks in its own namespace, as it names no other.
    assert "namespaceSelector" not in monitor["spec"]
    assert monitor["metadata"]["namespace"] == chosen[0]["metadata"]["namespace"]


def test_it_names_a_port_that_the_service_has(documents: list[Document], monitor: Document) -> None:
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in _service(documents)["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_it_has_the_labels_by_which_a_prometheus_chooses(monitor: Document) -> None:
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
