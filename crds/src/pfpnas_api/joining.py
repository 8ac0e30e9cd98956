"""The string by which an agent joins a cluster: where its Redis is, whom to trust, and as whom to come.

`pfpnas agents add` prints it, `pfpnas-agent join` takes it. It holds a password, so it is a secret.
"""

import base64
import binascii
import hashlib
import ssl
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError

from pfpnas_api.bus.address import with_login
from pfpnas_api.kinds.common import DNS_LABEL, Model
from pfpnas_api.kinds.experiment import Alias
from pfpnas_api.messages import summary

VERSION: Final = "pfpnas1"

_CHECKSUM_DIGITS: Final = 8
"""Of SHA-256: enough to notice a paste that lost its end; it proves nothing against an attacker."""

_MAX_CHARACTERS: Final = 64 * 1024


class JoinError(ValueError):
    """Text that is no join string; the message says what is wrong with it, and shows none of it."""


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("must be redis://host:port/0, or rediss://… for TLS")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must have no user, password or options: they have places of their own")
    _ = parts.port  # raises ValueError when it is none
    return url


def _certificates(pem: str) -> str:
    if "PRIVATE KEY" in pem:
        raise ValueError("holds a private key: only certificates may leave the server")
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as e:
        raise ValueError("is no certificate in PEM form") from e
    return pem


RedisAddress = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_address)]
"""Without user and password."""

CertificatesPem = Annotated[str, Field(max_length=32 * 1024), AfterValidator(_certificates)]

AgentName = Annotated[str, Field(min_length=1, max_length=40, pattern=DNS_LABEL)]
"""A DNS label, short enough for a label and the names made of it; no dot, since `name.*` are the agent's own ids."""


class Join(Model):
    """What an agent needs to know of a cluster."""

    url: RedisAddress
    ca: CertificatesPem | None = None
    """Whom to trust besides the system's own authorities, where Redis' certificate is no public one."""
    user: Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9._]{0,127}$")]
    """Of Redis."""
    password: Annotated[str, Field(min_length=16, max_length=256, pattern=r"^[!-~]+$", repr=False)]
    pool: Alias
    name: AgentName

    @property
    def redis_url(self) -> str:
        """The address with user, password and certificates: what `pfpnas_api.bus.connect` takes."""
        return with_login(self.url, user=self.user, password=self.password, ca=self.ca)

    def encode(self) -> str:
        """The string: version, content, checksum; one word of letters, digits, hyphens, underscores and two dots."""
        content = self.model_dump_json(by_alias=True, exclude_none=True).encode()
        return f"{VERSION}.{base64.urlsafe_b64encode(content).decode().rstrip('=')}.{_checksum(content)}"

    @classmethod
    def decode(cls, text: str) -> "Join":
        """Read a string; white space in it (a mail that broke it into lines) means nothing.

        Raises:
            JoinError: it isn't one, was cut, or says something that can't be.
        """
        word = "".join(text[: 2 * _MAX_CHARACTERS].split())
        version, _, rest = word.partition(".")
        if not rest or not version.startswith("pfpnas") or len(word) > _MAX_CHARACTERS:
            raise JoinError(f"this is no join string: one starts with '{VERSION}.' and comes from `pfpnas agents add`")
        if version != VERSION:
            raise JoinError(f"this join string is of version {version[:20]!r}, this agent knows {VERSION!r}: update it")
        content = _content(rest)
        try:
            return cls.model_validate_json(content, strict=True, by_alias=True, by_name=False)
        except ValidationError as e:
            raise JoinError(f"this join string can't be used: {summary(e)}") from e


def _content(rest: str) -> bytes:
    encoded, _, checksum = rest.partition(".")
    try:
        content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    # Of the last character some bits mean nothing: another one there would be read as the same.
    if checksum != _checksum(content) or base64.urlsafe_b64encode(content).decode().rstrip("=") != encoded:
        raise JoinError("this join string is cut or changed: copy all of it, from 'pfpnas1.' to its end")
    return content


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_CHECKSUM_DIGITS]
