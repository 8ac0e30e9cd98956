"""The owner's file: what is refused, and that the one message names the field."""

from pathlib import Path

import pytest

from pfpnas_agent.config import AgentConfig, ConfigError, load

IDX = "datasets: {digits: {format: IDX, images: a.idx, labels: b.idx}}"


def written(folder: Path, text: str) -> AgentConfig:
    path = folder / "agent.yaml"
    path.write_text(text)
    return load(path)


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    config = written(tmp_path, f"pool: p\nstateDir: sub/../state\n{IDX}")
    assert config.state_dir == tmp_path / "state"
    assert config.datasets["digits"].images == tmp_path / "a.idx"  # type: ignore[union-attr]


def test_defaults_are_the_ones_the_reference_names(tmp_path: Path) -> None:
    config = written(tmp_path, "pool: p")
    assert config.namespaces == ("default",)
    assert config.state_dir == tmp_path / ".pfpnas-agent"
    assert config.limits.max_model_bytes == 256 * 2**20
    assert config.backend("onnxruntime").providers == ("CPUExecutionProvider",)  # type: ignore[union-attr]
    assert config.backend("other") is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{}", "pool: required"),
        ("pool: p\npol: q", "pol: unknown field"),
        ("pool: Not An Alias", "pool: write lower-case letters, digits"),
        ("pool: p\nnamespaces: team-a", "namespaces: write a list, such as [one, two]"),
        ("pool: p\ndatasets: {d: {format: IDX, image: a, labels: b}}", "datasets.d.image: unknown field"),
        ("pool: p\ndatasets: {d: {format: TIFF, path: a}}", "format is TIFF; allowed are IDX, NPZ, Folder"),
        ("pool: p\ndatasets: {d: {formt: IDX, path: a}}", "datasets.d: format is missing; there is formt, path"),
        (
            "pool: p\na: 1\nb: 2",
            "a: unknown field; check its spelling against the reference in the agent's README; b: ",
        ),
        ("pool: p\n" + "".join(f"{one}: 1\n" for one in "abcdefg"), "(and 2 more)"),
        ("pool: p\ndatasets: {d: {format: Folder, path: a, classes: 1}}", "datasets.d.classes: "),
        ("pool: p\nlimits: {memory: 12Q}", "limits.memory: '12Q' is no size: write a number with one of the units"),
        ("pool: p\nlimits: {maxSeconds: '60'}", "limits.maxSeconds: "),
        ("pool: p\nbackends: {npu: {type: command, argv: []}}", "backends.npu.argv: "),
        ("pool: p\nbackends: {npu: {type: command, argv: [no-such-program-here]}}", "backends.npu: argv: "),
        ("pool: p\nnamespaces: []", "namespaces: "),
        ("- a", "holds no mapping"),
        ("pool: [", "is no YAML (line 1)"),
    ],
)
def test_what_is_wrong_is_named_on_one_line(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        written(tmp_path, text)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_namespace_may_be_as_long_as_kubernetes_allows(tmp_path: Path) -> None:
    assert written(tmp_path, f"pool: p\nnamespaces: [{'n' * 63}]").namespaces == ("n" * 63,)
    with pytest.raises(ConfigError, match=r"namespaces\.0: "):
        written(tmp_path, f"pool: p\nnamespaces: [{'n' * 64}]")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml can't be read: No such file.*--config.*`pfpnas-agent join`"):
        load(tmp_path / "nowhere.yaml")


def test_redis_is_named_by_option_then_environment_then_file(tmp_path: Path) -> None:
    config = written(tmp_path, "pool: p\nredis: {url: 'redis://file'}")
    environment = {"PFPNAS_REDIS_URL": "redis://environment"}
    assert config.redis_url("redis://option", environment) == "redis://option"
    assert config.redis_url(None, environment) == "redis://environment"
    assert config.redis_url(None, {}) == "redis://file"


def test_no_redis_at_all_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"redis\.url is missing.*--redis"):
        written(tmp_path, "pool: p").redis_url(None, {})


def test_a_password_file_completes_the_url(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a/b@c\n")
    config = written(tmp_path, "pool: p\nredis: {url: 'redis://agent@host:6380/1', passwordFile: password}")
    assert config.redis_url(None, {}) == "redis://agent:a%2Fb%40c@host:6380/1"
    assert config.redis_url("redis://u:own@host", {}) == "redis://u:own@host"


def test_an_empty_password_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("")
    config = written(tmp_path, "pool: p\nredis: {url: 'redis://host', passwordFile: password}")
    with pytest.raises(ConfigError, match=r"redis\.passwordFile: .*password is empty"):
        config.redis_url(None, {})
