"""The register of agents as a person with a kubeconfig reads and writes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pfpnas_operator.access.registry import CLUSTER_CONFIG_MAP, SELECTOR, Agent, agent_of, config_map, object_name
from pfpnas_operator.client.cluster import TIMEOUT, Cluster, ClusterError, NotThere, asking

CONFLICT = 409


class Exists(ClusterError):  # noqa: N818 - reads as the state it names
    """There is an agent of this name."""


@dataclass(frozen=True)
class Meeting:
    """Where agents find Redis, as the chart says."""

    redis_url: str
    ca: str | None


class Register:
    """The agents' ConfigMaps in the operator's namespace.

    Every method raises `ClusterError` when the cluster can't be asked or refuses, and `BadRecord` for an object that
    somebody else wrote.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self.namespace = cluster, namespace
        self._api = client.CoreV1Api(cluster.api)

    def meeting(self) -> Meeting:
        """Where agents find Redis."""
        try:
            with asking(self._cluster, f"read ConfigMap {self.namespace}/{CLUSTER_CONFIG_MAP}"):
                found = self._api.read_namespaced_config_map(
                    CLUSTER_CONFIG_MAP, self.namespace, _request_timeout=TIMEOUT
                )
        except NotThere as e:
            raise ClusterError(
                f"namespace {self.namespace} has no ConfigMap {CLUSTER_CONFIG_MAP}: with -n NAMESPACE name the one "
                "where the chart pfpnas is installed"
            ) from e
        data = found.data or {}
        if not data.get("redisUrl"):
            raise ClusterError(f"ConfigMap {self.namespace}/{CLUSTER_CONFIG_MAP} has no redisUrl: set redis.agents.url")
        return Meeting(redis_url=data["redisUrl"], ca=(data.get("ca.crt") or "").strip() or None)

    def add(self, agent: Agent) -> None:
        """Write a new agent down.

        Raises:
            Exists: there is one of this name.
        """
        body = cast(Any, config_map(agent, namespace=self.namespace))  # the client takes JSON too
        with asking(self._cluster, f"write ConfigMap {self.namespace}/{object_name(agent.name)}"):
            try:
                self._api.create_namespaced_config_map(self.namespace, body, _request_timeout=TIMEOUT)
            except ApiException as e:
                if e.status != CONFLICT:
                    raise
                raise Exists(
                    f"agent {agent.name} is there already: --rotate makes a new password for it, "
                    f"`pfpnas agents remove {agent.name}` shuts it out"
                ) from e

    def rotate(self, name: str, password_sha256: str) -> None:
        """Write an agent's new password down."""
        body = {"data": {"passwordSha256": password_sha256}}
        with asking(self._cluster, f"change agent {name}"):
            self._api.patch_namespaced_config_map(object_name(name), self.namespace, body, _request_timeout=TIMEOUT)

    def agent(self, name: str) -> Agent:
        """One agent."""
        with asking(self._cluster, f"read agent {name}"):
            found = self._api.read_namespaced_config_map(object_name(name), self.namespace, _request_timeout=TIMEOUT)
            return agent_of(self._json(found))

    def objects(self) -> Iterator[dict[str, Any]]:
        """All objects of the register as JSON, whatever they say."""
        with asking(self._cluster, f"list the agents of namespace {self.namespace}"):
            found = self._api.list_namespaced_config_map(
                self.namespace, label_selector=SELECTOR, _request_timeout=TIMEOUT
            )
            yield from (self._json(item) for item in found.items)

    def remove(self, name: str) -> None:
        """Strike an agent off."""
        with asking(self._cluster, f"remove agent {name}"):
            self._api.delete_namespaced_config_map(object_name(name), self.namespace, _request_timeout=TIMEOUT)

    def _json(self, found: object) -> dict[str, Any]:
        return cast(dict[str, Any], self._cluster.api.sanitize_for_serialization(found))  # type: ignore[no-untyped-call]
