"""Images with a Docker engine, loaded into kind: the engine of the providers `kind` and `existing`."""

from collections.abc import Mapping
from pathlib import Path

from cluster.shell import CommandError, run

BUILD_SECONDS = 60 * 60

NETWORK = "kind"
"""Docker's network of all clusters of kind."""


class Docker:
    """Builds with Docker; loads with kind. A registry can be reached, so Containerfiles keep their own base."""

    def __init__(self, kind_cluster: str) -> None:
        self._cluster = kind_cluster

    def base(self) -> None:
        """No other base than the Containerfile's own."""
        return

    def built(self, reference: str) -> bool:
        """Whether Docker has this image."""
        try:
            run("docker", "image", "inspect", reference)
        except CommandError:
            return False
        return True

    def build(self, reference: str, containerfile: Path, context: Path, build_args: Mapping[str, str]) -> None:
        """Build with BuildKit."""
        arguments = [part for name, value in build_args.items() for part in ("--build-arg", f"{name}={value}")]
        command: tuple[str | Path, ...] = (
            "docker",
            "build",
            "--file",
            containerfile,
            "--tag",
            reference,
            *arguments,
            context,
        )
        run(*command, env={"DOCKER_BUILDKIT": "1"}, timeout_seconds=BUILD_SECONDS)

    def loaded(self, reference: str) -> bool:
        """Whether kind's node has this image."""
        return reference in self.ctr("images", "list", "-q").split()

    def load(self, reference: str) -> None:
        """Copy it into kind's node."""
        run("kind", "load", "docker-image", reference, "--name", self._cluster, timeout_seconds=BUILD_SECONDS)

    def ctr(self, *words: str) -> str:
        """The containerd of kind's node."""
        return run("docker", "exec", f"{self._cluster}-control-plane", "ctr", "-n", "k8s.io", *words)

    def host_address(self) -> str:
        """The gateway of kind's network, IPv4."""
        gateways = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
        found = run("docker", "network", "inspect", NETWORK, "--format", gateways).split()
        return next(address for address in found if ":" not in address)
