"""What an owner's pods are given: a Redis user and an artifact token of their own, in one Secret; and the note of who
owns what in the store."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.bus import with_login
from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.access.rules import owner_rules, owner_user
from pfpnas_operator.access.users import RedisUsers, UsersRefused
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.api import SECRETS, Api, Exists
from pfpnas_operator.kube.config import Config, ConfigError
from pfpnas_operator.kube.owners import Owner
from pfpnas_operator.kube.secrets import owner_secret
from pfpnas_operator.store.owners import record_owner
from pfpnas_operator.store.tokens import Key

RENEWED_SECONDS: Final = 30.0
"""Users vanish with a server that keeps them in memory only; so often it is seen that they are there."""

SECRET_SECONDS: Final = 300.0
"""A Secret can't be read: so often it is written again, should somebody have deleted it."""


@dataclass(kw_only=True)
class Rights:
    """Gives owners what they need, and remembers what it gave."""

    api: Api
    config: Config
    key: Key
    users: RedisUsers
    store: ArtifactStore
    clock: Callable[[], float] = time.monotonic
    _users: dict[str, tuple[tuple[str, ...], float]] = field(default_factory=dict)
    _secrets: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    _noted: dict[str, str] = field(default_factory=dict)

    def grant(self, resource: Supernet | NASExperiment, *, pools: tuple[str, ...]) -> None:
        """See that an owner's user, Secret and note are there and as they should be.

        Args:
            resource: Whose pods they are for.
            pools: Whose agents its candidates are pushed to.

        Raises:
            UsersRefused: a user of its own can't be made, and nobody said that it needs none.
        """
        owner = Owner.of(resource)
        own_user = self.config.redis.users == "Auto"
        if own_user:
            self._see_user(owner, pools)
        self._see_secret(owner, own_user=own_user)
        self._note(resource)

    def redis_is_back(self) -> None:
        """Users may be gone, with a server that keeps them in memory only; and it may be another server."""
        self._users.clear()
        self.users.ask_again()

    def doubt(self, uid: str) -> None:
        """The store failed an owner: its note is looked for anew, which asks, before all else, whether it is back."""
        self._noted.pop(uid, None)

    def forget(self, uid: str) -> None:
        """An owner is gone."""
        self._users.pop(uid, None)
        self._secrets.pop(uid, None)
        self._noted.pop(uid, None)

    def _see_user(self, owner: Owner, pools: tuple[str, ...]) -> None:
        known, now = self._users.get(owner.uid), self.clock()
        if known is not None and known[0] == pools and now - known[1] < RENEWED_SECONDS:
            return
        see_users(self.users)
        self.users.ensure(owner_user(owner.uid), owner_rules(owner.uid, list(pools)))
        self._users[owner.uid] = (pools, now)

    def _see_secret(self, owner: Owner, *, own_user: bool) -> None:
        body = owner_secret(
            owner,
            redis_url=self._url(owner, own_user=own_user),
            token=self.key.token(owner.uid),
            artifacts=self.config.artifacts.address,
        )
        known, now = self._secrets.get(owner.uid), self.clock()
        if known is not None and known[0] == body and now - known[1] < SECRET_SECONDS:
            return
        try:
            self.api.create(SECRETS, owner.namespace, body)
        except Exists:
            if self.api.merge(SECRETS, owner.namespace, owner.secret, body) is None:
                return  # that of an owner before of this name, which just went with it: the next cycle makes ours
        self._secrets[owner.uid] = (body, now)

    def _url(self, owner: Owner, *, own_user: bool) -> str:
        ca = read_text(self.config.redis.ca_file, "redis.caFile")
        if own_user:
            user = owner_user(owner.uid)
            return with_login(self.config.redis.url, user=user, password=self.key.password(user), ca=ca)
        return with_login(self.config.redis.url, password=operator_password(self.config), ca=ca)

    def _note(self, resource: Supernet | NASExperiment) -> None:
        policy = resource.spec.deletion_policy
        if self._noted.get(resource.metadata.uid) != policy:
            record_owner(self.store, resource)
            self._noted[resource.metadata.uid] = policy


def see_users(users: RedisUsers) -> None:
    """See that owners can have users of their own: with the operator's they could do everything to one another.

    Raises:
        UsersRefused: they can't; the metric says so until they can.
    """
    try:
        users.demand()
    except UsersRefused:
        metrics.REDIS_USERS.set(0)
        raise
    metrics.REDIS_USERS.set(1)


def operator_password(config: Config) -> str | None:
    """The operator's own, without the line's end.

    Raises:
        ConfigError: its file can't be read.
    """
    password = read_text(config.redis.password_file, "redis.passwordFile")
    return password.strip() if password is not None else None


def operator_url(config: Config) -> str:
    """Redis as the operator goes there.

    Raises:
        ConfigError: a file that the configuration names can't be read.
    """
    ca = read_text(config.redis.ca_file, "redis.caFile")
    return with_login(config.redis.url, password=operator_password(config), ca=ca)


def read_text(path: Any, field_name: str) -> str | None:
    """A file that a field of the configuration names, if it names one.

    Raises:
        ConfigError: it can't be read.
    """
    if path is None:
        return None
    try:
        text: str = path.read_text()
    except OSError as e:
        raise ConfigError(f"{field_name}: {path} can't be read: {e.strerror or e}") from e
    return text
