"""The operator's configuration: what it says is found, and what is wrong with it is said with file and field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pfpnas_operator.kube.config import ENV_CONFIG, Config, ConfigError, read_config

GOOD: dict[str, Any] = {
    "redis": {"url": "redis://operator@redis:6379/0", "passwordFile": "/etc/pfpnas/password"},
    "artifacts": {"address": "http://artifacts:8080"},
    "keyFile": "/etc/pfpnas/key",
    "images": {"workloads": "registry/workloads:1"},
    "pools": {"bench-cpu": ["team-a"], "shared": ["*"]},
}


def written(tmp_path: Path, content: Any) -> dict[str, str]:
    place = tmp_path / "config.yaml"
    place.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return {ENV_CONFIG: str(place)}


def test_a_minimal_file_is_enough(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))
    assert (config.redis.users, config.images.pull_policy) == ("Auto", "IfNotPresent")


@pytest.mark.parametrize(
    ("pool", "namespace", "allowed"),
    [
        ("bench-cpu", "team-a", True),
        ("bench-cpu", "team-b", False),
        ("shared", "anybody", True),
        ("unlisted", "team-a", False),
    ],
)
def test_a_pool_is_open_to_the_namespaces_that_it_lists(pool: str, namespace: str, *, allowed: bool) -> None:
    assert Config.model_validate(GOOD).may_use(pool, namespace) is allowed


def test_the_entry_for_every_pool_gives_way_to_a_pools_own() -> None:
    config = Config.model_validate(GOOD | {"pools": {"*": ["*"], "secret": []}})
    assert config.may_use("any", "team-b")
    assert not config.may_use("secret", "team-b")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": {}}, "images.workloads"),
        ({"redis": {"url": "http://redis"}}, "redis.url"),
        ({"redis": {"url": "redis://redis:6379/2"}}, "users can't be tied to a database but 0"),
        ({"redis": {"url": "unix:///run/redis.sock?db=2"}}, "redis.url: "),
        ({"colour": "red"}, "colour"),
        ({"pools": {"Bench CPU": []}}, "pools"),
        ({"resources": {"trian": {}}}, "resources.trian"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    environment = written(tmp_path, GOOD | change)
    with pytest.raises(ConfigError) as caught:
        read_config(environment)
    assert words in str(caught.value)
    assert environment[ENV_CONFIG] in str(caught.value)


@pytest.mark.parametrize(("environment", "words"), [({}, "is not set"), ({ENV_CONFIG: "/nowhere"}, "can't be read")])
def test_without_a_file_the_remedy_is_said(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_config(environment)


def test_what_is_no_yaml_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no YAML"):
        read_config(written(tmp_path, "{"))
