"""Taking away what nobody needs: the references of owners that are gone, and artifacts that nothing names.

The order makes it safe against what happens meanwhile. Artifacts are listed first, then references, then those who
live: an owner that has come since has no reference in the list, and an artifact that was put since is not in it, or was
put again, which its deletion notices. An artifact is put before the reference that names it is written; the grace is
for the time between.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_operator.store.owners import PREFIX, OwnerRecord, owner_record

GRACE: Final = timedelta(hours=1)
"""How long an artifact may lie there unnamed, and how long a gone owner's pods may still write references."""

logger = logging.getLogger("pfpnas_operator.store")


@dataclass(frozen=True, kw_only=True)
class Living:
    """Who lives, as the API server says now, not as a cache remembers.

    Attributes:
        uids: Of all Supernets and NASExperiments.
        namespaces: In which they were looked for; None: in all. Owners elsewhere count as living.
        digests: Of artifacts that specs and statuses name; `digests_in` finds them.
    """

    uids: frozenset[str]
    namespaces: frozenset[str] | None = None
    digests: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a store holds.

    Attributes:
        artifacts: When each was last put, by digest.
        refs: The digests that each reference names; None for one that can't be read.
        owners: The records, by uid; an owner whose record can't be read has none, and is left alone.
    """

    artifacts: Mapping[str, datetime]
    refs: Mapping[str, frozenset[str] | None]
    owners: Mapping[str, OwnerRecord]


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What goes.

    Attributes:
        gone: Records to write anew, by uid: their owners were missed for the first time.
        refs: Names of references to delete.
        artifacts: Digests to delete, unless they were put again since.
        unreadable: References for whose sake no artifact goes: what they name, nobody knows.
    """

    gone: Mapping[str, OwnerRecord]
    refs: tuple[str, ...]
    artifacts: tuple[str, ...]
    unreadable: tuple[str, ...]


def plan_sweep(contents: Contents, living: Living, *, now: datetime, grace: timedelta = GRACE) -> Sweep:
    """What goes, given what is there and who lives.

    Args:
        contents: Of the store.
        living: Who lives; found after the contents.
        now: Aware.
        grace: See `GRACE`.
    """
    gone = {uid: record for uid, record in contents.owners.items() if _is_gone(uid, record, living)}
    refs = {name for name in contents.refs for uid in gone if name.startswith(f"{uid}-")}
    refs |= {f"{PREFIX}{uid}" for uid, record in gone.items() if record.gone_since and record.gone_since <= now - grace}
    left = {name: digests for name, digests in contents.refs.items() if name not in refs}
    unreadable = sorted(name for name, digests in left.items() if digests is None)
    named = living.digests.union(*(digests or () for digests in left.values()))
    unnamed = (d for d, modified in contents.artifacts.items() if modified <= now - grace and d not in named)
    return Sweep(
        gone={uid: record.gone(now) for uid, record in gone.items() if record.gone_since is None},
        refs=tuple(sorted(refs)),
        artifacts=() if unreadable else tuple(sorted(unnamed)),
        unreadable=tuple(unreadable),
    )


def _is_gone(uid: str, record: OwnerRecord, living: Living) -> bool:
    """Whether an owner's references go; a retained one's never do."""
    looked_for = living.namespaces is None or record.namespace in living.namespaces
    return looked_for and uid not in living.uids and record.deletion_policy == "Delete"


def sweep_store(
    store: ArtifactStore, living: Callable[[], Living], *, now: datetime, grace: timedelta = GRACE
) -> Sweep:
    """Sweep a store; what has gone.

    Args:
        store: The store, with the right to list and delete.
        living: Asks the API server who lives; called once the store's contents are known.
        now: When the sweep begins; aware.
        grace: See `GRACE`.

    Raises:
        ArtifactError: the store can't be read or written. Nothing is wrong then: the next sweep goes on.
    """
    contents = read_contents(store)
    sweep = plan_sweep(contents, living(), now=now, grace=grace)
    for uid, record in sweep.gone.items():
        store.write_ref(f"{PREFIX}{uid}", record.document())
    for name in sweep.refs:
        store.delete_ref(name)
    for digest in sweep.artifacts:
        store.delete(digest, unmodified_since=contents.artifacts[digest])
    for name in sweep.unreadable:
        logger.warning("reference %s is unreadable, so no artifact is swept: look at it, and delete it", name)
    return sweep


def read_contents(store: ArtifactStore) -> Contents:
    """What a store holds: artifacts first, see above.

    Raises:
        ArtifactError: it can't be read.
    """
    artifacts = dict(store.digests())
    refs = dict(store.named())
    owners: dict[str, OwnerRecord] = {}
    for name, value in store.read_refs([name for name in refs if name.startswith(PREFIX)]):
        record = owner_record(value)
        if record is not None:
            owners[name.removeprefix(PREFIX)] = record
    return Contents(artifacts=artifacts, refs=refs, owners=owners)
