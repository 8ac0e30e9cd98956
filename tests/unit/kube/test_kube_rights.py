"""What an owner's pods are given is there, and is there again after somebody took it away."""

from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.artifacts import FolderStore
from pfpnas_operator.access.users import UsersRefused
from pfpnas_operator.kube.api import SECRETS, Exists, Object, Place
from pfpnas_operator.kube.rights import RENEWED_SECONDS, SECRET_SECONDS, Rights
from pfpnas_operator.store.owners import read_owner
from pfpnas_operator.store.tokens import Key
from support.kube_parts import CONFIG
from support.kube_server import ObjectServer
from support.reconcile_builders import make_experiment


class Users:
    """Redis' users, as they were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses = False

    def demand(self) -> None:
        if self.refuses:
            raise UsersRefused("Redis makes no users")

    def ensure(self, name: str, rules: list[str]) -> None:
        self.asked.append(name)

    def ask_again(self) -> None:
        self.asked.append("who is there?")


class Site:
    """A server, Redis' users, a clock, and an experiment whose rights are seen to."""

    def __init__(self, folder: Path) -> None:
        self.server, self.users, self.now = ObjectServer(), Users(), 0.0
        self.experiment = make_experiment()
        api: Any = self.server
        users: Any = self.users
        store, key = FolderStore(folder), Key(b"k" * 32)
        self.rights = Rights(api=api, config=CONFIG, key=key, users=users, store=store, clock=lambda: self.now)

    def grant(self) -> None:
        self.rights.grant(self.experiment, pools=("bench",))

    def secret(self) -> Object | None:
        return next(self.server.list(SECRETS), None)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.grant()
    return made


def test_a_secret_holds_the_owners_user_and_token(site: Site) -> None:
    secret = site.secret()
    assert secret is not None
    assert "//owner-ex-uid:" in secret["stringData"]["redis-url"]
    assert Key(b"k" * 32).scope_of(secret["stringData"]["artifacts-token"]) == "ex-uid"


def test_nothing_is_written_again_while_it_holds(site: Site) -> None:
    writes = len(site.server.writes)
    for _ in range(5):
        site.now += SECRET_SECONDS / 6
        site.grant()
    assert len(site.server.writes) == writes


def test_a_secret_that_somebody_deleted_is_made_again(site: Site) -> None:
    before = site.secret()
    assert before is not None
    site.server.delete(SECRETS, before["metadata"]["namespace"], before["metadata"]["name"])
    site.now += SECRET_SECONDS
    site.grant()
    after = site.secret()
    assert after is not None
    assert after["stringData"] == before["stringData"]


class Going(ObjectServer):
    """The Secret of an owner before, which goes between being there and being changed."""

    def create(self, place: Place, namespace: str, body: Object) -> Object:
        raise Exists(409, "AlreadyExists", "there already")

    def merge(self, *_: Any) -> None:
        return None


def test_a_secret_that_goes_with_the_owner_before_is_made_at_the_next_cycle(tmp_path: Path) -> None:
    site = Site(tmp_path)
    going: Any = Going()
    there, site.rights.api = site.rights.api, going
    site.grant()
    site.rights.api = there
    site.grant()
    assert site.secret() is not None


def test_a_user_is_seen_to_every_so_often_and_when_redis_is_back(site: Site) -> None:
    site.grant()
    assert site.users.asked == ["owner-ex-uid"]
    site.now += RENEWED_SECONDS
    site.grant()
    assert site.users.asked == ["owner-ex-uid"] * 2
    site.rights.redis_is_back()
    site.grant()
    assert site.users.asked == ["owner-ex-uid"] * 2 + ["who is there?", "owner-ex-uid"]


def test_a_note_in_a_store_that_failed_is_looked_for_anew(site: Site) -> None:
    uid = site.experiment.metadata.uid
    site.rights.store.delete_ref(f"owner-{uid}")
    site.grant()
    assert read_owner(site.rights.store, uid) is None
    site.rights.doubt(uid)
    site.grant()
    assert read_owner(site.rights.store, uid) is not None


def test_without_a_user_of_its_own_no_secret_is_written(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.users.refuses = True
    with pytest.raises(UsersRefused):
        site.grant()
    assert site.secret() is None
