"""The API server itself refuses bad documents, by a message that names the field; what only the operator can know
ends in a condition (`test_lifecycle.py`, `test_search.py`).

The corpus is that of the one-machine run. What a server can't refuse since it isn't in one document, or since it never
sees it, is listed here with its reason: nothing else may get through.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from cluster.kube import Cluster
from cluster.settings import ROOT
from cluster.shell import CommandError

CORPUS = [json.loads(line) for line in (ROOT / "tests/unit/documents/bad_documents.jsonl").read_text().splitlines()]

NOT_THE_SERVERS: dict[str, str] = {}
"""Case → why the API server takes the document, or never gets to see it."""


def field_of(says: str) -> str:
    """The last name in the path of the field that a message is about, such as maxTrials."""
    parts = says.split(": ")
    path = next((part for part in parts[1:] if part.startswith(("spec", "metadata", "kind", "apiVersion"))), "")
    return re.sub(r"\[[^]]*\]", "", path).rpartition(".")[2]


def refusal(cluster: Cluster, namespace: str, document: str) -> str | None:
    """What the API server says to a document; None when it takes it."""
    try:
        cluster.kubectl("create", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", "-", input=document)
    except CommandError as e:
        return str(e)
    return None


@pytest.mark.usefixtures("crds")
def test_every_bad_document_is_refused_naming_its_field(cluster: Cluster, namespace: str) -> None:
    cases = [entry for entry in CORPUS if entry["case"] not in NOT_THE_SERVERS]
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda entry: refusal(cluster, namespace, entry["document"]), cases))

    taken = [entry["case"] for entry, words in zip(cases, said, strict=True) if words is None]
    assert taken == []
    unnamed = {
        entry["case"]: words
        for entry, words in zip(cases, said, strict=True)
        if words is not None and field_of(entry["says"][0]) not in words
    }
    assert unnamed == {}
    assert len(cases) >= 40


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("case", sorted(NOT_THE_SERVERS))
def test_what_the_server_cannot_know_is_still_so(cluster: Cluster, namespace: str, case: str) -> None:
    entry = next(entry for entry in CORPUS if entry["case"] == case)

    said = refusal(cluster, namespace, entry["document"])

    assert said is None or field_of(entry["says"][0]) not in said, "the server knows: take it off the list"
