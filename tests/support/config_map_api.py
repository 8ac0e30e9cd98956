"""The part of a Kubernetes API server that keeps ConfigMaps, over HTTP, and a kubeconfig that leads to it.

It stands in for a server where only a command line's own doing is looked at; what a real API server makes of it is the
end-to-end tests' affair.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Objects = dict[tuple[str, str], dict[str, Any]]


class ConfigMapApi:
    """What is kept, by namespace and name; `on_write` is called after each write."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.objects: Objects = {}
        self.on_write: Callable[[], None] = lambda: None
        self.lock = threading.RLock()

    def put(self, namespace: str, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2030-01-01T00:00:00Z"}
        self.objects[namespace, name] = {"metadata": metadata, "data": data}

    def kubeconfig(self, folder: Path, *, namespace: str = "pfpnas-system") -> Path:
        path = folder / "kubeconfig"
        context = {"cluster": "c", "user": "u", "namespace": namespace}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "here", "context": context}],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body for a request."""
        place, _, query = path.partition("?")
        steps = place.strip("/").split("/")  # api v1 namespaces NS configmaps [NAME]
        namespace, name = steps[3], steps[5] if len(steps) > 5 else body.get("metadata", {}).get("name", "")
        with self.lock:
            status, answer = self._kept(method, namespace, name, body, listing=len(steps) == 5, query=query)
            if method != "GET" and status < 300:
                self.on_write()
        return status, answer

    def _kept(
        self, method: str, namespace: str, name: str, body: dict[str, Any], *, listing: bool, query: str
    ) -> tuple[int, dict[str, Any]]:
        here = self.objects.get((namespace, name))
        if method == "GET" and listing:
            assert "labelSelector=" in query
            items = [found for (where, _), found in self.objects.items() if where == namespace and _is_agent(found)]
            return 200, {"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": items}
        if method == "POST":
            if here is not None:
                return 409, _status(409, "AlreadyExists", f'configmaps "{name}" already exists')
            self.objects[namespace, name] = body
            body["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
            return 201, body
        if here is None:
            return 404, _status(404, "NotFound", f'configmaps "{name}" not found')
        if method == "DELETE":
            return 200, self.objects.pop((namespace, name))
        if method == "PATCH":
            merge(here, body)
        return 200, here


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def _is_agent(found: dict[str, Any]) -> bool:
    return "pfpnas.io/agent" in (found["metadata"].get("labels") or {})


def _status(code: int, reason: str, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}


@contextmanager
def config_map_api() -> Iterator[ConfigMapApi]:
    """A server for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, answer = api.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = ConfigMapApi(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
