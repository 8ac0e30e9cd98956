"""What every workload runs in: its document, its store, its road to Redis, its signals, and how it ends.

A workload is a function `entry(job, context) -> Manifest | None`. `run_job` gives it its context, writes its manifest,
rings the operator's bell, and turns whatever happens into one of the exit codes that the operator knows.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar, cast

from pydantic import ValidationError
from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError, ArtifactStore, open_store
from pfpnas_api.bus import BusError, WorkloadBus, connect, patiently
from pfpnas_api.bus.connection import OUTAGE, Client
from pfpnas_api.jobs import (
    ENV_ARTIFACTS,
    ENV_ARTIFACTS_TOKEN,
    ENV_JOB,
    ENV_REDIS,
    EXIT_BAD_INPUT,
    EXIT_DONE,
    EXIT_RETRY,
    FitPredictorJob,
    Manifest,
    PretrainJob,
    TrialJob,
    TrialWorkerJob,
    TuneJob,
)
from pfpnas_api.messages import Progress, summary

EXIT_FAILED: Final = 1
"""Something unexpected, or the store can't be written: the operator decides whether to try again."""

REPORT_SECONDS: Final = 0.5
"""Shortest time between two reports of progress: what a person can follow."""

OUTAGE_SECONDS: Final = 15.0
"""After a report that failed Redis is left alone for so long: each try may cost its socket timeout."""

MOST_MESSAGE: Final = 2000
"""Characters of a manifest's message."""

Job = TypeVar("Job", bound=PretrainJob | FitPredictorJob | TuneJob | TrialJob | TrialWorkerJob)

Returned = TypeVar("Returned")

logger = logging.getLogger("pfpnas_workloads")


class BadInput(Exception):  # noqa: N818 - reads as the outcome it becomes
    """The document or the data are at fault: another attempt would end the same way.

    The message names the field or file and the remedy; it stands in the manifest, and the job exits with 42.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadArchitecture(BadInput):
    """The architecture is at fault, not the experiment."""


class Unreachable(Exception):  # noqa: N818 - reads as the state it names
    """Something outside can't be reached now; another attempt may. The message is all that is said; exit code 1."""


class Interrupted(Exception):  # noqa: N818 - reads as the state it names
    """Told to stop before the end; another attempt goes on from the last checkpoint. The job exits with 75."""


class JobContext:
    """What a workload may touch: the artifact store, and Redis as far as it is there.

    Args:
        uid: Of the job.
        store: Where its artifacts go.
        client: Redis; None when the job was given none, which only costs the reports.
        leading: Whether this process speaks for the job: of several that do it together (torchrun) only the first
            reports and leaves a manifest.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        uid: str,
        store: ArtifactStore,
        *,
        client: Client | None = None,
        leading: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.uid, self.store, self.client, self.leading = uid, store, client, leading
        self.bus = WorkloadBus(client) if client is not None and leading else None
        self._clock, self._stop = clock, threading.Event()
        self._next_report, self._stage = 0.0, ""

    def report(self, progress: Progress) -> None:
        """Say how far the job is: at most every `REPORT_SECONDS`, at once when the stage changes; never fails."""
        now = self._clock()
        if self.bus is None or (now < self._next_report and progress.stage == self._stage):
            return
        reached = self._quietly(lambda bus: bus.report(self.uid, progress))
        self._stage = progress.stage
        self._next_report = self._clock() + (REPORT_SECONDS if reached else OUTAGE_SECONDS)

    def ring(self, uid: str) -> None:
        """Ring the operator's bell for a manifest or a suggestion; never fails."""
        self._quietly(lambda bus: bus.ring(uid))

    def stopping(self) -> bool:
        """Whether the job was told to stop (SIGTERM, SIGINT): save what is worth saving, then raise `Interrupted`."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Tell the job to stop."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until told to stop."""
        self._stop.wait(seconds)

    def required_client(self) -> Client:
        """Redis, for a job that can't do without.

        Raises:
            BadInput: the job was given none.
        """
        if self.client is None:
            raise BadInput(f"{ENV_REDIS} is not set: give Redis' address, such as redis://localhost:6379/0")
        return self.client

    def patiently(self, call: Callable[[], Returned]) -> Returned:
        """Call until Redis answers, however long it is away.

        Raises:
            Interrupted: told to stop while waiting.
            RedisError: an answer that is an error.
        """
        try:
            return patiently(call, on_wait=_log_wait, sleep=self.wait, stop=self.stopping)
        except OUTAGE as e:
            raise Interrupted("told to stop while Redis was away") from e

    def _quietly(self, call: Callable[[WorkloadBus], bool]) -> bool:
        try:
            return self.bus is not None and call(self.bus)
        except RedisError as e:
            logger.warning("redis refused: %s", e)
            return False


def _log_wait(seconds: float, error: Exception) -> None:
    logger.warning("redis is away (%s), next try in %.1f s", error, seconds)


Entry = Callable[[Job, JobContext], Manifest | None]


