"""The charts as Helm renders them, and the programs that judge them."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import programs
from cluster.settings import CACHE, KUBERNETES, ROOT
from cluster.shell import CommandError, run

CHARTS = ROOT / "charts"
EXAMPLES = ROOT / "examples"
CHECKOV = "3.3.30"
"""Of PyPI, in an environment of its own in the cache of the end-to-end tests: 195 MB."""

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A chart with values, as a user would install it."""

    name: str
    chart: str
    files: tuple[Path, ...] = ()
    sets: tuple[str, ...] = ()
    release: str = "pfpnas"
    namespace: str = "pfpnas"

    def arguments(self, chart: str | None = None) -> list[str]:
        """Those of `helm template` and `helm install`; another chart's folder may take the chart's place."""
        files = [part for path in self.files for part in ("-f", str(path))]
        sets = [part for value in self.sets for part in ("--set", value)]
        return [self.release, chart or str(CHARTS / self.chart), "-n", self.namespace, *files, *sets]


AGENT = ("pool=bench-cpu", "join.existingSecret=bench-1-join")
_EVERYTHING = Path(__file__).with_name("chart_values") / "everything.yaml"

RENDERINGS = (
    Rendering(name="crds", chart="pfpnas-crds", release="pfpnas-crds"),
    Rendering(name="default", chart="pfpnas"),
    Rendering(name="everything", chart="pfpnas", files=(_EVERYTHING,)),
    Rendering(
        name="external",
        chart="pfpnas",
        release="other",
        sets=(
            "redis.external.url=rediss://operator@redis.example.org:6380/0",
            "redis.external.existingSecret=redis-login",
            "redis.external.ca=PEM",
            "artifacts.external.url=s3://bucket/prefix",
            "artifacts.external.credentialsSecret=s3-login",
            "key.existingSecret=our-key",
        ),
    ),
    *(
        Rendering(name=name, chart="pfpnas", files=(EXAMPLES / name / "values.yaml",))
        for name in ("eks", "gke", "aks", "k3s-edge")
    ),
    Rendering(name="agent", chart="pfpnas-edge-agent", release="agents", namespace="edge", sets=AGENT),
    Rendering(
        name="k3s-edge-agent",
        chart="pfpnas-edge-agent",
        release="bench-1",
        namespace="pfpnas-edge",
        files=(EXAMPLES / "k3s-edge" / "agent-values.yaml",),
    ),
)
"""What the tests look at: the defaults, every way to turn a switch, and every example."""


def helm() -> str:
    """Helm: of the cache of the end-to-end tests or the PATH; in CI it is built (3 minutes, once)."""
    return _program("helm")


def kube_score() -> str:
    """kube-score, as `helm`."""
    return _program("kube-score")


def checkov() -> str:
    """checkov; in CI it is installed (seconds, once)."""
    place = CACHE / "programs" / f"checkov-{CHECKOV}"
    if not place.exists() and not os.environ.get("CI"):
        pytest.skip(f"checkov is not in {place}, and CI is not set, where it would be installed")
    programs.once(place / "pyvenv.cfg", _install_checkov)
    return str(place / "bin" / "checkov")


def uv() -> str:
    """The uv that runs the tests, or one of the PATH."""
    return os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")  # `uv run` says where it is


def _install_checkov(folder: Path) -> None:
    run(uv(), "venv", "--quiet", "--clear", "--relocatable", "--python", sys.executable, folder, timeout_seconds=300)
    # Not in the checkout, whose versions would be asked for.
    run(uv(), "pip", "install", "--quiet", "--python", folder, f"checkov=={CHECKOV}", cwd=folder, timeout_seconds=600)


def rendered(rendering: Rendering) -> list[Document]:
    """The objects, in order of Helm's output."""
    return list(_documents(template(rendering)))


@cache
def template(rendering: Rendering) -> str:
    """The text of `helm template`; the same at a second call."""
    return fresh_template(rendering)


def fresh_template(rendering: Rendering) -> str:
    """The text of `helm template`, rendered now."""
    return run(*_template(rendering))


def refusal(rendering: Rendering) -> str:
    """What Helm says where it refuses the values; empty where it doesn't."""
    try:
        fresh_template(rendering)
    except CommandError as e:
        return str(e)
    return ""


def notes(rendering: Rendering, folder: Path) -> str:
    """What a user reads once it is installed.

    `helm template` leaves it out, so a copy of the chart has it as an object.
    """
    chart = folder / "chart"
    shutil.copytree(CHARTS / rendering.chart, chart)
    (chart / "templates" / "NOTES.txt").rename(chart / "notes")
    (chart / "templates" / "notes.yaml").write_text('{kind: Notes, text: {{ tpl (.Files.Get "notes") . | toJson }}}\n')
    found = _documents(run(*_template(rendering, str(chart)), "--show-only", "templates/notes.yaml"))
    return str(next(found)["text"])


def _template(rendering: Rendering, chart: str | None = None) -> list[str]:
    # A helm from `go install` doesn't know of which Kubernetes it is.
    return [helm(), "template", "--kube-version", KUBERNETES, *rendering.arguments(chart)]


def of_kind(documents: list[Document], *kinds: str) -> list[Document]:
    """Those of the kinds."""
    return [document for document in documents if document["kind"] in kinds]


def pods(documents: list[Document]) -> dict[str, Document]:
    """Pod templates by the name of what starts them."""
    workloads = of_kind(documents, "Deployment", "StatefulSet", "DaemonSet")
    return {f"{one['kind']}/{one['metadata']['name']}": one["spec"]["template"] for one in workloads}


def containers(template: Document) -> list[Document]:
    """All containers of a pod."""
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def config_of(documents: list[Document], name: str, key: str) -> Any:
    """A YAML file out of a ConfigMap."""
    found = next(one for one in of_kind(documents, "ConfigMap") if one["metadata"]["name"] == name)
    return yaml.safe_load(found["data"][key])


def schema(chart: str) -> Document:
    """The schema of a chart's values."""
    found: Document = json.loads((CHARTS / chart / "values.schema.json").read_text())
    return found


def _documents(text: str) -> Iterator[Document]:
    for document in yaml.load_all(text, Loader=yaml.CSafeLoader):  # the definitions are long
        if document:
            yield document


def _program(name: str) -> str:
    cached = programs.BIN / name
    if cached.exists():
        return str(cached)
    if found := shutil.which(name):
        return found
    if os.environ.get("CI"):
        return str(programs.go_program(name))
    pytest.skip(f"{name} is neither on PATH nor in {programs.BIN}, and CI is not set, where it would be built")
