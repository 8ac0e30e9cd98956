"""The workloads' side of the bus: progress and bells, builds for workers, log and suggestions for the tuner."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError, ResponseError

from pfpnas_api.artifacts import ArtifactDamaged, ArtifactStore
from pfpnas_api.bus import keys
from pfpnas_api.bus.connection import (
    BLOCK_MILLISECONDS,
    FIELD,
    READ_COUNT,
    Client,
    bounded,
    ensure_group,
    entries,
    is_missing_group,
    text,
)
from pfpnas_api.kinds.common import ArtifactRef
from pfpnas_api.messages import (
    CHUNK_BYTES,
    Bell,
    BuildRequest,
    LogEntry,
    MessageError,
    ModelRef,
    Progress,
    Suggestion,
)

BLOB_EXPIRY_SECONDS = 6 * 3600
"""A candidate waits so long for its agent; after that it is pushed again when asked for. The operator deletes it with
its trial, and sweeps what a deleted search leaves behind."""

READ_BYTES = 8 * CHUNK_BYTES
"""Read of a store at a time: few requests for many bytes, and little memory for a candidate of gigabytes."""

EVENTS_KEPT = 10_000
"""Bells kept: a bell only wakes its reader, so trimming old ones loses nothing."""


class WorkloadBus:
    """What every workload may do: say how far it is, and ring when its manifest is written."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def report(self, job: str, progress: Progress) -> bool:
        """Say how far the job is; False when Redis is away, which must never stop the work."""
        return self._quietly(lambda: self._client.hset(keys.progress(job), FIELD.decode(), progress.encode()))

    def ring(self, job: str) -> bool:
        """Ring the operator's bell; False when Redis is away (the operator looks by itself every so often)."""
        return self._quietly(
            lambda: self._client.xadd(keys.EVENTS, {FIELD: Bell(uid=job).encode()}, maxlen=EVENTS_KEPT)
        )

    def push(self, pool: str, artifact: ArtifactRef, store: ArtifactStore) -> None:
        """Put an artifact's chunks where the pool's agents find them; chunks that are there get a new expiry.

        Raises:
            ArtifactMissing: it isn't in the store.
            ArtifactDamaged: what the store has is something else; none of it is left there.
            ArtifactError: the store can't be read.
            RedisError: Redis can't take it.
        """
        model = ModelRef.of(artifact)
        names = [keys.blob(pool, model.sha256, chunk) for chunk in range(model.chunks)]
        if self._expire(names, BLOB_EXPIRY_SECONDS):
            return
        try:
            for name, chunk in zip(names, _chunks(artifact, store), strict=False):
                self._client.set(name, chunk, ex=BLOB_EXPIRY_SECONDS)
        except ArtifactDamaged:
            self._expire(names, 0)  # they go at once: a Job's Redis user has no right to DEL
            raise

    def _expire(self, names: Sequence[str], seconds: int) -> bool:
        """Give keys an expiry; whether all of them were there."""
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.expire(name, seconds)
        return all(pipeline.execute())

    def _quietly(self, call: Callable[[], object]) -> bool:
        try:
            call()
        except RedisError:  # full, read-only or away: nothing of it is a reason to stop the work
            return False
        return True


def _chunks(artifact: ArtifactRef, store: ArtifactStore) -> Iterator[bytes]:
    for piece in store.pieces(artifact, READ_BYTES):
        for start in range(0, len(piece), CHUNK_BYTES):
            yield piece[start : start + CHUNK_BYTES]


@dataclass(frozen=True)
class BuildClaim:
    """A build that this worker holds."""

    entry: str
    request: BuildRequest | None
    """None when the entry can't be read: acknowledge and forget it."""


class WorkerBus:
    """A trial worker's stream of builds."""

    def __init__(self, client: Client, *, experiment: str, worker: str) -> None:
        self._client, self._stream, self._worker = client, keys.builds(experiment), worker

    def next(self, *, held: bool = False, block_milliseconds: int = BLOCK_MILLISECONDS) -> BuildClaim | None:
        """The next build, or (held) one that this worker claimed before it was restarted; None when there is none."""
        start, block = ("0", None) if held else (">", bounded(block_milliseconds))
        try:
            reply = self._client.xreadgroup(
                keys.WORKERS_GROUP, self._worker, {self._stream: start}, count=1, block=block
            )
        except ResponseError as e:
            if not is_missing_group(e):
                raise
            ensure_group(self._client, self._stream, keys.WORKERS_GROUP)
            return None
        for _, claimed in reply or []:
            for entry, fields in claimed:
                try:
                    return BuildClaim(text(entry), BuildRequest.decode((fields or {}).get(FIELD, b"")))
                except MessageError:
                    return BuildClaim(text(entry), None)
        return None

    def acknowledge(self, claim: BuildClaim) -> None:
        """Say that a build's manifest is written."""
        self._client.xack(self._stream, keys.WORKERS_GROUP, claim.entry)


class TunerBus:
    """The tuner's log and its suggestions."""

    def __init__(self, client: Client, *, experiment: str) -> None:
        self._client = client
        self._log, self._suggestions = keys.log(experiment), keys.suggestions(experiment)

    def read(self, *, after: str = "0", block_milliseconds: int | None = None) -> list[tuple[str, LogEntry]]:
        """Entries of the log after an id ("0": from the start), waiting for some when asked to."""
        block = None if block_milliseconds is None else bounded(block_milliseconds)
        found = []
        for _, page in self._client.xread({self._log: after}, count=READ_COUNT, block=block) or []:
            for entry, fields in page:
                try:
                    found.append((text(entry), LogEntry.decode(fields.get(FIELD, b""))))
                except MessageError:
                    # Left there it would end every wait at once, and count in the log's length.
                    self._client.xdel(self._log, entry)
        return found

    def log_length(self) -> int:
        """Entries of the log: fewer than were read means that Redis was flushed and the log starts anew."""
        return int(self._client.xlen(self._log))

    def suggested(self) -> dict[int, Suggestion]:
        """Every suggestion made so far, by index (the first of an index counts)."""
        found: dict[int, Suggestion] = {}
        for _, fields in entries(self._client, self._suggestions):
            try:
                suggestion = Suggestion.decode(fields.get(FIELD, b""))
            except MessageError:
                continue
            found.setdefault(suggestion.index, suggestion)
        return found

    def suggest(self, suggestion: Suggestion) -> None:
        """Put a suggestion where the operator reads it."""
        self._client.xadd(self._suggestions, {FIELD: suggestion.encode()})
