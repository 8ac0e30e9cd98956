"""What is swept: all that nobody needs, and nothing that anybody may."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.artifacts.base import digests_in
from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.store.owners import PREFIX, OwnerRecord, read_owner, record_owner
from pfpnas_operator.store.sweep import GRACE, Contents, Living, plan_sweep, sweep_store

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
OLD, YOUNG = NOW - 2 * GRACE, NOW - GRACE / 2
A, B, C, D = (letter * 64 for letter in "abcd")
NOBODY = Living(uids=frozenset())


def record(policy: str = "Delete", *, namespace: str = "team-a", gone_since: datetime | None = None) -> OwnerRecord:
    return OwnerRecord.model_validate(
        {
            "kind": "NASExperiment",
            "namespace": namespace,
            "name": "digits",
            "deletion_policy": policy,
            "gone_since": gone_since,
        }
    )


def contents(
    artifacts: dict[str, datetime] | None = None,
    refs: dict[str, set[str] | None] | None = None,
    owners: dict[str, OwnerRecord] | None = None,
) -> Contents:
    named = {name: None if digests is None else frozenset(digests) for name, digests in (refs or {}).items()}
    named |= {f"{PREFIX}{uid}": frozenset() for uid in owners or {}}
    return Contents(artifacts=artifacts or {}, refs=named, owners=owners or {})


def test_a_gone_owners_references_go_with_what_they_alone_name() -> None:
    there = contents({A: OLD, B: OLD}, {"e-1": {A}, "e-2.samples": {B}, "f-1": {B}}, {"e": record()})
    sweep = plan_sweep(there, Living(uids=frozenset({"f"})), now=NOW)
    assert sweep.refs == ("e-1", "e-2.samples")
    assert sweep.artifacts == (A,)


def test_a_living_owners_references_stay() -> None:
    there = contents({A: OLD}, {"e-1": {A}}, {"e": record()})
    sweep = plan_sweep(there, Living(uids=frozenset({"e"})), now=NOW)
    assert (sweep.refs, sweep.artifacts, sweep.gone) == ((), (), {})


def test_a_gone_owners_references_stay_where_its_policy_is_to_retain() -> None:
    there = contents({A: OLD}, {"e-1": {A}}, {"e": record("Retain")})
    assert plan_sweep(there, NOBODY, now=NOW).refs == ()
    assert plan_sweep(there, NOBODY, now=NOW).artifacts == ()


def test_owners_in_namespaces_that_were_not_looked_at_count_as_living() -> None:
    there = contents({A: OLD}, {"e-1": {A}}, {"e": record(namespace="team-b")})
    assert plan_sweep(there, Living(uids=frozenset(), namespaces=frozenset({"team-a"})), now=NOW).refs == ()
    assert plan_sweep(there, Living(uids=frozenset(), namespaces=frozenset({"team-b"})), now=NOW).refs == ("e-1",)


def test_references_of_owners_without_a_record_stay() -> None:
    there = contents({A: OLD}, {"e-1": {A}})
    sweep = plan_sweep(there, NOBODY, now=NOW)
    assert (sweep.refs, sweep.artifacts) == ((), ())


def test_a_uid_that_begins_like_another_one_is_not_it() -> None:
    there = contents(refs={"e1-1": set(), "e-1": set()}, owners={"e": record()})
    assert plan_sweep(there, Living(uids=frozenset({"e1"})), now=NOW).refs == ("e-1",)


def test_the_record_of_a_gone_owner_outlives_its_last_pods() -> None:
    missed = plan_sweep(contents(refs={"e-1": set()}, owners={"e": record()}), NOBODY, now=NOW)
    assert missed.gone == {"e": record(gone_since=NOW)}
    assert missed.refs == ("e-1",)
    late = plan_sweep(contents(refs={"e-2": set()}, owners=dict(missed.gone)), NOBODY, now=NOW + GRACE / 2)
    assert late.refs == ("e-2",)
    assert late.gone == {}
    last = plan_sweep(contents(owners=dict(missed.gone)), NOBODY, now=NOW + GRACE)
    assert last.refs == ("owner-e",)


def test_an_artifact_just_put_waits_for_its_reference() -> None:
    sweep = plan_sweep(contents({A: YOUNG, B: OLD}), NOBODY, now=NOW)
    assert sweep.artifacts == (B,)
    assert plan_sweep(contents({A: YOUNG}), NOBODY, now=NOW, grace=timedelta(0)).artifacts == (A,)


def test_what_a_status_names_stays_though_its_reference_is_lost() -> None:
    living = Living(uids=frozenset({"e"}), digests=frozenset({A}))
    assert plan_sweep(contents({A: OLD, B: OLD}), living, now=NOW).artifacts == (B,)


def test_while_a_reference_is_unreadable_no_artifact_goes() -> None:
    there = contents({A: OLD}, {"e-1": None, "f-1": {B}}, {"f": record()})
    sweep = plan_sweep(there, Living(uids=frozenset({"e"})), now=NOW)
    assert (sweep.artifacts, sweep.unreadable, sweep.refs) == ((), ("e-1",), ("f-1",))
    assert plan_sweep(contents({A: OLD}, {"f-1": None}, {"f": record()}), NOBODY, now=NOW).artifacts == (A,)


@given(
    artifacts=st.dictionaries(st.sampled_from([A, B, C, D]), st.sampled_from([OLD, YOUNG])),
    refs=st.dictionaries(
        st.builds("{}-{}".format, st.sampled_from("efg"), st.integers(1, 3)),
        st.sets(st.sampled_from([A, B, C, D])),
    ),
    policies=st.dictionaries(st.sampled_from("efg"), st.sampled_from(["Delete", "Retain"])),
    uids=st.frozensets(st.sampled_from("efg")),
    digests=st.frozensets(st.sampled_from([A, B, C, D])),
)
def test_nothing_that_is_needed_ever_goes(
    artifacts: dict[str, datetime],
    refs: dict[str, set[str]],
    policies: dict[str, str],
    uids: frozenset[str],
    digests: frozenset[str],
) -> None:
    there = contents(artifacts, dict(refs), {uid: record(policy) for uid, policy in policies.items()})
    sweep = plan_sweep(there, Living(uids=uids, digests=digests), now=NOW)
    assert not any(name[0] in uids for name in sweep.refs)
    left = set(refs) - set(sweep.refs)
    needed = digests.union(*(refs[name] for name in left)) | {d for d in artifacts if artifacts[d] == YOUNG}
    assert not needed & set(sweep.artifacts)
    assert needed | set(sweep.artifacts) >= set(artifacts)


@pytest.mark.parametrize(
    "value",
    [{"sha256": A}, {"artifacts": {"model": {"sha256": A, "size": 1}}}, {"uri": f"sha256:{A}"}, [[{"x": [A]}]], A],
)
def test_digests_are_found_wherever_they_stand(value: Any) -> None:
    assert list(digests_in(value)) == [A]
    assert list(digests_in({"sha256": A[1:], "n": 1, "x": None})) == []


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def put(store: FolderStore, content: bytes, *, modified: datetime = OLD) -> str:
    digest = store.put(content).sha256
    os.utime(store.path(digest), (modified.timestamp(), modified.timestamp()))
    return digest


def experiment(**spec: Any) -> NASExperiment:
    wished = {"supernetRef": {"name": "net"}, "target": {"pool": "p", "dataset": "d"}, "budget": {"maxTrials": 1}}
    metadata = {"name": "digits", "namespace": "team-a", "uid": "e"}
    return NASExperiment.model_validate({"metadata": metadata, "spec": wished | spec})


def test_an_owners_record_follows_its_policy(store: FolderStore) -> None:
    record_owner(store, experiment())
    assert read_owner(store, "e") == record()
    written = (store.root / "refs" / "owner-e.json").stat().st_ino
    record_owner(store, experiment())
    assert (store.root / "refs" / "owner-e.json").stat().st_ino == written
    record_owner(store, experiment(deletionPolicy="Retain"))
    assert store.read_ref("owner-e") == {
        "kind": "NASExperiment",
        "namespace": "team-a",
        "name": "digits",
        "deletionPolicy": "Retain",
    }


def test_a_supernet_has_a_record_too(store: FolderStore) -> None:
    spec = {"searchSpace": {"backbone": "MobileNetV2"}, "dataset": {"format": "Shapes"}}
    record_owner(store, Supernet.model_validate({"metadata": {"name": "net", "uid": "s"}, "spec": spec}))
    assert read_owner(store, "s") == OwnerRecord(
        kind="Supernet", namespace="default", name="net", deletion_policy="Delete"
    )


def test_a_store_is_swept_of_a_gone_owner_step_by_step(store: FolderStore) -> None:
    model, shared = put(store, b"model"), put(store, b"shared")
    record_owner(store, experiment())
    store.write_ref("e-1", {"artifacts": {"model": {"sha256": model}, "other": {"sha256": shared}}})
    store.write_ref("s-pretrain", {"sha256": shared})
    sweep_store(store, lambda: Living(uids=frozenset({"e", "s"})), now=NOW)
    assert list(store.refs()) == ["e-1", "owner-e", "s-pretrain"]
    sweep_store(store, lambda: Living(uids=frozenset({"s"})), now=NOW)
    assert list(store.refs()) == ["owner-e", "s-pretrain"]
    assert [digest for digest, _ in store.digests()] == [shared]
    sweep_store(store, lambda: Living(uids=frozenset({"s"})), now=NOW + GRACE)
    assert list(store.refs()) == ["s-pretrain"]


def meanwhile(action: Callable[[], object], living: Living) -> Callable[[], Living]:
    """What happens between the listing of a store and its sweeping."""

    def look() -> Living:
        action()
        return living

    return look


def test_an_owner_that_comes_meanwhile_keeps_its_references(store: FolderStore) -> None:
    def come() -> None:
        record_owner(store, experiment())
        store.write_ref("e-1", {})

    sweep_store(store, meanwhile(come, NOBODY), now=NOW)
    assert list(store.refs()) == ["e-1", "owner-e"]


def test_an_artifact_put_again_meanwhile_stays(store: FolderStore) -> None:
    digest = put(store, b"model")
    sweep_store(store, meanwhile(lambda: store.put(b"model"), NOBODY), now=NOW)
    assert store.has(digest)
    sweep_store(store, lambda: NOBODY, now=datetime.now(UTC) + 2 * GRACE)
    assert not store.has(digest)


def test_an_unreadable_reference_is_named_in_the_log(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    digest = put(store, b"model")
    store.write_ref("e-1", {})
    (store.root / "refs" / "e-1.json").write_text("{")
    sweep_store(store, lambda: NOBODY, now=NOW)
    assert store.has(digest)
    assert "reference e-1 is unreadable" in caplog.text
