"""The documents that the pages print are sound, so that whoever copies one is not refused."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from pfpnas_agent.config import load as load_agent
from pfpnas_api.kinds.supernet import DatasetSpec
from pfpnas_operator.documents import cross_check, load

ROOT = Path(__file__).parents[3]
DIGITS = ROOT / "examples" / "digits"
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def printed(page: str) -> list[dict[str, Any]]:
    """The YAML blocks of a page, in order."""
    return [yaml.safe_load(text) for text in YAML.findall((ROOT / page).read_text(encoding="utf-8"))]


def merged(document: Any, change: Any) -> Any:
    """As JSON merge patch does it, without deletions."""
    if not isinstance(document, dict) or not isinstance(change, dict):
        return change
    return {**document, **{key: merged(document.get(key), value) for key, value in change.items()}}


def test_an_own_experiment_is_sound_as_printed(tmp_path: Path) -> None:
    agent, supernet, experiment = printed("docs/experiments.md")
    for name, document in (("agent", agent), ("supernet", supernet), ("experiment", experiment)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(document))
    documents = load([tmp_path])
    assert cross_check(documents) == ()
    (search,) = documents.experiments
    owner = load_agent(tmp_path / "agent.yaml")
    assert (owner.pool, list(owner.datasets)) == (search.spec.target.pool, [search.spec.target.dataset])


def test_the_trial_by_hand_is_one_of_the_quick_starts_space(tmp_path: Path) -> None:
    (trial,) = (one for one in printed("docs/trial-image.md") if one.get("kind") == "Trial")
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(trial))
    documents = load([DIGITS / "supernet.yaml", DIGITS / "experiment.yaml", tmp_path / "trial.yaml"])
    assert cross_check(documents) == ()
    assert documents.trials[0].spec.architecture in (ROOT / "docs/trial-image.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("cloud", ["eks", "gke", "aks"])
def test_what_a_cloud_adds_to_the_quick_start_is_accepted(cloud: str, tmp_path: Path) -> None:
    fragments = [one for one in printed(f"examples/{cloud}/README.md") if set(one) == {"spec"}]
    assert fragments
    for number, fragment in enumerate(fragments):
        folder = tmp_path / str(number)
        folder.mkdir()
        changed = "experiment" if "trialTemplate" in fragment["spec"] else "supernet"
        for name in ("supernet", "experiment"):
            document = yaml.safe_load((DIGITS / f"{name}.yaml").read_text(encoding="utf-8"))
            text = yaml.safe_dump(merged(document, fragment if name == changed else {}))
            (folder / f"{name}.yaml").write_text(text)
        load([folder])


def test_the_page_says_of_every_format_what_its_folder_holds() -> None:
    page = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    formats = get_args(DatasetSpec.model_fields["format"].annotation)
    assert len(formats) > 5
    assert [one for one in formats if f"| `{one}` |" not in page] == []
