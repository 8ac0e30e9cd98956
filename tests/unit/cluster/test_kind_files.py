"""The workflow and the kind configuration, which run on GitHub only, say what the provider expects."""

import os
from typing import Any

import pytest
import yaml

from cluster import programs, settings
from cluster.shell import run

WORKFLOW = settings.ROOT / ".github" / "workflows" / "e2e.yml"


def workflow() -> dict[str, Any]:
    content = yaml.safe_load(WORKFLOW.read_text())
    assert isinstance(content, dict)
    return content


def test_the_workflow_asks_for_kind_with_the_providers_node_image_and_helm() -> None:
    environment = workflow()["jobs"]["kind"]["env"]

    assert environment["PFPNAS_E2E"] == "kind"
    assert environment["NODE_IMAGE"] == settings.NODE_IMAGE
    assert settings.GO_PROGRAMS["helm"].endswith(environment["HELM_VERSION"])


def test_actionlint_finds_nothing_in_the_workflow() -> None:
    if not (programs.BIN / "actionlint").exists() and os.environ.get("CI") != "true":
        pytest.skip(f"actionlint is not in {programs.BIN}, and CI is not set, where it would be built")

    run(programs.go_program("actionlint"), "-no-color", WORKFLOW)


def test_kinds_node_is_of_the_local_clusters_minor() -> None:
    minor = ".".join(settings.KUBERNETES.split(".")[:2])

    assert settings.NODE_IMAGE.startswith(f"kindest/node:{minor}.")


def test_the_workflow_runs_the_tier_and_may_only_read() -> None:
    content = workflow()
    commands = [step.get("run", "") for step in content["jobs"]["kind"]["steps"]]

    assert commands[-1].endswith("python tests/run.py e2e")
    assert content["permissions"] == {"contents": "read"}
    assert content["jobs"]["kind"]["timeout-minutes"] <= 90


def test_the_kind_cluster_is_one_node_and_nothing_else() -> None:
    """The whole document: kind refuses what it doesn't know, and no test of ours runs kind."""
    content = yaml.safe_load((settings.HERE / "kind.yaml").read_text())

    nodes = [{"role": "control-plane"}]
    assert content == {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": nodes}
