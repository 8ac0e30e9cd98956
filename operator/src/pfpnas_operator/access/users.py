"""Users in Redis: made, changed and removed, where the server knows ACL selectors and lets us."""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from redis.exceptions import RedisError, ResponseError

from pfpnas_api.bus.connection import Client, text

logger = logging.getLogger(__name__)

_PROBE = "pfpnas-probe"
_NO_ACL_FILE = "not configured to use an ACL file"

ASKED_AGAIN_SECONDS: Final = 30.0
"""A server that refuses is asked again: it may be replaced, or its user be given the right."""

REMEDY: Final = (
    "use Redis 7.0 or newer with a user that may run ACL SETUSER, GETUSER, DELUSER, USERS and SAVE; or say "
    "redis.users: Off (chart: redis.external.users), which gives the pods of every namespace the operator's own "
    "password, with which they may read and change everything in Redis"
)


class UsersRefused(RedisError):  # noqa: N818 - reads as the state it names
    """Searches are to have users of their own, and Redis makes none."""


class Passwords(Protocol):
    """Where the users' passwords come from: derived, so that none is ever stored or read back."""

    def password(self, user: str) -> str:
        """The password of a user; the same each time."""
        ...


class RedisUsers:
    """The users of one Redis server.

    Every method speaks to the server and raises its `RedisError`s.
    """

    def __init__(self, client: Client, key: Passwords, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._key, self._clock = client, key, clock
        self._refusal: str | None = None
        self._probed_at: float | None = None
        self._made: dict[str, tuple[list[str], Any]] = {}

    @property
    def available(self) -> bool:
        """Whether users can be made here."""
        return self.refusal is None

    @property
    def refusal(self) -> str | None:
        """What the server says to a user with selectors; None when it makes one.

        Versions say little: forks count their own, and hosted servers switch commands off. So it is tried, once a
        connection; a server that refuses is asked again every so often.
        """
        asked, now = self._probed_at, self._clock()
        if asked is None or (self._refusal is not None and now - asked >= ASKED_AGAIN_SECONDS):
            self._refusal = self._probe()
            self._probed_at = now
        return self._refusal

    def demand(self) -> None:
        """See that users can be made here.

        Raises:
            UsersRefused: says why not, and what to do.
        """
        refusal = self.refusal
        if refusal is not None:
            raise UsersRefused(f"redis.users is Auto, but Redis makes no users ({refusal}): {REMEDY}")

    def ask_again(self) -> None:
        """Redis was away: another server, or another version, may answer now."""
        self._probed_at = None

    def ensure(self, name: str, rules: Sequence[str], *, password_sha256: str | None = None) -> bool:
        """See that a user is there with just these rules; whether anything had to be done.

        A changed password ends the connections that were made with the old one.

        Args:
            name: Of the user.
            rules: As `pfpnas_operator.access.rules` has them.
            password_sha256: Digest of its password; of the derived one where left out.
        """
        digest = password_sha256 or hashlib.sha256(self._key.password(name).encode()).hexdigest()
        wanted = ["reset", "on", f"#{digest}", "resetchannels", *rules]
        found = self._client.acl_getuser(name)
        if found is not None and self._made.get(name) == (wanted, found):
            return False
        change = self._client.pipeline(transaction=True)
        if found is not None and found["passwords"] != [digest]:
            change.execute_command("ACL DELUSER", name)
        change.execute_command("ACL SETUSER", name, *wanted)
        change.execute()
        made = self._client.acl_getuser(name)
        # At a start nothing is remembered, yet mostly all is as it was.
        if made != found:
            self._save()
        self._made[name] = (wanted, made)
        return bool(made != found)

    def remove(self, name: str) -> bool:
        """See that a user is not there, and end its connections; whether it was."""
        self._made.pop(name, None)
        removed = bool(self._client.acl_deluser(name))
        if removed:
            self._save()
        return removed

    def bears(self, name: str, mark: str) -> bool:
        """Whether a user was made with this rule, a pattern of keys."""
        found = self._client.acl_getuser(name)
        return found is not None and mark in found["keys"]

    def names(self, prefix: str) -> list[str]:
        """Users whose names start so."""
        return sorted(name for name in map(text, self._client.acl_users()) if name.startswith(prefix))

    def _probe(self) -> str | None:
        try:
            self._client.execute_command("ACL SETUSER", _PROBE, "reset", "off", f"(+ping %R~{_PROBE})")
            self._client.acl_deluser(_PROBE)
        except ResponseError as e:
            return str(e)
        return None

    def _save(self) -> None:
        """Keep the users over a restart of the server, where it has a file for them; else `ensure` brings them back."""
        try:
            self._client.acl_save()
        except ResponseError as e:
            if _NO_ACL_FILE not in str(e):
                logger.warning("Redis can't save its users: %s", e)
