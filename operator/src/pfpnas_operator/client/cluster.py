"""The user's way to a cluster: kubeconfig, context, namespace, and readable errors instead of the client's."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError
from yaml import YAMLError

TIMEOUT: Final = (5.0, 30.0)
"""Seconds to connect, and between two bytes of an answer: `_request_timeout` of every call, for the client has none."""

Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, else ~/.kube/config.")
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="NAME", help="Of the kubeconfig. Default: its current one.")
]
Namespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", metavar="NS", help="Default: the context's own."),
]
OperatorNamespace = Annotated[
    str, typer.Option("--operator-namespace", metavar="NS", help="Where the chart pfpnas is installed.")
]
"""Options that every command against a cluster takes."""


class ClusterError(Exception):
    """The cluster can't be asked, or refuses; the message says what and names the remedy."""


class NotThere(ClusterError):  # noqa: N818 - reads as the state it names
    """No such object."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster as one context of a kubeconfig reaches it.

    Attributes:
        api: The client; its connections are opened by the first call.
        context: The context's name.
        namespace: The context's own.
    """

    api: client.ApiClient
    context: str
    namespace: str


def open_cluster(*, kubeconfig: Path | None = None, context: str | None = None) -> Cluster:
    """The cluster of a context; nothing is asked of it yet.

    Raises:
        ClusterError: no kubeconfig, one that can't be read, or no such context; the contexts there are named.
    """
    place = str(kubeconfig) if kubeconfig else None
    if kubeconfig is not None and not kubeconfig.exists():
        raise ClusterError(f"--kubeconfig {kubeconfig}: there is no such file")
    try:
        chosen = _context(place, context)
        settings = client.Configuration()
        settings.retries = False  # else an unreachable cluster is said to be one after four timeouts
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=place, context=chosen["name"], client_configuration=settings
        )
    except (ConfigException, YAMLError, OSError, UnicodeDecodeError) as e:
        reason = " ".join(_reason(e).split())
        raise ClusterError(f"{_place(kubeconfig)}: {reason} Name one with --kubeconfig FILE, or in KUBECONFIG") from e
    except (TypeError, AttributeError, KeyError) as e:  # the client's own way of saying so
        raise ClusterError(f"{_place(kubeconfig)} is no kubeconfig: name one with --kubeconfig FILE") from e
    namespace = (chosen.get("context") or {}).get("namespace") or "default"
    return Cluster(api=client.ApiClient(settings), context=chosen["name"], namespace=namespace)


@contextmanager
def asking(cluster: Cluster, what: str) -> Iterator[None]:
    """Turns the client's exceptions into ours.

    Args:
        cluster: Which is asked.
        what: What is done in the block, as in ``read NASExperiment team-a/digits``.

    Raises:
        NotThere: 404.
        ClusterError: anything else that went wrong.
    """
    try:
        yield
    except ApiException as e:
        if e.status == 404:
            raise NotThere(f"can't {what}: there is none in context {cluster.context}") from e
        raise ClusterError(f"can't {what}: {_refusal(e, cluster.context)}") from e
    except (HTTPError, OSError) as e:
        host = cluster.api.configuration.host
        raise ClusterError(f"can't {what}: {host} (context {cluster.context}) does not answer: {_reason(e)}") from e


def _context(place: str | None, wanted: str | None) -> Mapping[str, Any]:
    contexts, current = config.list_kube_config_contexts(config_file=place)  # type: ignore[no-untyped-call]
    found = current if wanted is None else next((one for one in contexts if one["name"] == wanted), None)
    if found is None:
        names = ", ".join(sorted(one["name"] for one in contexts)) or "none"
        raise ClusterError(f"--context {wanted}: the kubeconfig has no such context; it has: {names}")
    return cast(Mapping[str, Any], found)


def _place(kubeconfig: Path | None) -> str:
    return f"--kubeconfig {kubeconfig}" if kubeconfig else "the kubeconfig"


def _refusal(error: ApiException, context: str) -> str:
    if error.status == 401:
        return f"context {context} is not (or no longer) logged in: log in to the cluster again"
    if error.status == 403:
        return f"context {context} may not: {_message(error)}"
    return f"{error.status or 'no answer'}: {_message(error)}"


def _message(error: ApiException) -> str:
    """What the API server says, one line."""
    try:
        said = json.loads(error.body or "{}")
    except ValueError:
        said = {}
    return str((isinstance(said, dict) and said.get("message")) or error.reason)


def _reason(error: Exception) -> str:
    """The innermost reason: the client wraps a refused connection thrice."""
    inner = getattr(error, "reason", None)
    return _reason(inner) if isinstance(inner, Exception) else str(getattr(error, "strerror", None) or error)
