"""kube-score and checkov find nothing in the charts; what they skip says why, on the object itself.

In CI the programs are installed into the cache of the end-to-end tests, once: kube-score takes some 2 minutes to build,
checkov seconds to install. Elsewhere the tests are skipped where they are missing.
"""

import json
import subprocess
from pathlib import Path

import pytest

from cluster.shell import run
from support.charts import RENDERINGS, checkov, fresh_template, kube_score, of_kind, rendered, template

OF_PODS = [one for one in RENDERINGS if one.chart != "pfpnas-crds"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every rendering in a file."""
    made = tmp_path_factory.mktemp("charts")
    for one in OF_PODS:
        (made / f"{one.name}.yaml").write_text(template(one))
    return made


@pytest.mark.parametrize("name", [one.name for one in OF_PODS])
def test_kube_score_finds_nothing(folder: Path, name: str) -> None:
    command = [kube_score(), "score", "--output-format", "ci", folder / f"{name}.yaml"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    assert [line for line in said.splitlines() if line.startswith(("[CRITICAL]", "[WARNING]"))] == []
    assert "[OK]" in said, "it looked at something"


def test_checkov_finds_nothing(folder: Path) -> None:
    program = checkov()
    said = run(
        program, "--directory", folder, "--framework", "kubernetes", "--skip-download", "--soft-fail", "--quiet",
        "--output", "json",
    )  # fmt: skip
    found = json.loads(said)
    assert [(one["check_id"], one["resource"]) for one in found["results"]["failed_checks"]] == []
    assert found["summary"]["passed"] > 500


def test_every_exception_has_a_reason() -> None:
    for one in OF_PODS:
        text = fresh_template(one).splitlines()
        for document in of_kind(rendered(one), "Deployment", "StatefulSet", "DaemonSet"):
            skips = [
                text for key, text in document["metadata"]["annotations"].items() if key.startswith("checkov.io/skip")
            ]
            assert [skip for skip in skips if len(skip.partition("=")[2].split()) < 5] == []
        ignored = [at for at, line in enumerate(text) if "kube-score/ignore:" in line]
        assert [text[at] for at in ignored if "#" not in text[at - 1]] == []
