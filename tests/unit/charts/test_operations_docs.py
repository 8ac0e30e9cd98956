"""docs/operations.md and docs/reasons.md know every reason and metric that the operator's code has, and no other."""

import re
from pathlib import Path
from typing import get_args

from prometheus_client import Counter, Gauge, Histogram

import pfpnas_operator
from cluster.settings import ROOT
from pfpnas_api.messages import FailureReason
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.housekeeping import SWEEP_SECONDS
from pfpnas_operator.store.sweep import GRACE

DOCS = (ROOT / "docs" / "operations.md").read_text()
REASONS = (ROOT / "docs" / "reasons.md").read_text()
SAID = re.compile(r'reason="([A-Z]\w+)"|(?:TRUE|FALSE), "([A-Z]\w+)"')
"""A reason, as a decision or a handler writes it."""
WORD = re.compile(r"`([A-Z]\w+)`")


def test_every_reason_is_explained() -> None:
    package = Path(pfpnas_operator.__file__).parent
    texts = [path.read_text() for room in ("reconcile", "kube") for path in (package / room).glob("*.py")]
    reasons = {one or other for text in texts for one, other in SAID.findall(text)}
    assert len(reasons) > 30
    assert sorted(reason for reason in reasons if f"`{reason}`" not in DOCS + REASONS) == []


def test_every_answer_of_an_agent_is_explained() -> None:
    assert [reason for reason in get_args(FailureReason) if f"`{reason}`" not in REASONS] == []


def test_every_metric_is_in_the_table() -> None:
    kinds = (Counter, Gauge, Histogram)
    ours = [one.describe()[0] for one in vars(metrics).values() if isinstance(one, kinds)]
    assert len(ours) >= 10
    names = [f"{one.name}_total" if one.type == "counter" else one.name for one in ours]
    assert [name for name in names if f"`{name}" not in DOCS] == []


def test_no_reason_is_made_up() -> None:
    said = DOCS.partition("## Conditions and reasons")[2].partition("## Trouble")[0]
    named = {word for line in said.splitlines() if line.startswith("| `") for word in WORD.findall(line.split("|")[1])}
    package = Path(pfpnas_operator.__file__).parents[3]
    sources = [path.read_text() for room in ("operator", "crds") for path in (package / room / "src").rglob("*.py")]
    assert len(named) > 10
    assert sorted(word for word in named if not any(f'"{word}"' in text for text in sources)) == []


def test_files_are_swept_before_the_operator_goes() -> None:
    steps = DOCS.partition("## Uninstall")[2]
    order = [steps.index(one) for one in ("kubectl delete nas", "ls /data/refs", "helm uninstall pfpnas -n")]
    assert order == sorted(order)
    # It is missed by one look and let go by another, which comes up to a pause after the grace.
    longest = GRACE.total_seconds() + 2 * SWEEP_SECONDS
    assert f"{longest / 60:.0f} minutes at most" in steps


def test_an_upgrade_takes_the_new_charts_defaults() -> None:
    """`--reuse-values` alone leaves out values that an older chart didn't have, and templates fail on them."""
    advice = [*(ROOT / "charts").rglob("*.txt"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/**/README.md")]
    orders = [line for path in advice if ".venv" not in path.parts for line in path.read_text().splitlines()
              if "helm upgrade" in line]  # fmt: skip
    assert len(orders) > 5
    assert [line for line in orders if "--reuse-values" in line] == []
    assert [line for line in orders if "--reset-then-reuse-values" in line]


def test_nobody_is_told_to_install_a_package_that_is_not_published() -> None:
    """Whoever took such a name in a package index would run code beside private data."""
    folders = ("charts", "crds", "docs", "edge-agent", "examples", "operator", "workloads")
    texts = {path: path.read_text() for one in folders for path in (ROOT / one).rglob("*")
             if path.suffix in (".md", ".py", ".service", ".txt", ".yaml")}  # fmt: skip
    texts |= {path: path.read_text() for path in ROOT.glob("*.md")}
    assert len(texts) > 100
    told = re.compile(r"(pip|uv|tool) (install|add) [^\n#]*(?<![./\w-])'?pfpnas-\w|pypi\.org/project/pfpnas")
    assert [str(path.relative_to(ROOT)) for path, text in texts.items() if told.search(text)] == []
