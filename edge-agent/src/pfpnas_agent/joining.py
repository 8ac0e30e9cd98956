"""`pfpnas-agent join`: the string is kept beside the config, the config names it, and the connection is tried."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pfpnas_agent import reaching
from pfpnas_agent.config import ConfigError, read
from pfpnas_api.joining import Join, JoinError

STARTER = """\
# The agent's own file: what this device lends, by alias, and to whom. Nothing of it ever leaves.
# datasets:
#   scans: {format: Folder, path: scans}          # scans/<class>/*.png
# namespaces: [default]                           # whose experiments are served
"""
"""A file for who has none yet."""

_OURS = ("joinFile", "name")
_REPLACED = ("pool", "redis")
"""Said by the join; kept as comments."""


def join(text: str, config: Path) -> Join:
    """Keep the string beside the config, readable by its owner alone, and let the config name it.

    Raises:
        ConfigError: the text is no join string; or the config can't be read as YAML, or a file can't be written.
    """
    try:
        found = Join.decode(text)
    except JoinError as e:
        raise ConfigError(str(e)) from e
    kept = join_file(config)
    written = _written(config)
    values = {"joinFile": kept.name, "name": found.name}
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        _write(kept, found.encode() + "\n")
        _write(config, joined(written, values))
    except OSError as e:
        raise ConfigError(f"{e.filename or config} can't be written: {e.strerror}") from e
    return found


def join_file(config: Path) -> Path:
    """Where the string of a config is kept."""
    return config.with_suffix(".join")


def joined(text: str, values: dict[str, str]) -> str:
    """The config's text with these fields; what they replace becomes a comment, and the rest stays as it was written.

    Args:
        text: YAML that is a mapping, or nothing but comments.
        values: `joinFile` and `name`.
    """
    rest = {key: value for key, value in (yaml.safe_load(text) or {}).items() if key not in (*_OURS, *_REPLACED)}
    lines = _edited(text, values)
    if lines is not None and yaml.safe_load(lines) == {**rest, **values}:
        return lines
    # One mapping in braces, say: there no line belongs to one field.
    return yaml.safe_dump({**values, **rest}, sort_keys=False, allow_unicode=True)


def told(found: Join, config: Path) -> Iterator[str]:
    """What was done, for a person."""
    yield f"{join_file(config)}: keeps the join string (a secret)"
    yield f"{config}: agent {found.name} of pool {found.pool}"


def tried(found: Join) -> Iterator[str]:
    """Log in as the agent would, and look whether its pool is in use; takes no task.

    Raises:
        BusError: not reached, not trusted, not let in; says what to do.
    """
    yield from reaching.tried(found.redis_url, pool=found.pool, agent=found.name, joined=True)


def _written(config: Path) -> str:
    if not config.exists():
        return STARTER
    if config.read_bytes().strip():
        read(config)  # refuses what is no mapping
    return config.read_text(encoding="utf-8")


def _edited(text: str, values: dict[str, str]) -> str | None:
    """The text edited line by line; None where fields don't have lines of their own."""
    lines = text.splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    fields = root.value if isinstance(root, yaml.MappingNode) and not root.flow_style else []
    if root is not None and not fields:
        return None
    start = min((key.start_mark.line for key, _ in fields), default=len(lines))
    for key, value in fields:
        for at in range(key.start_mark.line, _last_line(value) + 1):
            if key.value in _OURS:
                lines[at] = ""
            elif key.value in _REPLACED:
                lines[at] = f"# {lines[at]}"
    if start and not lines[start - 1].endswith("\n"):
        lines[start - 1] += "\n"
    return "".join([*lines[:start], *(f"{name}: {value}\n" for name, value in values.items()), *lines[start:]])


def _last_line(node: Any) -> int:
    """The last line on which something of a node stands; the parser's own end of a block is where the next begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        end = node.end_mark
        return int(end.line if end.column else end.line - 1)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all; a new one is its owner's alone, another keeps its mode."""
    mode = path.stat().st_mode & 0o777 if path.exists() and path.suffix != ".join" else 0o600
    temporary = path.with_name(f".tmp-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
