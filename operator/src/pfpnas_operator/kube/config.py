"""The operator's configuration: one YAML file, named by `PFPNAS_CONFIG`; unknown fields are refused."""

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator

from pfpnas_api.kinds.common import Model
from pfpnas_api.kinds.pods import ResourceRequirements

ENV_CONFIG = "PFPNAS_CONFIG"

EVERYBODY = "*"
"""As a namespace: every one. As a pool: every one that isn't listed itself."""

PoolName = Annotated[str, Field(max_length=63, pattern=r"^([*]|[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$")]

Workload = Literal["pretrain", "fit-predictor", "tune", "trial", "trial-worker"]


class ConfigError(Exception):
    """The configuration can't be used; the message names the file, the field and the remedy."""


class RedisConfig(Model):
    """Where Redis is, and as whom one goes there."""

    url: Annotated[str, Field(pattern=r"^(rediss?|unix)://.+")]
    """redis://USER@HOST:6379/0 without a password, which is in a file of its own."""
    password_file: Path | None = None
    """Holds the operator's password; left out, the URL is used as it is."""
    ca_file: Path | None = None
    """PEM of the authority that signed the server's certificate, for rediss://."""
    users: Literal["Auto", "Off"] = "Auto"
    """Auto: every experiment, Supernet and agent is a Redis user of its own, and a server that can't have them is
    refused. Off: whoever runs a pod of ours has the operator's password."""

    @field_validator("url")
    @classmethod
    def _database_0(cls, url: str) -> str:
        """Rules of users know no databases: SELECT is allowed to nobody."""
        parts = urlsplit(url)
        databases = parse_qs(parts.query).get("db", [])
        if parts.scheme in ("redis", "rediss"):
            databases.append(parts.path.strip("/"))
        if any(database not in ("", "0") for database in databases):
            raise ValueError("users can't be tied to a database but 0: leave the number out, or write /0")
        return url


class ArtifactsConfig(Model):
    """Where artifacts are kept."""

    address: Annotated[str, Field(min_length=1)]
    """http://…, s3://bucket/prefix, … as the pods reach it."""
    credentials_secret: str | None = None
    """For object stores: a Secret of the workload's own namespace whose keys become environment variables."""


class ImagesConfig(Model):
    """What the pods run."""

    workloads: Annotated[str, Field(min_length=1)]
    """The image of pfpnas_workloads."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the workload's own namespace."""


class Config(Model):
    """The operator's configuration."""

    redis: RedisConfig
    artifacts: ArtifactsConfig
    key_file: Path
    """A secret text from which tokens and passwords are derived."""
    images: ImagesConfig
    pools: dict[PoolName, tuple[str, ...]] = {}
    """Namespaces that may use a pool; one that isn't listed is open to nobody."""
    resources: dict[Workload, ResourceRequirements] = {}
    """Defaults by workload; a podTemplate's own go before."""

    @field_validator("resources", mode="before")
    @classmethod
    def _amounts_as_texts(cls, given: object) -> object:
        """Helm writes 0.5, and 8589934592 as 8.589934592e+09; the kinds themselves take no fraction without quotes."""
        return _with_texts(given)

    def may_use(self, pool: str, namespace: str) -> bool:
        """Whether experiments of a namespace may measure on a pool."""
        allowed = self.pools.get(pool, self.pools.get(EVERYBODY, ()))
        return namespace in allowed or EVERYBODY in allowed


def _with_texts(given: object) -> object:
    """Numbers with a fraction or an exponent as plain texts; what is none (nan) becomes a text that is refused."""
    if isinstance(given, Mapping):
        return {name: _with_texts(value) for name, value in given.items()}
    return f"{Decimal(str(given)).normalize():f}" if isinstance(given, float) else given


def read_config(environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration that the environment names.

    Raises:
        ConfigError: no file is named, it can't be read, or a field is wrong.
    """
    place = environment.get(ENV_CONFIG)
    if not place:
        raise ConfigError(f"{ENV_CONFIG} is not set: it names the operator's configuration file (YAML)")
    try:
        content = yaml.safe_load(Path(place).read_bytes())
    except OSError as e:
        raise ConfigError(f"{ENV_CONFIG}={place}: can't be read: {e.strerror or e}") from e
    except yaml.YAMLError as e:
        raise ConfigError(f"{ENV_CONFIG}={place}: is no YAML: {e}") from e
    try:
        return Config.model_validate(content)
    except ValidationError as e:
        raise ConfigError(f"{ENV_CONFIG}={place}:\n{_problems(e)}") from e


def _problems(error: ValidationError) -> str:
    lines = []
    for detail in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in detail["loc"]) or "the file"
        lines.append(f"  {field}: {detail['msg']}")
    return "\n".join(lines)
