"""The workload `trial --trial`: one candidate."""

from pfpnas_api.bus import WorkloadBus
from pfpnas_api.jobs import Manifest, TrialJob
from pfpnas_api.messages import BuildRequest
from pfpnas_workloads.runtime import JobContext
from pfpnas_workloads.training.memory import keep_freed_memory
from pfpnas_workloads.trial.build import Builder


def run_trial(job: TrialJob, context: JobContext) -> Manifest:
    """Build one candidate.

    Raises:
        BadArchitecture: it is none of the checkpoint's space.
        BadInput: checkpoint or images are no such thing.
        ArtifactError: the store can't be read or written.
    """
    keep_freed_memory()
    return Builder(context.store).build(job)


def publish_trial(job: TrialJob, context: JobContext) -> None:
    """Put the candidate where the pool's agents find it; built again if only its manifest is left.

    Raises:
        BadInput: no Redis was named.
        Interrupted: told to stop while Redis was away.
    """
    push_candidate(job, Builder(context.store).ensure(job), context)


def push_candidate(request: BuildRequest, manifest: Manifest, context: JobContext) -> None:
    """Put a built candidate's chunks where the pool's agents find them, however long Redis is away.

    Raises:
        BadInput: no Redis was named.
        Interrupted: told to stop while Redis was away.
    """
    model = manifest.artifacts.get("model")
    if model is not None:
        bus = WorkloadBus(context.required_client())
        context.patiently(lambda: bus.push(request.pool, model, context.store))
