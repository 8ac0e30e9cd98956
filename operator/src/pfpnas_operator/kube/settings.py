"""How kopf is set, each with its reason."""

import logging
from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Final

import kopf

PREFIX: Final = "pfpnas.io"

WORKERS: Final = 20
"""Handlers at once: each only puts a value away, so more would but take memory when ten thousand Trials are listed."""

WATCH_SECONDS: Final = 600
"""A watch is begun anew so often, by the server; the client gives up a minute later, should the server forget."""

THREADS: Final = 16
"""Cycles at once. A cycle takes some milliseconds of computing, and waits for the API for the rest."""

LONGEST_WAIT_SECONDS: Final = 30.0
"""Between two tries of a request of kopf's."""


class Patiently(Iterable[float]):
    """Waits between tries, without end. Every request begins them anew, so a generator, which ends, would not do."""

    def __iter__(self) -> Iterator[float]:
        return chain((1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0), repeat(LONGEST_WAIT_SECONDS))


def apply(settings: kopf.OperatorSettings) -> None:
    """Set everything; called once, at the start."""
    settings.queueing.worker_limit = WORKERS
    # A worker that waits for more of the same object holds up all others: with kopf's 5 s, a thousand Trials listed at
    # a restart would keep a new one waiting for minutes.
    settings.queueing.idle_timeout = 0.01
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 60
    # Ten thousand Trials in one answer would be tens of megabytes at both ends.
    settings.watching.chunk_size = 500
    # Jobs of others are none of our business, nor of our memory.
    settings.watching.label_selectors["jobs"] = "app.kubernetes.io/managed-by=pfpnas"
    settings.networking.request_timeout = 30
    # An API server that is being upgraded answers 5xx or 403 for minutes; to watch a deleted namespace is forbidden for
    # good, as the operator's Role went with it. A watch that gave up would end the operator, and so all other searches.
    # (At a start, when kopf waits for every namespace before it calls any handler, `namespaces.leave_out` sees to it.)
    settings.networking.error_backoffs = Patiently()
    # Nothing of ours uses kopf's own finalizer or annotations: should anything ever, they are told apart by our prefix.
    settings.persistence.finalizer = f"{PREFIX}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"kopf.{PREFIX}")
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=f"kopf.{PREFIX}")
    # Events are posted by decisions; of kopf's own logs nobody wants to read in `kubectl describe`.
    settings.posting.level = logging.WARNING
    settings.posting.loggers = False
    settings.execution.max_workers = THREADS
    # One replica, and Recreate: there is no peer to wait for, and no right to look for one.
    settings.peering.standalone = True
    # The kinds and the namespaces are named: new ones need no watching, nor the right to.
    settings.scanning.disabled = True
    # In-cluster traffic passes no proxy.
    settings.networking.trust_env = False
    # A pod is killed after 30 s of grace.
    settings.process.ultimate_exiting_timeout = 20


def quieten() -> None:
    """A line an event and a line a probe would hide what is decided."""
    for name in ("kopf.objects", "kopf.activities.probe", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
