"""The table of reasons holds every reason that the code can set, and the page is the table's."""

import ast
import re
from pathlib import Path

import pytest

import pfpnas_operator
from pfpnas_api.kinds.common import Condition
from pfpnas_api.messages import EXPERIMENT_REASONS, FailureReason
from pfpnas_operator.documents.reasons import EXPERIMENT, PODS, SUPERNET, TRIAL, known, page
from pfpnas_operator.reconcile.patience import SOMEBODYS, STATES
from pfpnas_operator.reconcile.stopping import REOPENED
from pfpnas_operator.reconcile.waits import BROKEN

SOURCES = Path(pfpnas_operator.__file__).parent
ROOT = Path(__file__).parents[3]

CONDITIONS = {*SUPERNET, *EXPERIMENT, *TRIAL}
OTHER_WORDS = frozenset(
    [
        *("Answered", "Busy", "Candidate", "Claimed", "Cost", "Delete", "Done", "Experiment", "Failed"),
        *("Finished", "Latency"),
        *(
            "FitPredictor",
            "Idle",
            "Normal",
            "Pooled",
            "Pretrain",
            "Running",
            "Searched",
            "Started",
            "Succeeded",
            "Test",
        ),
        *("Throughput", "Trained", "Untrained", "User", "Validation", "WarmStart", "Warning"),
        *("True", "False", "Unknown"),
    ]
)
"""States of Jobs, leases and agents, origins, splits, stages, outcomes, metrics, modes, statuses: no reasons."""

PASSING = frozenset({"ErrImagePull", "RegistryUnavailable", "ContainerCreating", "PodInitializing"})
"""The kubelet's words that are shown as others."""


def words_of(folder: str) -> set[str]:
    """Every word in CamelCase among the texts of a package."""
    found = set()
    for path in (SOURCES / folder).glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        exported = {
            id(node)
            for statement in tree.body
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
            for node in ast.walk(statement)
        }
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in exported else None
            if isinstance(text, str) and re.fullmatch(r"[A-Z][A-Za-z]{3,}", text):
                found.add(text)
    types = {"Event", "Lease", "Noise", "Growth", "Summary", "Plan", "ParentStatus"}
    return found - types


def test_every_reason_of_a_decision_is_in_the_table() -> None:
    assert words_of("reconcile") - known() - CONDITIONS - OTHER_WORDS - PASSING == set()


def test_every_failure_that_an_agent_may_send_is_in_the_table() -> None:
    sent = set(FailureReason.__args__)
    assert sent <= TRIAL["Failed"].keys() | EXPERIMENT["Failed"].keys()
    assert EXPERIMENT["Failed"].keys() >= EXPERIMENT_REASONS


def test_what_decisions_know_of_reasons_stands_where_they_put_it() -> None:
    assert PODS.keys() >= BROKEN
    assert EXPERIMENT["Searching"].keys() >= REOPENED.keys()
    for condition, reasons in SOMEBODYS.items():
        assert EXPERIMENT[condition].keys() >= reasons
    assert EXPERIMENT["Succeeded"].keys() >= set(STATES.values())


def test_every_reason_of_the_table_can_be_one_and_is_set_somewhere() -> None:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SOURCES.rglob("*.py")))
    texts = texts.replace((SOURCES / "documents" / "reasons.py").read_text(encoding="utf-8"), "")
    texts += (ROOT / "crds/src/pfpnas_api/messages.py").read_text(encoding="utf-8")
    for reason in known():
        Condition.model_validate(
            {"type": "X", "status": "True", "reason": reason, "lastTransitionTime": "2026-01-01T00:00:00Z"}
        )
        assert f'"{reason}"' in texts, reason


def test_the_page_is_that_of_the_table() -> None:
    written = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    if written != page():
        pytest.fail("run `uv run python -m pfpnas_operator.documents.reasons > docs/reasons.md` and commit the result")
