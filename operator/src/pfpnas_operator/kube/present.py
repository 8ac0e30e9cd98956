"""Who owns what lies in Redis: who is there, and who is known to be gone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_operator.kube.namespaces import Listed
from pfpnas_operator.store.owners import PREFIX, owner_record


@dataclass(frozen=True, kw_only=True)
class Present:
    """Supernets and NASExperiments.

    Attributes:
        pools: On which each of them measures, by uid; None: nowhere, as it is a Supernet.
        gone: Uids of those that are known to be gone; None: of everybody who is not there.
    """

    pools: Mapping[str, str | None]
    gone: frozenset[str] | None = None

    def lacks(self, uid: str) -> bool:
        """Whether an owner is known to be gone."""
        return uid not in self.pools if self.gone is None else uid in self.gone


def present(owners: Listed, store: ArtifactStore) -> Present:
    """Who is there, as it was listed.

    Where not everything was looked through, others may be somewhere else, and another operator's: then only those are
    gone whom the store has on record for a namespace that was, since none but this operator's are in its store.

    Raises:
        ArtifactError: the store can't be read.
    """
    pools = {body["metadata"]["uid"]: body["spec"].get("target", {}).get("pool") for _, body in owners.found}
    if owners.namespaces is None:
        return Present(pools=pools)
    recorded = {uid for uid, namespace in _recorded(store) if namespace in owners.namespaces}
    return Present(pools=pools, gone=frozenset(recorded - pools.keys()))


def _recorded(store: ArtifactStore) -> Iterator[tuple[str, str]]:
    """Uid and namespace of the owners that a store has on record."""
    for name, value in store.read_refs(list(store.refs(PREFIX))):
        record = owner_record(value)
        if record is not None:
            yield name.removeprefix(PREFIX), record.namespace
