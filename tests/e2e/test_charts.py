"""What the charts render is what a real API server takes, without a warning of its Pod Security."""

import json

import pytest

from cluster.kube import Cluster
from support.charts import RENDERINGS, Rendering, rendered

FOREIGN = {"ServiceMonitor", "Certificate"}
"""Kinds of other operators, which the test cluster lacks."""


@pytest.mark.parametrize("rendering", RENDERINGS, ids=lambda one: one.name)
def test_the_api_server_takes_it(cluster: Cluster, module_namespace: str, rendering: Rendering) -> None:
    documents = [one for one in rendered(rendering) if one["kind"] not in FOREIGN]
    for one in documents:
        if "namespace" in one["metadata"]:
            one["metadata"]["namespace"] = module_namespace
        for port in one["spec"].get("ports", []) if one["kind"] == "Service" else []:
            port.pop("nodePort", None)  # there is one of each in a cluster, and another release may have it
    # hostPath is what `restricted` warns of, and the README says so.
    strict = () if rendering.name == "k3s-edge-agent" else ("--warnings-as-errors",)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    server_side = ("--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict")
    said = cluster.kubectl("apply", *server_side, *strict, "-o", "name", "-f", "-", input=text)
    assert len(said.splitlines()) == len(documents)
