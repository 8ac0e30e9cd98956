"""The agent's own file: what the device's owner lends, by alias, and to whom. Nothing of it ever leaves."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, ValidationInfo, model_validator

from pfpnas_api.bus import with_login
from pfpnas_api.joining import Join, JoinError
from pfpnas_api.kinds.common import DNS_LABEL, Model
from pfpnas_api.kinds.experiment import Alias
from pfpnas_api.quantities import SIZE

ENV_REDIS = "PFPNAS_REDIS_URL"
"""Overrides `redis.url`, so that one file serves in a pod too."""

DEFAULT_BACKEND = "onnxruntime"
"""Alias that is there without being configured: onnxruntime on the CPU."""

DEFAULT_STATE = ".pfpnas-agent"
"""Beside the config file."""


class ConfigError(Exception):
    """The file can't be used; one line that names the field and the remedy."""


def _resolved(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base", Path())
    return Path(os.path.normpath(base / path.expanduser()))


LocalPath = Annotated[Path, AfterValidator(_resolved)]
"""A path; a relative one starts at the config file's folder."""


def _is_size(text: str) -> str:
    SIZE.parse(text)
    return text


Size = Annotated[str, AfterValidator(_is_size), Field(max_length=24)]


Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
"""Kubernetes' own rule; nothing is derived from it that had to be longer."""


class IDXFiles(Model):
    """Two files in MNIST's format, plain or gzipped."""

    images: LocalPath
    labels: LocalPath


class OneFile(Model):
    """One `.npz` with the arrays `images` (n, h, w) or (n, h, w, 3), uint8, and `labels` (n), integers."""

    path: LocalPath


class OneFolder(Model):
    """A folder with one folder of images for each class; classes are numbered in the order of their names."""

    path: LocalPath


class BinaryFiles(Model):
    """Files in CIFAR's binary format (CIFAR-10's, or CIFAR-100's with its fine labels)."""

    paths: Annotated[tuple[LocalPath, ...], Field(min_length=1)]


class _Dataset(Model):
    classes: Annotated[int, Field(ge=2, le=100_000)] | None = None
    """Number of classes; as many as the labels show when it is left out."""


class IDXDataset(_Dataset, IDXFiles):
    """Private data in MNIST's format."""

    format: Literal["IDX"]
    validation: IDXFiles | None = None
    test: IDXFiles | None = None


class NPZDataset(_Dataset, OneFile):
    """Private data as arrays."""

    format: Literal["NPZ"]
    validation: OneFile | None = None
    test: OneFile | None = None


class FolderDataset(_Dataset, OneFolder):
    """Private data as image files."""

    format: Literal["Folder"]
    validation: OneFolder | None = None
    test: OneFolder | None = None


class CIFARDataset(_Dataset, BinaryFiles):
    """Private data in CIFAR's format."""

    format: Literal["CIFARBinary"]
    validation: BinaryFiles | None = None
    test: BinaryFiles | None = None


Dataset = Annotated[IDXDataset | NPZDataset | FolderDataset | CIFARDataset, Field(discriminator="format")]
"""`validation` and `test` name official splits; without them the pixels' digests decide."""


class OnnxRuntimeBackend(Model):
    """onnxruntime with these execution providers; a provider that isn't really used is an error."""

    type: Literal["onnxruntime"]
    providers: Annotated[tuple[str, ...], Field(min_length=1)] = ("CPUExecutionProvider",)


class CommandBackend(Model):
    """The owner's own program for an accelerator: called as `argv + [directory]`, without a shell."""

    type: Literal["command"]
    argv: Annotated[tuple[str, ...], Field(min_length=1)]
    deadline_seconds: Annotated[int, Field(ge=1, le=3600)] = 120
    """For one call; a measurement makes up to six (candidate and reference in turns, two each; throughput; outputs)."""

    @model_validator(mode="after")
    def _program_is_found(self, info: ValidationInfo) -> "CommandBackend":
        program = self.argv[0]
        found = str(_resolved(Path(program), info)) if os.sep in program else shutil.which(program)
        if found is None or not os.access(found, os.X_OK) or not os.path.isfile(found):
            raise ValueError(f"argv: {program!r} is no program that can be run: write its full path")
        object.__setattr__(self, "argv", (found, *self.argv[1:]))
        return self


Backend = Annotated[OnnxRuntimeBackend | CommandBackend, Field(discriminator="type")]


class RedisConfig(Model):
    """The one outward connection."""

    url: Annotated[str, Field(min_length=1)] | None = None
    password_file: LocalPath | None = None
    """Its first line is the password, so that none needs to stand in the URL."""


class Limits(Model):
    """What one task may use of this device."""

    max_model_size: Size = "256Mi"
    max_seconds: Annotated[int, Field(ge=5, le=3600)] = 3600
    """A task's deadline, if the task itself names a longer one."""
    memory: Size | None = None
    """Address space of the measuring process; a candidate that needs more fails as OutOfMemory."""

    @property
    def max_model_bytes(self) -> int:
        """Bytes of the largest candidate that is accepted."""
        return int(SIZE.parse(self.max_model_size))

    @property
    def memory_bytes(self) -> int | None:
        """Bytes, or None without a limit."""
        return None if self.memory is None else int(SIZE.parse(self.memory))


AgentId = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class AgentConfig(Model):
    """The whole file."""

    pool: Alias
    """The join's where there is one."""
    redis: RedisConfig = RedisConfig()
    join_file: LocalPath | None = None
    """What `pfpnas-agent join` (or a mounted Secret) says of the cluster, in place of `pool` and `redis`."""
    name: AgentId | None = None
    """The agent's id; with a join only. Left out, it is the join's name and 8 digits of its own: many may share one."""
    namespaces: Annotated[tuple[Namespace, ...], Field(min_length=1)] = ("default",)
    """Experiments of other namespaces are refused."""
    state_dir: LocalPath
    """Agent id, journal, and the cache of decoded images; readable by its owner only."""
    datasets: dict[Alias, Dataset] = {}
    backends: dict[Alias, Backend] = {}
    limits: Limits = Limits()
    _join: Join | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _is_one_with_its_join(self, info: ValidationInfo) -> "AgentConfig":
        self._join = (info.context or {}).get("join")
        if self._join is None:
            if self.name is not None:
                raise ValueError("name: goes with joinFile only; remove it")
            return self
        if self.redis != RedisConfig():
            raise ValueError("redis: joinFile says where Redis is; remove one of the two")
        if self.pool != self._join.pool:
            raise ValueError(f"pool: is {self.pool}, but the join is for {self._join.pool}; remove it")
        own = self._join.name
        if self.name is not None and self.name != own and not self.name.startswith(f"{own}."):
            raise ValueError(f"name: is {self.name}, but the join is for {own}: write that, or {own}.<more>")
        return self

    def agent_id(self, random: str) -> str:
        """Under which id the agent speaks.

        Args:
            random: Hexadecimal digits of this device's own, kept in its state directory.
        """
        if self._join is None:
            return random
        return self.name or f"{self._join.name}.{random[:8]}"

    def backend(self, alias: str) -> OnnxRuntimeBackend | CommandBackend | None:
        """The backend of an alias, or None; `onnxruntime` is always there."""
        if alias == DEFAULT_BACKEND and alias not in self.backends:
            return OnnxRuntimeBackend(type="onnxruntime")
        return self.backends.get(alias)

    @property
    def joined(self) -> bool:
        """Whether a join says where Redis is."""
        return self._join is not None

    def named_redis(self, override: str | None, environment: Mapping[str, str]) -> str | None:
        """Where Redis is: the override, else the environment, else the file; without the password file's password."""
        return override or environment.get(ENV_REDIS) or (self._join.redis_url if self._join else self.redis.url)

    def redis_url(self, override: str | None, environment: Mapping[str, str]) -> str:
        """Where Redis is: the override, else the environment, else the file; with the password file's password.

        Raises:
            ConfigError: none of them says it, or the password file can't be read.
        """
        url = self.named_redis(override, environment)
        if not url:
            raise ConfigError(
                f"redis.url is missing: `pfpnas-agent join`, write it into the config, set {ENV_REDIS}, or pass --redis"
            )
        if self.redis.password_file is None:
            return url
        return _with_password(url, _first_line(self.redis.password_file))


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"redis.passwordFile: {path} can't be read ({_reason(e)})") from e
    if not lines or not lines[0]:
        raise ConfigError(f"redis.passwordFile: {path} is empty: write the password on its first line")
    return lines[0]


