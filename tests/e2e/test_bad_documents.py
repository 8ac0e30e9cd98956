"""The API server itself refuses bad documents, by a message that names the field; what only the operator can know
ends in a condition (`test_lifecycle.py`, `test_search.py`).

The corpus is that of the one-machine run. What a server can't refuse since it isn't in one document, or since it never
sees it, is listed here with its reason: nothing else may get through.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cluster.kube import Cluster
from cluster.settings import ROOT
from cluster.shell import CommandError
from support.named_fields import UNKNOWN, is_named, path_in

CORPUS = [json.loads(line) for line in (ROOT / "tests/unit/documents/bad_documents.jsonl").read_text().splitlines()]

_YAML = "kubectl reads YAML in its own way, and the server sees what it made of it"
_ELSEWHERE = "what is missing may come later: the operator waits, and says so in a condition"

NOT_THE_SERVERS: dict[str, tuple[str, str | None]] = {
    "bool-word": (_YAML, None),
    "octal": (_YAML, None),
    "exponent": (_YAML, None),
    "underscore": (_YAML, None),
    "duplicate-key": (_YAML, None),
    "merge": (_YAML, None),
    "infinity": (_YAML, "unsupported value: +Inf"),
    "tab": (_YAML, "line 9: found character that cannot start any token"),
    "unclosed": (_YAML, "did not find expected ',' or '}'"),
    "colon": (_YAML, "line 5: mapping values are not allowed in this context"),
    "not-a-mapping": (_YAML, "invalid object to validate"),
    "plain-text": (_YAML, "invalid object to validate"),
    "unknown-ref": (_ELSEWHERE, None),
    "trial-ref": (_ELSEWHERE, None),
    "same-name": ("applying a second document of a name changes the first: that is what apply is for", None),
    "wrong-version": (
        "a version that is not served is no address to send it to",
        'no matches for kind "NASExperiment"',
    ),
    "s3": ("on one machine only: in a cluster data sets lie in buckets", None),
}
"""Case → why the API server takes the document, never gets to see it, or names no field of it; and what is said then,
None where the document is taken."""


def refusal(cluster: Cluster, namespace: str, document: str, *, unknown_fields: str = "strict") -> str | None:
    """What is said to a document, without the command line; None when it is taken."""
    server = ("--dry-run=server", f"--validate={unknown_fields}", "-n", namespace)
    try:
        cluster.kubectl("create", *server, "-f", "-", input=document)
    except CommandError as e:
        return str(e).partition("exit status ")[2]
    return None


def unnamed(cluster: Cluster, namespace: str, entry: dict[str, Any]) -> dict[str, str | None]:
    """Fields of a bad document that are not named in what is said to it, with what is said instead.

    The server looks no further than an unknown field: the rest it says once that is mended, or merely warned of.
    """
    paths = {path_in(says): UNKNOWN in says for says in entry["says"]}
    strictly = refusal(cluster, namespace, entry["document"])
    mended = strictly
    if len(set(paths.values())) == 2:
        mended = refusal(cluster, namespace, entry["document"], unknown_fields="warn")
    said = {path: strictly if unknown else mended for path, unknown in paths.items()}
    return {path: words for path, words in said.items() if words is None or not is_named(path, words)}


@pytest.mark.usefixtures("crds")
def test_every_bad_document_is_refused_naming_each_wrong_field(cluster: Cluster, namespace: str) -> None:
    cases = [entry for entry in CORPUS if entry["case"] not in NOT_THE_SERVERS]
    with ThreadPoolExecutor(4) as pool:
        lacking = list(pool.map(lambda entry: unnamed(cluster, namespace, entry), cases))

    assert {entry["case"]: fields for entry, fields in zip(cases, lacking, strict=True) if fields} == {}
    assert len(cases) >= 40


@pytest.mark.usefixtures("crds")
def test_what_is_not_the_servers_is_still_so(cluster: Cluster, namespace: str) -> None:
    cases = [entry for entry in CORPUS if entry["case"] in NOT_THE_SERVERS]
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda entry: refusal(cluster, namespace, entry["document"]), cases))

    found = {entry["case"]: words for entry, words in zip(cases, said, strict=True)}
    assert found.keys() == NOT_THE_SERVERS.keys()
    others = {case: words for case, words in found.items() if not is_as_listed(words, NOT_THE_SERVERS[case][1])}
    assert others == {}, "the server knows by now, or says it in another way: change the list"


def is_as_listed(words: str | None, listed: str | None) -> bool:
    """Whether a document is taken as it is listed to be, or refused in the words that are listed."""
    return words is None if listed is None else words is not None and listed in words
