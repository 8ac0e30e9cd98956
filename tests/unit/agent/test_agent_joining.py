"""Joining changes two lines of the owner's file and loses none; a config with a join is one with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_agent.config import ConfigError, load
from pfpnas_agent.joining import join, joined
from pfpnas_api.joining import Join

VALUES = {"joinFile": "agent.join", "name": "lab"}
JOIN = Join(
    url="redis://redis.example.org:6379/0", user="agent-lab", password="p" * 32, pool="bench", name="lab"
)  # fmt: skip
OWNERS = """\
# My bench.
pool: my-devices   # the old one
redis:
  url: redis://old:6379/0
  passwordFile: pw

datasets:
  # faces, 2024
  scans: {format: Folder, path: scans}   # private
limits:
  maxModelSize: 64Mi
"""


def test_the_owners_lines_stay_and_what_is_replaced_becomes_a_comment() -> None:
    assert joined(OWNERS, VALUES) == (
        "# My bench.\n"
        "joinFile: agent.join\n"
        "name: lab\n"
        "# pool: my-devices   # the old one\n"
        "# redis:\n"
        "#   url: redis://old:6379/0\n"
        "#   passwordFile: pw\n"
        "\n" + OWNERS[OWNERS.index("datasets:") :]
    )


def test_joining_twice_is_joining_once() -> None:
    once = joined(OWNERS, VALUES)
    assert joined(once, VALUES) == once
    assert joined(once, {**VALUES, "name": "other"}) == once.replace("name: lab", "name: other")


@pytest.mark.parametrize("text", ["", "# only a comment", "# one\n\n", "---\n", "pool: a", "datasets: {}\npool: a"])
def test_short_files_are_joined_too(text: str) -> None:
    assert yaml.safe_load(joined(text, VALUES)) == {**VALUES, **({"datasets": {}} if "datasets" in text else {})}


SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii"), max_size=12)
VALUE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner),
    max_leaves=6,
)


@given(
    document=st.dictionaries(st.sampled_from(["pool", "redis", "name", "joinFile", "datasets", "limits"]), VALUE),
    flow=st.sampled_from([None, True, False]),
)
def test_whatever_the_file_says_only_those_fields_change(document: dict[str, Any], flow: bool | None) -> None:
    text = yaml.safe_dump(document, default_flow_style=flow)
    rest = {key: value for key, value in document.items() if key in ("datasets", "limits")}
    assert yaml.safe_load(joined(text, VALUES)) == {**VALUES, **rest}


def test_a_joined_config_knows_pool_address_and_name(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(OWNERS)
    join(JOIN.encode(), path)
    config = load(path)
    assert config.pool == "bench"
    assert config.redis_url(None, {}) == f"redis://agent-lab:{'p' * 32}@redis.example.org:6379/0"
    assert config.agent_id("0123456789abcdef") == "lab"
    assert "scans" in config.datasets


def test_the_secret_is_its_owners_alone_and_the_config_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(OWNERS)
    path.chmod(0o640)
    (tmp_path / "agent.join").write_text("an old one")
    (tmp_path / "agent.join").chmod(0o644)
    join(JOIN.encode(), path)
    assert (tmp_path / "agent.join").stat().st_mode & 0o777 == 0o600
    assert path.stat().st_mode & 0o777 == 0o640
    assert JOIN.password not in path.read_text()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["agent.join", "agent.yaml"]


def test_without_a_config_one_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.yaml"
    join(JOIN.encode(), path)
    assert load(path).pool == "bench"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_string_that_is_none_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(OWNERS)
    with pytest.raises(ConfigError, match="is cut or changed: copy all of it"):
        join(JOIN.encode()[:-3], path)
    assert [one.name for one in tmp_path.iterdir()] == ["agent.yaml"]
    assert path.read_text() == OWNERS


def test_a_file_that_is_no_yaml_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text("datasets: [")
    with pytest.raises(ConfigError, match="is no YAML"):
        join(JOIN.encode(), path)
    assert path.read_text() == "datasets: ["


def with_join_file(folder: Path, text: str) -> Path:
    (folder / "join").write_text(JOIN.encode() + "\n")
    path = folder / "agent.yaml"
    path.write_text(text)
    return path


def test_many_agents_share_a_join_under_names_of_their_own(tmp_path: Path) -> None:
    config = load(with_join_file(tmp_path, "joinFile: join\n"))
    assert config.pool == "bench"
    assert config.agent_id("0123456789abcdef") == "lab.01234567"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("joinFile: join\npool: other", "pool: is other, but the join is for bench; remove it"),
        ("joinFile: join\nredis: {url: 'redis://h'}", "redis: joinFile says where Redis is; remove one of the two"),
        ("joinFile: join\nname: somebody", "name: is somebody, but the join is for lab: write that, or lab.<more>"),
        ("joinFile: nowhere", "nowhere can't be read (No such file or directory)"),
        ("joinFile: agent.yaml", "this is no join string"),
        ("joinFile: 3", "joinFile: "),
        ("pool: p\nname: lab", "name: goes with joinFile only; remove it"),
    ],
)
def test_what_contradicts_a_join_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = with_join_file(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_address_goes_before_the_joins(tmp_path: Path) -> None:
    config = load(with_join_file(tmp_path, "joinFile: join\n"))
    assert config.redis_url("redis://a", {}) == "redis://a"
    assert config.redis_url(None, {"PFPNAS_REDIS_URL": "redis://b"}) == "redis://b"
