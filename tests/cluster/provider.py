"""Which cluster the end-to-end tests run on: kind, an existing one, or the local one; else none, with the reason.

| provider | taken when |
| --- | --- |
| `existing` | `PFPNAS_E2E=existing`; the kubeconfig's current context must be `kind-*` or `pfpnas-test-*` |
| `local` | `PFPNAS_E2E=local`, or `CI=true` where kind can't run; needs root, as it installs packages and rules |
| `kind` | the kind program, an engine that runs privileged containers, and the node image are there |
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from cluster import local, programs
from cluster.buildah import Buildah
from cluster.docker import Docker
from cluster.kube import Cluster
from cluster.progress import phase
from cluster.settings import CACHE, HERE, KIND_CLUSTER, KUBECONFIG, NODE_IMAGE
from cluster.shell import CommandError, run

PROVIDERS = ("existing", "kind", "local")
TEST_CONTEXTS = ("kind-", "pfpnas-test-")


@dataclass(frozen=True)
class Choice:
    """A provider, or None; and why."""

    provider: str | None
    reason: str


def choose(environment: Mapping[str, str], *, is_root: bool, kind_lacks: Callable[[], str | None]) -> Choice:
    """Decide by the environment variables `PFPNAS_E2E` and `CI` and by what the machine can do.

    Args:
        environment: variables.
        is_root: whether this process may make bridges and mounts.
        kind_lacks: what kind needs and isn't there, or None; only asked when it matters, as it starts a container.

    Raises:
        ValueError: `PFPNAS_E2E` names no provider.
    """
    wanted = environment.get("PFPNAS_E2E", "")
    if wanted not in ("", *PROVIDERS):
        raise ValueError(f"PFPNAS_E2E is {wanted!r}: it may be {', '.join(PROVIDERS)}, or empty")
    if wanted == "existing":
        return Choice("existing", "PFPNAS_E2E=existing")
    if wanted == "local" or (wanted == "" and environment.get("CI") == "true"):
        lacks = kind_lacks() if wanted == "" else "PFPNAS_E2E=local asks for the other"
        return _local(lacks, is_root=is_root) if lacks else Choice("kind", "kind can run here")
    lacks = kind_lacks()
    if lacks is None:
        return Choice("kind", "kind can run here")
    remedy = (
        "PFPNAS_E2E=local builds a cluster out of this machine's processes (as root), PFPNAS_E2E=existing takes one"
    )
    return Choice(None, f"no cluster for end-to-end tests: kind can't run ({lacks}); {remedy} that runs already")


def _local(kind_lacks: str, *, is_root: bool) -> Choice:
    if not is_root:
        return Choice(
            None, f"no cluster for end-to-end tests: kind can't run ({kind_lacks}), and the local one needs root"
        )
    return Choice("local", f"kind can't run ({kind_lacks})")


def what_kind_lacks() -> str | None:
    """What is missing for kind on this machine, or None. Pulls nothing: `docker pull` the node image beforehand."""
    for program in ("kind", "docker"):
        if shutil.which(program) is None:
            return f"no program {program}"
    for command, lacks in (
        (("docker", "info"), "no Docker engine answers"),
        (("docker", "image", "inspect", NODE_IMAGE), f"no node image {NODE_IMAGE}"),
        (("docker", "run", "--rm", "--privileged", "--entrypoint", "true", NODE_IMAGE), "no privileged containers"),
    ):
        try:
            run(*command, timeout_seconds=60)
        except CommandError:
            return lacks
    return None


def context_of(kubeconfig: str) -> str:
    """The current context of a kubeconfig's text.

    Raises:
        ValueError: it isn't known for a test cluster's; the tests would install and delete things in it.
    """
    content = yaml.safe_load(kubeconfig)
    context = str((content or {}).get("current-context") or "") if isinstance(content, dict) else ""
    if not context.startswith(TEST_CONTEXTS):
        known = " or ".join(f"{start}*" for start in TEST_CONTEXTS)
        raise ValueError(f"the kubeconfig's current context is {context!r}: end-to-end tests only take {known}")
    return context


@contextmanager
def provide(choice: Choice) -> Iterator[Cluster]:
    """The chosen cluster for the length of the block; one that ran before goes on running."""
    assert choice.provider is not None, "choose() found none"
    with {"existing": _existing, "kind": _kind, "local": _local_cluster}[choice.provider]() as cluster:
        yield cluster


@contextmanager
def _local_cluster() -> Iterator[Cluster]:
    started_here = local.ensure()
    try:
        yield Cluster("local", KUBECONFIG, programs.kubectl(), programs.go_program("helm"), Buildah())
    finally:
        if started_here:
            local.stop()


@contextmanager
def _kind() -> Iterator[Cluster]:
    kubeconfig = CACHE / "kind.kubeconfig"
    was_up = KIND_CLUSTER in run("kind", "get", "clusters").split()
    at = ("--name", KIND_CLUSTER, "--kubeconfig", kubeconfig)
    kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    if was_up:
        run("kind", "export", "kubeconfig", *at)
    else:
        with phase("kind cluster"):
            run("kind", "create", "cluster", *at, "--image", NODE_IMAGE, "--config", HERE / "kind.yaml", "--wait", "3m")
    try:
        yield Cluster("kind", kubeconfig, _program("kubectl"), _program("helm"), Docker(KIND_CLUSTER))
    finally:
        if not was_up:
            run("kind", "delete", "cluster", *at)


@contextmanager
def _existing() -> Iterator[Cluster]:
    path = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
    context = context_of(path.read_text())
    if context.startswith("kind-"):
        engine = Docker(context.removeprefix("kind-"))
        yield Cluster("existing", path, _program("kubectl"), _program("helm"), engine)
    else:
        local.renew_volumes()
        yield Cluster("existing", path, programs.kubectl(), programs.go_program("helm"), Buildah())


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"no program {name} on the PATH")
    return Path(found)