def _with_password(url: str, password: str) -> str:
    user = urlsplit(url).netloc.rpartition("@")[0]
    return url if ":" in user else with_login(url, user=unquote(user), password=password)


def load(path: Path) -> AgentConfig:
    """Read the agent's file, and the join that it names.

    Raises:
        ConfigError: missing, no YAML, an unknown field, a wrong value.
    """
    document = read(path)
    base = path.parent.absolute()
    join = _named_join(document, base)
    defaults = {"stateDir": DEFAULT_STATE, **({"pool": join.pool} if join else {})}
    try:
        # JSON on the way, since strict JSON knows sequences and paths as what a YAML author wrote.
        text = json.dumps({**defaults, **document}, default=str)
        return AgentConfig.model_validate_json(text, strict=True, context={"base": base, "join": join})
    except ValidationError as e:
        raise ConfigError(f"{path}: {_problems(e)}") from e


def read(path: Path) -> dict[str, Any]:
    """The file as YAML has it, unchecked.

    Raises:
        ConfigError: missing, no YAML, or no mapping.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ConfigError(
            f"{path} can't be read: {_reason(e)}; name the file with --config, or make one with `pfpnas-agent join`"
        ) from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} can't be read: {_reason(e)}") from e
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{path} is no YAML{place}: {getattr(e, 'problem', None) or 'it is malformed'}") from e
    if not isinstance(document, dict):
        raise ConfigError(f"{path} holds no mapping: it starts with a line such as 'pool: my-devices'")
    return document


def _named_join(document: Mapping[str, Any], base: Path) -> Join | None:
    named = document.get("joinFile")
    if named is None:
        return None
    if not isinstance(named, str):
        raise ConfigError(f"joinFile: is {named!r}; write the path of a file")
    path = Path(os.path.normpath(base / Path(named).expanduser()))
    try:
        return Join.decode(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"joinFile: {path} can't be read ({_reason(e)})") from e
    except JoinError as e:
        raise ConfigError(f"joinFile: {path}: {e}") from e


_TAGS = {"IDX", "NPZ", "Folder", "CIFARBinary", "onnxruntime", "command"}


_MOST_PROBLEMS = 5
"""More on one line are not read."""


def _problems(error: ValidationError) -> str:
    details = error.errors(include_url=False)
    # A misspelt field makes the right one missing as well: naming the misspelt one helps more.
    details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
    more = f" (and {len(details) - _MOST_PROBLEMS} more)" if len(details) > _MOST_PROBLEMS else ""
    return "; ".join(_problem(dict(detail)) for detail in details[:_MOST_PROBLEMS]) + more


def _problem(detail: dict[str, Any]) -> str:
    # A tagged union puts its tag into the location; the author never wrote it there.
    where = [str(part) for at, part in enumerate(detail["loc"]) if not (at == 2 and part in _TAGS)]
    # What concerns several fields has no place of its own, and names them in its words.
    return ": ".join(filter(None, [".".join(where), _in_words(detail)]))


def _in_words(detail: dict[str, Any]) -> str:
    context = {name: str(value).strip("'") for name, value in detail.get("ctx", {}).items()}
    match detail["type"]:
        case "union_tag_not_found":
            # The names only: a value may be private.
            return (
                f"{context['discriminator']} is missing; there is {', '.join(map(str, detail['input'])) or 'nothing'}"
            )
        case "union_tag_invalid":
            allowed = context["expected_tags"].replace("'", "")
            return f"{context['discriminator']} is {context['tag']}; allowed are {allowed}"
        case "string_pattern_mismatch":
            return f"write lower-case letters, digits, '-' and '.' (it has to match {context['pattern']})"
    return _WORDS.get(detail["type"]) or str(detail["msg"]).removeprefix("Value error, ")


_WORDS = {
    "extra_forbidden": "unknown field; check its spelling against the reference in the agent's README",
    "missing": "required, but missing",
    "tuple_type": "write a list, such as [one, two]",
}


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or "it is no UTF-8 text")
