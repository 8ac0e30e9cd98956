"""The workload `trial --serve`: a worker that builds one candidate after the other."""

import os
from collections.abc import Mapping
from typing import NoReturn

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.bus import BuildClaim, WorkerBus
from pfpnas_api.bus.connection import OUTAGE
from pfpnas_api.jobs import TrialWorkerJob
from pfpnas_api.messages import BuildRequest, Progress
from pfpnas_workloads.runtime import Interrupted, JobContext, logger
from pfpnas_workloads.training.memory import keep_freed_memory
from pfpnas_workloads.trial.build import Builder
from pfpnas_workloads.trial.single import push_candidate


def run_worker(job: TrialWorkerJob, context: JobContext) -> NoReturn:
    """Serve the experiment's builds until told to stop; a build in hand is finished first.

    Raises:
        BadInput: no Redis was named.
        Interrupted: told to stop. A service has no other end: whoever needs it starts it again.
    """
    keep_freed_memory()
    bus = WorkerBus(context.required_client(), experiment=job.experiment, worker=worker_name(job))
    worker = _Worker(bus, context)
    while not context.stopping():
        worker.step()
    raise Interrupted(f"told to stop after {worker.built} builds")


def worker_name(job: TrialWorkerJob, *, environ: Mapping[str, str] = os.environ) -> str:
    """The worker's name on the bus: the job's uid, and its index where Kubernetes runs several of them.

    The same after a restart, so that it finds again what it had claimed.
    """
    index = environ.get("JOB_COMPLETION_INDEX")
    return job.uid if index is None else f"{job.uid}-{index}"


class _Worker:
    """Takes builds and makes them, and counts those that were `built`."""

    def __init__(self, bus: WorkerBus, context: JobContext) -> None:
        self._bus, self._context = bus, context
        self._builder = Builder(context.store)
        self._held, self.built = True, 0

    def step(self) -> None:
        """Make the next build: what this worker held already comes first."""
        claim = self._context.patiently(self._next)
        if claim is None:
            self._held = False
            return
        if claim.request is not None:
            self._make(claim.request)
        self._context.patiently(lambda: self._bus.acknowledge(claim))
        if claim.request is not None:
            self._context.ring(claim.request.uid)

    def _next(self) -> BuildClaim | None:
        try:
            return self._bus.next(held=self._held)
        except OUTAGE:
            # The claim may have succeeded and only its answer be lost: then the entry is held by this worker now.
            self._held = True
            raise

    def _make(self, request: BuildRequest) -> None:
        """Leave the manifest and push the chunks. What goes wrong is one build's end, never the worker's.

        Without a manifest an acknowledged build counts as failed, and the operator asks for it again.
        """
        try:
            manifest = self._builder.ensure(request)
            push_candidate(request, manifest, self._context)
        except ArtifactError as e:
            logger.error("build %s: %s", request.uid, e)
            return
        except (Interrupted, *OUTAGE):
            raise
        except Exception:  # a candidate that breaks the build must not take the others with it
            logger.exception("build %s failed", request.uid)
            return
        self.built += 1
        self._context.report(Progress(stage="Trial", done=self.built))
        logger.info("build %s: %s", request.uid, manifest.message or manifest.outcome)
