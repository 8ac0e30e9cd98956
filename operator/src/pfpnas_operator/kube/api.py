"""The Kubernetes API: the only module that calls it, and that knows how its errors look."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from pfpnas_api.kinds import API_VERSION

Object: TypeAlias = dict[str, Any]
"""An object as JSON."""

Body: TypeAlias = Mapping[str, Any] | Sequence[Object]

REQUEST_SECONDS: Final = 40
"""Most requests take milliseconds, and a webhook may take thirty seconds; a server that is silent for longer is taken
as gone."""

PAGE: Final = 500
"""Objects a list request: ten thousand Trials in one answer would be tens of megabytes at both ends."""

CONNECTIONS: Final = 24
"""Kept open: as many as there are threads that call."""

JSON: Final = "application/json"
METADATA: Final = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Answers that are asked for."""

OURS: Final = f"apis/{API_VERSION}"

Propagation = Literal["Background", "Foreground"]


class ApiError(Exception):
    """The API server refused; the message is its own."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason = status, reason


class Exists(ApiError):  # noqa: N818 - reads as the state it names
    """An object of this name is there already."""


class Stale(ApiError):  # noqa: N818 - reads as the state it names
    """What was written follows from an object that is another one by now: look again."""


class Terminating(ApiError):  # noqa: N818 - reads as the state it names
    """The namespace is being deleted: nothing new can be made there, and nothing has to be."""


class ApiAway(ApiError):  # noqa: N818 - reads as the state it names
    """The server can't be reached, or can't answer now: try again later."""


_OF_WEBHOOKS: Final = ("failed calling webhook", "denied the request")
"""In the API server's words when it is there: a webhook that it has to ask is not, or says no, with a code that the
webhook chose."""


def is_refusal(error: ApiError) -> bool:
    """Whether a new object isn't taken, for a quota or a policy; else nothing can be made, or nothing has to be.

    A webhook that can't be asked is like one that refuses: nobody knows for how long.
    """
    if isinstance(error, ApiAway):
        return any(words in str(error) for words in _OF_WEBHOOKS)
    return not isinstance(error, Terminating)


@dataclass(frozen=True)
class Place:
    """Where objects of one kind are found.

    Attributes:
        prefix: Of the path: api/v1, apis/batch/v1, …
        plural: The kind as paths name it.
    """

    prefix: str
    plural: str

    def path(self, namespace: str | None = None, name: str | None = None, *, part: str | None = None) -> str:
        """The path of a kind, of those of a namespace, of one of them, or of a subresource."""
        steps = [self.prefix, *(["namespaces", namespace] if namespace else []), self.plural]
        return "/" + "/".join([*steps, *([name] if name else []), *([part] if part else [])])


SUPERNETS: Final = Place(OURS, "supernets")
EXPERIMENTS: Final = Place(OURS, "nasexperiments")
TRIALS: Final = Place(OURS, "trials")
JOBS: Final = Place("apis/batch/v1", "jobs")
PODS: Final = Place("api/v1", "pods")
SECRETS: Final = Place("api/v1", "secrets")
SERVICES: Final = Place("api/v1", "services")
CONFIG_MAPS: Final = Place("api/v1", "configmaps")
EVENTS: Final = Place("api/v1", "events")


class Api:
    """Requests of one client; every method may be called from several threads at once.

    Each raises:
        ApiAway: no answer, or one that passes (429, 5xx).
        ApiError: refused.
    """

    def __init__(self, connection: client.ApiClient) -> None:
        self._client = connection

    def get(self, place: Place, namespace: str | None, name: str) -> Object | None:
        """An object; None when there is none."""
        try:
            return self._call("GET", place.path(namespace, name))
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def list(
        self,
        place: Place,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        only_metadata: bool = False,
    ) -> Iterator[Object]:
        """Objects of a kind, page by page; those that two selectors let through. Of each its metadata only, if asked:
        the server then sends no more.
        """
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        query = {"limit": str(PAGE), **{name: value for name, value in selectors.items() if value}}
        while True:
            accept = METADATA if only_metadata else JSON
            page = self._call("GET", place.path(namespace), query=query, accept=accept)
            yield from page.get("items") or ()  # of metadata that is none, null
            going_on = page.get("metadata", {}).get("continue")
            if not going_on:
                return
            query["continue"] = going_on

    def create(self, place: Place, namespace: str, body: Object) -> Object:
        """A new object, as it is then.

        Raises:
            Exists: one of its name is there.
        """
        return self._call("POST", place.path(namespace), body=body)

    def merge(self, place: Place, namespace: str, name: str, body: Mapping[str, Any]) -> Object | None:
        """Change an object by a JSON merge patch; None when it is gone.

        Raises:
            Stale: the patch names another object's uid or version, or makes an invalid one.
        """
        return self._patch(place.path(namespace, name), body)

    def amend(
        self, place: Place, namespace: str, name: str, operations: Sequence[Object], *, part: str
    ) -> Object | None:
        """Change a subresource by a JSON patch; None when the object is gone.

        Raises:
            Stale: a test fails, or what comes of it is invalid.
        """
        return self._patch(place.path(namespace, name, part=part), operations)

    def _patch(self, path: str, body: Body) -> Object | None:
        try:
            return self._call("PATCH", path, body=body)
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def delete(
        self,
        place: Place,
        namespace: str,
        name: str,
        *,
        propagation: Propagation = "Background",
        uid: str | None = None,
    ) -> bool:
        """Delete an object; whether it was there."""
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            self._call("DELETE", place.path(namespace, name), body=body)
        except ApiError as e:
            if e.status == 404 or (e.status == 409 and uid is not None):
                return False
            raise
        return True

    def knows(self, prefix: str) -> bool:
        """Whether the server serves an API group and version."""
        try:
            self._call("GET", f"/{prefix}")
        except ApiError as e:
            if e.status == 404:
                return False
            raise
        return True

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: str = JSON,
    ) -> Object:
        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = _kind(method, body)
        request = self._client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=REQUEST_SECONDS)
            content: bytes = answer.read()  # type: ignore[no-untyped-call]
        except (ApiException, urllib3.exceptions.HTTPError) as e:
            raise ApiAway(0, "NoAnswer", f"{method} {path}: {e}") from e
        if 200 <= answer.status <= 299:
            found: Object = json.loads(content)
            return found
        raise _refusal(method, path, answer.status, content)


def _kind(method: str, body: Body) -> str:
    if method != "PATCH":
        return "application/json"
    return "application/merge-patch+json" if isinstance(body, Mapping) else "application/json-patch+json"


def slim(body: Mapping[str, Any]) -> Object:
    """An object without what servers keep in it for themselves: half of it, mostly."""
    kept = ("managedFields", "annotations")
    metadata = {field: value for field, value in body["metadata"].items() if field not in kept}
    return {**body, "metadata": metadata}


def _refusal(method: str, path: str, status: int, content: bytes) -> ApiError:
    try:
        said = json.loads(content)
    except ValueError:
        said = {}
    reason, message = said.get("reason") or "", f"{method} {path}: {said.get('message') or status}"
    if status == 429 or status >= 500:
        return ApiAway(status, reason, message)
    if status == 403 and "being terminated" in message:
        return Terminating(status, reason, message)
    if method == "POST" and status == 409 and reason == "AlreadyExists":
        return Exists(status, reason, message)
    if method == "PATCH" and status in (409, 422):
        return Stale(status, reason, message)
    return ApiError(status, reason, message)


def connect() -> Api:
    """The API as the service account sees it, or (outside a cluster) the current context of the kubeconfig.

    Raises:
        ApiError: neither is there.
    """
    settings = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        except config.ConfigException as e:
            raise ApiError(0, "NoCredentials", f"neither a service account nor a kubeconfig: {e}") from e
    settings.connection_pool_maxsize = CONNECTIONS
    # A request that failed is tried again by the cycle that made it, which looks first; never blindly.
    settings.retries = urllib3.Retry(0)
    return Api(client.ApiClient(settings))
