"""Jobs by their owner: as the watch tells of them, without those whose end it did not tell."""

from collections.abc import Iterable, Mapping, Set

from pfpnas_operator.kube.jobviews import JobRecord

JobsByOwner = Mapping[str, Iterable[JobRecord]]
"""By the owner's uid."""


class ToldJobs:
    """What the watch tells, held against a list now and then. Its methods run in the event loop."""

    def __init__(self, told: JobsByOwner) -> None:
        self._told = told
        self._missed: Set[str] = frozenset()
        self._gone: Set[str] = frozenset()

    def of(self, owner: str, *, namespace: str) -> dict[str, JobRecord]:
        """The Jobs of an owner in its namespace, by name; of two of one name the newer is there.

        In another namespace somebody else may make one that names this owner: uids are no secret.
        """
        told = sorted(self._told.get(owner, ()), key=lambda record: record.since)
        here = (record for record in told if record.namespace == namespace)
        return {record.name: record for record in here if record.uid not in self._gone}

    def compare(self, uids: Set[str]) -> list[str]:
        """Hold against the uids of all Jobs that there are; the owners of those that turn out to be gone.

        What is missing for two looks is gone; once may be the watch's delay.
        """
        owners = {record.uid: owner for owner, records in self._told.items() for record in records}
        missed = owners.keys() - uids
        gone = missed & (self._missed | self._gone)
        new = [owners[uid] for uid in gone - self._gone]
        self._missed, self._gone = missed, gone
        return new