def _nothing(job: Job, context: JobContext) -> None:
    """Most manifests need no more than the bell."""


def read_job(kind: type[Job], *, file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Job:
    """The job's document, from a file or from `PFPNAS_JOB`.

    Raises:
        BadInput: there is none, or it is no such document; names the place, the field and what is wrong.
    """
    place = f"file {file}" if file else f"environment variable {ENV_JOB}"
    try:
        content = file.read_text() if file else environ[ENV_JOB]
    except KeyError:
        raise BadInput(f"no job: give --job FILE, or the document in {ENV_JOB}") from None
    except (OSError, UnicodeDecodeError) as e:
        raise BadInput(f"--job {file}: {getattr(e, 'strerror', None) or e}") from e
    try:
        # mypy sees the union of all jobs here, whichever was asked for.
        return cast(Job, kind.model_validate_json(content))
    except ValidationError as e:
        raise BadInput(f"{place}: no {kind.__name__}: {summary(e)}") from e


def open_context(uid: str, *, environ: Mapping[str, str] = os.environ) -> JobContext:
    """The context that the environment describes. Redis is not spoken to yet.

    Raises:
        BadInput: no store, or an address that can't be read.
    """
    address, url = environ.get(ENV_ARTIFACTS), environ.get(ENV_REDIS)
    leading = environ.get("RANK", "0") == "0"
    if not address:
        raise BadInput(f"{ENV_ARTIFACTS} is not set: give the artifact store's address, such as a folder")
    try:
        store = open_store(address, environ.get(ENV_ARTIFACTS_TOKEN))
        return JobContext(uid, store, client=connect(url) if url else None, leading=leading)
    except ArtifactError as e:
        raise BadInput(f"{ENV_ARTIFACTS}: {e}") from e
    except BusError as e:
        raise BadInput(f"{ENV_REDIS}: {e}") from e


def run_job(
    job: Job,
    entry: Entry[Job],
    *,
    publish: Callable[[Job, JobContext], None] = _nothing,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run a workload to its end.

    A job whose manifest is there is done already. What `entry` returns becomes the manifest; None (of several
    processes one that doesn't lead) leaves none.

    Args:
        job: The document.
        entry: The work.
        publish: What is done once the manifest is in the store, before the bell rings; also with one that was
            there before, since Redis may have lost what was published.
        environ: Says where store and Redis are.

    Returns:
        0 done, 42 bad input, 75 interrupted, 1 anything else.
    """
    configure_log(job.uid)
    try:
        context = open_context(job.uid, environ=environ)
        with _stopped_by_signals(context):
            return _run(job, entry, publish, context)
    except BadInput as e:
        complain(e.message)
        return EXIT_BAD_INPUT
    except (ArtifactError, Unreachable) as e:
        complain(str(e))
        return EXIT_FAILED
    except Exception as e:  # the edge of the process: nothing else may leave it
        logger.exception("failed: %s", e)
        return EXIT_FAILED


def _run(job: Job, entry: Entry[Job], publish: Callable[[Job, JobContext], None], context: JobContext) -> int:
    try:
        manifest, code = _manifest(job, entry, context)
        if manifest is not None and context.leading:
            publish(job, context)
            context.ring(context.uid)
    except Interrupted as e:
        logger.info("interrupted %s", e)
        return EXIT_RETRY
    return code


def _manifest(job: Job, entry: Entry[Job], context: JobContext) -> tuple[Manifest | None, int]:
    """The manifest in the store (made now, if need be) and the exit code that goes with it."""
    there = context.store.read_manifest(context.uid)
    if there is not None:
        return there, EXIT_DONE if there.outcome == "Done" else EXIT_BAD_INPUT
    try:
        manifest, code = entry(job, context), EXIT_DONE
    except BadInput as e:
        complain(e.message)
        manifest, code = refusal(context.uid, e), EXIT_BAD_INPUT
    if manifest is not None and context.leading:
        context.store.write_manifest(manifest)
    return manifest, code


def refusal(uid: str, error: BadInput) -> Manifest:
    """The manifest of a job that can't be done."""
    message = error.message[:MOST_MESSAGE]
    if isinstance(error, BadArchitecture):
        return Manifest(uid=uid, outcome="BadArchitecture", message=message)
    return Manifest(uid=uid, outcome="BadInput", message=message)


def complain(message: str) -> None:
    """One readable line for whoever looks at the job's output."""
    sys.stderr.write(f"pfpnas-workloads: {message}\n")
    sys.stderr.flush()


def configure_log(uid: str) -> None:
    """Send the log to standard error, a line of JSON for each record, with the job's uid."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines(uid))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def __init__(self, uid: str) -> None:
        super().__init__()
        self._uid = uid

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "job": self._uid,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line)


@contextmanager
def _stopped_by_signals(context: JobContext) -> Iterator[None]:
    """SIGTERM and SIGINT tell the job to stop; a second one says the same, since a terminal and its supervisor
    both send one.
    """
    before = {number: signal.signal(number, lambda *_: context.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
