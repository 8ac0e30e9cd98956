"""Kopf itself, begun as the operator's pod begins it, with a namespace among others that nobody may look into."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pfpnas_operator.kube.namespaces import ENV_LEFT_OUT

SECONDS = 60.0

OPERATOR = """
import os, threading, time
from types import SimpleNamespace
import kopf
from pfpnas_operator.kube import metrics, settings as our, starting
from pfpnas_operator.kube.housekeeping import Housekeeper

kopf.set_default_registry(kopf.OperatorRegistry())  # without the operator's own handlers

@kopf.on.startup()
def start(settings, **_):
    our.apply(settings)
    metrics.serve = lambda: None  # a machine may run several operators
    starting.read_config, starting.make_parts = lambda: None, lambda config, api: api
    api = starting.open_parts()
    hub = SimpleNamespace(parts=SimpleNamespace(redis=None, bus=None, api=api))
    print("begun", os.getpid(), flush=True)
    threading.Thread(target=keep, args=(Housekeeper(hub, threads=None, loop=None),), daemon=True).start()

def keep(housekeeper):
    while True:
        time.sleep(0.2)
        housekeeper._take_in()

@kopf.on.login()
def login(**known):
    return kopf.login_via_client(**known)

@kopf.index("batch", "v1", "jobs")
def jobs(**_):
    return {}

@kopf.on.event("pfpnas.io", "v1alpha1", "supernets")
async def seen(name, namespace, **_):
    print("seen", namespace, name, flush=True)
"""

GROUPS = {
    "": ("v1", ("namespaces", "Namespace", False), ("events", "Event", True)),
    "apiextensions.k8s.io": ("v1", ("customresourcedefinitions", "CustomResourceDefinition", False)),
    "batch": ("v1", ("jobs", "Job", True)),
    "pfpnas.io": ("v1alpha1", ("supernets", "Supernet", True)),
}


class Served:
    """So much of an API server as a watch needs: a Supernet in each namespace, as far as one may look there."""

    def __init__(self) -> None:
        self.closed = {"gone"}
        self.over = threading.Event()

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body for a GET."""
        steps = path.strip("/").split("/")
        if "namespaces" in steps:
            return self._list(steps[-2], steps[-1])
        if steps == ["api"]:
            return 200, {"versions": ["v1"]}
        if steps == ["apis"]:
            return 200, {"groups": [_group(name, version) for name, (version, *_) in GROUPS.items() if name]}
        _, *kinds = GROUPS["" if steps[0] == "api" else steps[1]]
        return 200, {"resources": [_resource(*kind) for kind in kinds]}

    def _list(self, namespace: str, plural: str) -> tuple[int, dict[str, Any]]:
        if namespace in self.closed:
            return 403, {"kind": "Status", "code": 403, "message": f"{plural} is forbidden in {namespace}"}
        metadata = {"name": "net", "namespace": namespace, "uid": f"u-{namespace}", "resourceVersion": "1"}
        items = [{"metadata": metadata, "spec": {}}] if plural == "supernets" else []
        return 200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}


def _group(name: str, version: str) -> dict[str, Any]:
    said = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [said], "preferredVersion": said}


def _resource(plural: str, kind: str, namespaced: bool) -> dict[str, Any]:
    verbs = ["list", "watch", "patch"]
    return {"name": plural, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced, "verbs": verbs}


@contextmanager
def served() -> Iterator[tuple[Served, str]]:
    """A server for the length of the block, and its address."""
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            status, answer = state.answer(path)
            watching = status == 200 and "watch=true" in query
            content = b"" if watching else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if not watching:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            if watching:
                state.over.wait(SECONDS)  # nothing ever changes

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()


def kubeconfig(url: str) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    return yaml.safe_dump(document)


class Operator:
    """The process, and what it said so far."""

    def __init__(self, folder: Path, url: str) -> None:
        (folder / "kubeconfig").write_text(kubeconfig(url))
        (folder / "operator.py").write_text(OPERATOR)
        environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig")}
        environment.pop(ENV_LEFT_OUT, None)
        namespaces = ["--namespace=team-a", "-n", "gone"]
        command = [sys.executable, "-m", "kopf", "run", "--standalone", *namespaces, str(folder / "operator.py")]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)

    def said(self) -> str:
        return self._log.read_text()

    def until(self, ready: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not ready(self.said()):
            assert time.monotonic() < deadline, self.said()
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[tuple[Served, Operator]]:
    with served() as (state, url):
        process = Operator(tmp_path, url)
        yield state, process
        process.end()


def test_the_other_namespaces_are_served_and_this_one_once_it_is_there(operator: tuple[Served, Operator]) -> None:
    state, process = operator
    process.until(lambda said: "seen team-a net" in said)
    assert "can't look into gone" in process.said()
    assert "seen gone net" not in process.said()
    state.closed.clear()
    process.until(lambda said: "seen gone net" in said)
    begun = [line.split()[1] for line in process.said().splitlines() if line.startswith("begun ")]
    assert begun == [str(process.process.pid)] * 2, "the same process, so that the kubelet sees no restart"
    assert process.said().count("seen team-a net") == 2
