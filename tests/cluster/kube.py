"""A cluster as the tests use it: kubectl, helm, images."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import images
from cluster.images import Engine
from cluster.shell import run

LEAVING_SECONDS = 240
"""For the end of a namespace that is being deleted: its pods have grace periods, its finalizers their owners."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster and the tools for it."""

    provider: str
    kubeconfig: Path
    kubectl_program: Path
    helm_program: Path
    engine: Engine

    def kubectl(self, *words: str, input: str | None = None, timeout_seconds: float = 300) -> str:
        """Run kubectl; its standard output.

        Raises:
            CommandError: it failed; the message holds what it wrote to standard error.
        """
        command: tuple[str | Path, ...] = (self.kubectl_program, "--kubeconfig", self.kubeconfig, *words)
        return run(*command, input=input, timeout_seconds=timeout_seconds)

    def helm(self, *words: str, input: str | None = None, timeout_seconds: float = 600) -> str:
        """Run helm, with its caches beside the kubeconfig; errors as for `kubectl`."""
        homes = {f"HELM_{name}_HOME": str(self.kubeconfig.parent / "helm") for name in ("CACHE", "CONFIG", "DATA")}
        command: tuple[str | Path, ...] = (self.helm_program, "--kubeconfig", self.kubeconfig, *words)
        return run(*command, input=input, env=homes, timeout_seconds=timeout_seconds)

    def environment(self) -> dict[str, str]:
        """For programs beside the cluster that find it by `KUBECONFIG`, such as `pfpnas get`."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def build_image(
        self,
        name: str,
        *,
        containerfile: Path,
        context: Path,
        build_args: Mapping[str, str] | None = None,
        inputs: Sequence[str] = (".",),
    ) -> str:
        """`images.build_image` with this cluster's engine: on the node, by its full reference."""
        return images.build_image(
            self.engine, name, containerfile=containerfile, context=context, build_args=build_args, inputs=inputs
        )

    def noop_image(self) -> str:
        """An image whose program ends successfully at once."""
        return images.static_image(self.engine, "noop")

    def redis_image(self) -> str:
        """Redis 7 as non-root, for the chart."""
        return images.redis_image(self.engine)

    def load_image(self, reference: str) -> None:
        """Bring an image that the engine has built onto the node, unless it is there."""
        if not self.engine.loaded(reference):
            self.engine.load(reference)

    @contextmanager
    def namespace(self, prefix: str = "test", *, named: str | None = None, keep: bool = False) -> Iterator[str]:
        """A namespace of one's own that enforces Pod Security `restricted`, for the length of the block, or kept.

        One of this name that an earlier run deleted may take its time to go: it is waited for.
        """
        name = named or f"{prefix}-{uuid.uuid4().hex[:8]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": name, "labels": labels}
        self._wait_until_gone(name)
        self.kubectl(
            "create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        )
        try:
            yield name
        finally:
            if not keep:
                self.kubectl("delete", "namespace", name, "--wait=false")

    def _wait_until_gone(self, namespace: str) -> None:
        found = self.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "json")
        if found and "deletionTimestamp" in json.loads(found)["metadata"]:
            self.kubectl("wait", "--for=delete", f"namespace/{namespace}", f"--timeout={LEAVING_SECONDS}s")

    def kill(self, pod: str, *, namespace: str, container: str) -> None:
        """`kill -9` to a container's first process, from outside: no handler of it runs, and its pod stays."""
        status = json.loads(self.kubectl("get", "pod", pod, "-n", namespace, "-o", "json"))["status"]
        identifier = next(one["containerID"] for one in status["containerStatuses"] if one["name"] == container)
        self.engine.ctr("tasks", "kill", "--signal", "SIGKILL", identifier.partition("://")[2])

    def has(self, kind: str, name: str) -> bool:
        """Whether a cluster-wide object is there."""
        return bool(self.kubectl("get", kind, name, "--ignore-not-found", "-o", "name").strip())
