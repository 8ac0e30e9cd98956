"""A real Redis whose users are separated: default off, the operator by password, a file that keeps the users."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import redis

from pfpnas_api.bus import connect
from pfpnas_api.bus.connection import Client
from pfpnas_operator.access import aclfile
from support.ports import free_port
from support.redis_server import RedisServer, server_binary

OPERATOR_PASSWORD = "operators-own"
ADMIN = "user admin on >admins-own ~* &* +@all"
"""Only tests have one: it reads the server's log of refusals, and empties the server."""


@cache
def selectors_missing() -> str:
    """Why this machine's server can't separate users; empty when it can."""
    said = subprocess.run([server_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.", said)
    return (
        "" if found and int(found[1]) >= 7 else f"ACL selectors need redis-server 7.0 on PATH; here is {said.strip()}"
    )


def need_selectors() -> None:
    """Skip the test, saying why, where the server has no selectors; in CI, where one is installed, fail it."""
    if selectors_missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(selectors_missing())


class FixedKey:
    """Derives passwords as the operator's key does, in a way that a test can say beforehand."""

    def password(self, user: str) -> str:
        return f"password-of-{user}"


class GuardedRedis(RedisServer):
    """As the chart runs it: the file of users is merged before each start. `keeps_users=False`: without that file."""

    def __init__(self, port: int, folder: Path, *, keeps_users: bool = True, options: Sequence[str] = ()) -> None:
        super().__init__(port, folder, persist=False)
        self.users_file = folder / "users.acl"
        self._keeps_users, self._options = keeps_users, list(options)
        (folder / "operator-password").write_text(OPERATOR_PASSWORD + "\n")

    def url_of(self, user: str, password: str) -> str:
        """Address for a user."""
        return f"redis://{user}:{password}@127.0.0.1:{self.port}/0"

    @property
    def operator_url(self) -> str:
        return self.url_of("operator", OPERATOR_PASSWORD)

    def client(self, user: str, password: str) -> Client:
        return connect(self.url_of(user, password))

    def admin(self) -> Client:
        return self.client("admin", "admins-own")

    def refusals(self) -> list[str]:
        """What the server refused so far, as user: command or key."""
        log = self.admin().execute_command("ACL LOG")
        return [f"{entry['username']}: {entry['object']}" for entry in log]

    def start(self) -> None:
        given = ["--out", str(self.users_file), "--operator-password-file", str(self.folder / "operator-password")]
        assert aclfile.main(given) == 0
        with self.users_file.open("a") as file:
            file.write(ADMIN + "\n")
        super().start()

    def _command(self) -> list[str]:
        if self._keeps_users:
            return [*super()._command(), "--aclfile", str(self.users_file), *self._options]
        # The same users, from the config file: then there is nothing that the server could save users to.
        config = self.folder / "redis.conf"
        config.write_text(self.users_file.read_text())
        binary, *rest = super()._command()
        return [binary, str(config), *rest, *self._options]

    def _answers(self) -> bool:
        # Nobody else's server knows this password.
        client = connect(self.operator_url)
        try:
            return bool(client.ping())
        except redis.exceptions.RedisError:
            return False
        finally:
            client.close()


@contextmanager
def guarded_redis(*, keeps_users: bool = True, options: Sequence[str] = ()) -> Iterator[GuardedRedis]:
    """A server for the length of the block, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = GuardedRedis(free_port(), Path(folder), keeps_users=keeps_users, options=options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
