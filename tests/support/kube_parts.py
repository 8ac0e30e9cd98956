"""What tests of the operator on Kubernetes share: a configuration, and requests for Jobs."""

from typing import Any

from pfpnas_api.jobs import FitPredictorJob, PretrainJob, TrialJob, TrialWorkerJob
from pfpnas_operator.kube.config import Config
from pfpnas_operator.reconcile import JobRequest
from support.reconcile_builders import artifact, make_supernet

CONFIG = Config.model_validate(
    {
        "redis": {"url": "redis://operator@redis:6379/0"},
        "artifacts": {"address": "http://artifacts:8080"},
        "keyFile": "/etc/pfpnas/key",
        "images": {"workloads": "registry/workloads:1", "pullSecrets": ["pull"]},
        "resources": {"trial": {"limits": {"cpu": "1"}}, "pretrain": {"limits": {"cpu": "4"}}},
    }
)


def job_request(workload: Any = "pretrain") -> JobRequest:
    """A request for a Job of the Supernet `net`."""
    spec = make_supernet().spec
    model = artifact("checkpoint")
    documents = {
        "pretrain": PretrainJob(uid="u-1-pretrain", spec=spec),
        "fit-predictor": FitPredictorJob(uid="u-1-predictor", spec=spec, checkpoint=model, calibration=model),
        "trial": TrialJob(
            uid="u-1-abc", pool="dev", architecture="a", checkpoint=model, calibration=model, experiment="u-1"
        ),
        "trial-worker": TrialWorkerJob(uid="u-1-worker", experiment="u-1"),
    }
    return JobRequest(name=f"net-{workload}", workload=workload, document=documents[workload])  # type: ignore[arg-type]
