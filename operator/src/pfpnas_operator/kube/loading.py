"""The trials of one experiment: read once at the start, then told of by the watch."""

from collections import deque
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import ValidationError

from pfpnas_api.kinds import Trial, TrialStatus
from pfpnas_operator.driving import Records
from pfpnas_operator.driving.records import finished_at
from pfpnas_operator.kube.api import TRIALS, Api, Object, Stale
from pfpnas_operator.kube.jobviews import moment
from pfpnas_operator.kube.owners import LABEL_OWNER
from pfpnas_operator.kube.packed import PackedTrials
from pfpnas_operator.kube.refusing import ACCEPTED, hold
from pfpnas_operator.kube.writer import ApiRecord
from pfpnas_operator.reconcile import Summary
from pfpnas_operator.reconcile.refusing import claims_to_be_own


@dataclass
class TrialBook:
    """What the watch told of trials since the last cycle.

    Only trials that are new matter: the status of one that is known is written here and nowhere else.
    """

    stale: bool = False
    """A trial that is known was deleted: what was counted with it is counted anew."""
    reserved: set[str] = field(default_factory=set)
    """Names like those of the search's own trials, of trials that it did not make."""
    known: dict[str, str] = field(default_factory=dict)
    """Uid of every trial that is known, by name."""
    reading: bool = False
    """Trials are being read: one that was read, and whose end is told meanwhile, isn't known yet."""
    _told: deque[tuple[str, str]] = field(default_factory=deque)
    """Names and uids: at a start the watch tells of ten thousand, and nearly all of them are known by then."""

    def told(self, name: str, uid: str, *, deleted: bool) -> None:
        """The watch tells of a new trial, or of the end of one that is known; called in the event loop."""
        if deleted:
            self.stale = True
        else:
            self._told.append((name, uid))

    def compare(self, before: Mapping[str, str], there: Set[str]) -> int:
        """How many known trials are gone though nothing told of it; what was counted with them is counted anew.

        Args:
            before: What was known, as `known`, before it was looked what is there.
            there: Uids of all of the experiment's trials.
        """
        if self.stale or self.reading:
            return 0  # they are read anew as it is
        gone = [name for name, uid in before.items() if uid not in there and self.known.get(name) == uid]
        if gone:
            self.stale = True
        return len(gone)

    def load(self, api: Api, records: Records, record: ApiRecord) -> None:
        """Read the trials that are the experiment's; those by hand that are new the watch tells of, one by one.

        Raises:
            ApiError: the API server can't be read.
        """
        with self._reading():
            self._load(api, records, record)

    def _load(self, api: Api, records: Records, record: ApiRecord) -> None:
        self.stale = False
        self.known = record.uids
        record.uids.clear()
        record.trials.statuses.clear()
        # Packed, and put in order by their keys: ten thousand trials are not to lie in memory at once.
        found, keys = PackedTrials(), []
        for body in api.list(TRIALS, record.owner.namespace, labels=f"{LABEL_OWNER}={record.owner.uid}"):
            if not body["metadata"].get("deletionTimestamp"):
                trial = self._taken(api, body, record)
                if trial is not None:
                    found.append(trial)
                    keys.append(finished_at(trial))
        records.active.clear()
        records.finished.clear()
        records.summary = Summary.of(records.experiment)
        for place in sorted(range(len(keys)), key=keys.__getitem__):
            records.put(found[place])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self.reading = True
        try:
            yield
        finally:
            self.reading = False

    def count_again(self, records: Records) -> None:
        """What is known of finished trials, judged by another objective or budget."""
        summary = Summary.of(records.experiment)
        for trial in records.finished:
            summary = summary.add(trial)
        records.summary = summary

    def take_in(self, api: Api, records: Records, record: ApiRecord) -> None:
        """Trials that the watch told of and that aren't known yet."""
        while self._told:
            # Taken from the queue once it is dealt with: a request that fails is made again.
            with self._reading():
                trial = self._new(api, *self._told[0], record=record)
            self._told.popleft()
            if trial is not None:
                records.put(trial)

    def _new(self, api: Api, name: str, uid: str, *, record: ApiRecord) -> Trial | None:
        if record.uids.get(name) == uid:
            return None
        body = api.get(TRIALS, record.owner.namespace, name)
        if body is None or body["metadata"]["uid"] != uid or body["metadata"].get("deletionTimestamp"):
            return None
        try:
            return self._taken(api, body, record)
        except Stale:
            return None  # it was changed since: the watch tells of it again

    def _taken(self, api: Api, body: Object, record: ApiRecord) -> Trial | None:
        """A trial as this experiment's; None when it can't be read, or claims to be the search's own and isn't.

        Nor is one that finished without belonging to it: its figures are those of an experiment before it.
        """
        name = body["metadata"]["name"]
        try:
            trial = Trial.model_validate({**body, "status": _status(body)})
        except ValidationError:
            return None
        claim = claims_to_be_own(trial, experiment=record.owner.name, uid=record.owner.uid)
        if claim is not None:
            self.reserved.add(name)
            hold(api, body, "NotItsOwn", claim, now=datetime.now(UTC))
            return None
        if not _belongs(body, record):
            if trial.finished:
                return None
            adopted = api.merge(TRIALS, record.owner.namespace, name, _adoption(body, record))
            if adopted is None:
                return None
        record.knows(trial, body.get("status") or {})
        return trial


def _status(body: Object) -> TrialStatus:
    status = TrialStatus.model_validate(body.get("status") or {})
    conditions = tuple(condition for condition in status.conditions if condition.type != ACCEPTED)
    created = status.created_at or moment(body["metadata"]["creationTimestamp"])
    return status.model_copy(update={"created_at": created, "conditions": conditions})


def _belongs(body: Object, record: ApiRecord) -> bool:
    return any(reference["uid"] == record.owner.uid for reference in body["metadata"].get("ownerReferences", ()))


def _adoption(body: Object, record: ApiRecord) -> Object:
    """Labels and an owner for a trial that was made by hand; of controllers the API server allows but one."""
    others = body["metadata"].get("ownerReferences", ())
    controlled = any(reference.get("controller") for reference in others)
    owners = [*others, {**record.owner.reference, "controller": not controlled}]
    return {
        "metadata": {
            "uid": body["metadata"]["uid"],
            "resourceVersion": body["metadata"]["resourceVersion"],
            "labels": record.owner.labels("trial"),
            "ownerReferences": owners,
        }
    }
