"""When the Trials of a namespace were seen to come and to end, by a watch of their own."""

import threading
import time
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from pfpnas_api.kinds import GROUP, VERSION


class SeenTrials:
    """A watch in a thread, for the length of the block.

    Attributes:
        began: Moment (`time.time`) at which each Trial was first seen, by name.
        ended: The same for `finishedAt` in its status.
        architectures: Of each Trial, by name.
    """

    def __init__(self, connection: client.ApiClient, namespace: str, *, prefix: str) -> None:
        self._custom, self._namespace, self._prefix = client.CustomObjectsApi(connection), namespace, prefix
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.architectures: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "SeenTrials":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def any_began(self) -> bool:
        """Whether one was seen."""
        return bool(self.began)

    def _look(self) -> None:
        while not self._stop.is_set():
            try:
                stream = watch.Watch().stream(  # type: ignore[no-untyped-call]
                    self._custom.list_namespaced_custom_object,
                    GROUP,
                    VERSION,
                    self._namespace,
                    "trials",
                    timeout_seconds=60,
                )
                for event in stream:
                    self._note(event["object"], time.time())
                    if self._stop.is_set():
                        return
            except ApiException:  # the watch is too old, or the server busy: begin anew
                continue

    def _note(self, trial: dict[str, Any], now: float) -> None:
        name = trial["metadata"]["name"]
        if not name.startswith(self._prefix):
            return
        self.began.setdefault(name, now)
        self.architectures[name] = trial["spec"]["architecture"]
        if (trial.get("status") or {}).get("finishedAt"):
            self.ended.setdefault(name, now)
