"""Candidates' chunks in Redis: there when a task that names them is issued, gone with their trial.

Redis holds what is under way, not what a search ever built: a thousand candidates of 10 MB would fill it.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence

from pfpnas_api.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore
from pfpnas_api.bus import OperatorBus, WorkloadBus
from pfpnas_api.kinds import ArtifactRef, NASExperimentStatus, Trial
from pfpnas_operator.driving.records import Records
from pfpnas_operator.reconcile import Plan
from pfpnas_operator.reconcile.measuring import artifacts_of

logger = logging.getLogger(__name__)


def push_wanted(plan: Plan, blobs: WorkloadBus, store: ArtifactStore, *, pool: str) -> None:
    """Put there what agents miss, and what the plan's tasks name: a finalist's chunks went when it was first measured.

    What the store has lost, or damaged, is left out: agents say BlobMissing until its trial is given up, and the
    others go on.

    Raises:
        ArtifactError: the store is away.
        RedisError: Redis is away, or full.
    """
    named = {artifact.sha256: artifact for artifact in plan.push}
    named |= {artifact.sha256: artifact for task in plan.tasks for artifact in artifacts_of(task)}
    for artifact in named.values():
        try:
            blobs.push(pool, artifact, store)
        except (ArtifactMissing, ArtifactDamaged) as e:
            logger.warning("a candidate can't be measured: %s", e)


def drop_finished(plan: Plan, finished: Sequence[Trial], records: Records, bus: OperatorBus) -> None:
    """Delete the chunks of trials that have just finished, and at a search's end of all that it measured again.

    Those that somebody still measures stay: of another trial, or in another search of the pool. One whose task comes a
    moment later finds them missing, says so, and they are pushed again.

    Args:
        plan: Its record is written, its tasks are not there yet: what they name is pushed with them.
        finished: Trials that ended by it, a second measurement included.
        records: After it.
        bus: Where the chunks are.

    Raises:
        RedisError: Redis is away; then they go when they expire.
    """
    status = plan.status
    ended = isinstance(status, NASExperimentStatus) and status.finished_at is not None
    done = [trial.status.artifact for trial in finished]
    done += _measured_at_the_end(records.experiment.status) if ended else []
    candidates = {artifact.sha256: artifact for artifact in done if artifact is not None}
    if not candidates:
        return
    pool = records.experiment.spec.target.pool
    for digest in _in_use(records, bus, pool=pool, ended=ended):
        candidates.pop(digest, None)
    for artifact in candidates.values():
        bus.delete_chunks(pool, artifact)


def _measured_at_the_end(status: NASExperimentStatus) -> list[ArtifactRef | None]:
    ranked = [row.ranked.artifact for row in status.finalists if row.ranked is not None]
    return [status.reference, *ranked, *(evaluation.artifact for evaluation in status.evaluations)]


def _in_use(records: Records, bus: OperatorBus, *, pool: str, ended: bool) -> Iterator[str]:
    """Digests of trials under way, of the reference until the end, and of whatever a task of the pool names."""
    yield from _digests(trial.status.artifact for trial in records.active.values())
    if not ended:
        yield from _digests([records.experiment.status.reference])
    for _, task in bus.tasks(pool):
        yield from _digests(artifacts_of(task))


def _digests(artifacts: Iterable[ArtifactRef | None]) -> Iterator[str]:
    return (artifact.sha256 for artifact in artifacts if artifact is not None)
