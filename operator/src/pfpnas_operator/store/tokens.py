"""One key, from which every token of the artifact store and every password in Redis is derived.

Nothing has to be kept beside the key: whoever has it can make each token again, and so check it.
"""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Final

OPERATOR: Final = "operator"
"""The scope that may do everything."""

SHORTEST_KEY: Final = 32
"""Bytes, the length of what HMAC-SHA256 yields: a shorter key would be the weakest part."""

_SCOPE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")

_RESERVED: Final = "owner"
"""No scope, since references that begin with it say who owns what, and are the operator's to write."""


class BadKey(Exception):  # noqa: N818 - reads as the state it names
    """The key can't be used; the message names its file and the remedy."""


class Key:
    """The secret of one installation.

    Args:
        secret: At least `SHORTEST_KEY` bytes that nobody can guess.

    Raises:
        BadKey: too short.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SHORTEST_KEY:
            raise BadKey(f"a key of {len(secret)} bytes is too short: at least {SHORTEST_KEY} are needed")
        self._secret = secret

    def __repr__(self) -> str:
        return "Key(…)"  # whatever prints it, the secret stays out of logs and tracebacks

    @classmethod
    def read(cls, path: Path) -> "Key":
        """The key in a file; white space at its end doesn't count, since editors and Secrets differ in it.

        Raises:
            BadKey: it can't be read, or is too short.
        """
        try:
            return cls(path.read_bytes().rstrip())
        except OSError as e:
            raise BadKey(f"can't read the key file {path}: {e.strerror or e}") from e
        except BadKey as e:
            raise BadKey(f"key file {path}: {e}; make one with `openssl rand -hex 32`") from e

    def token(self, scope: str) -> str:
        """The token of a scope: an owner's uid, or `OPERATOR`.

        Raises:
            ValueError: no scope.
        """
        if not _SCOPE.fullmatch(scope) or scope == _RESERVED:
            raise ValueError(f"{scope[:80]!r} is no scope of a token: an owner's uid or {OPERATOR!r} is")
        return f"{scope}.{self._derive('artifacts', scope)}"

    def scope_of(self, token: str) -> str | None:
        """The scope of a token that this key made, else None; in a time that tells nothing about the right one."""
        scope, _, _ = token.partition(".")
        try:
            right = self.token(scope)
        except ValueError:
            return None
        return scope if hmac.compare_digest(right.encode(), token.encode()) else None

    def password(self, user: str) -> str:
        """The password of a user of Redis: 64 hexadecimal digits."""
        return self._derive("redis", user)

    def _derive(self, purpose: str, name: str) -> str:
        return hmac.new(self._secret, f"{purpose}\0{name}".encode(), hashlib.sha256).hexdigest()
