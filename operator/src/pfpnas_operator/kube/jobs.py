"""Builders of Jobs: objects out of requests, and nothing else."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from pfpnas_api.jobs import (
    ENV_ARTIFACTS,
    ENV_ARTIFACTS_TOKEN,
    ENV_JOB,
    ENV_REDIS,
    EXIT_BAD_INPUT,
    KEY_REDIS,
    KEY_TOKEN,
)
from pfpnas_api.kinds.common import Model
from pfpnas_api.kinds.pods import PodTemplate, ResourceRequirements, Toleration
from pfpnas_operator.kube.api import Object
from pfpnas_operator.kube.config import Config
from pfpnas_operator.kube.owners import ANNOTATION_JOB, ANNOTATION_MADE_OF, LABEL_QUEUE, Owner
from pfpnas_operator.reconcile import JobRequest

CONTAINER: Final = "main"
GPU: Final = "nvidia.com/gpu"
MASTER_PORT: Final = 29400

RENDEZVOUS_SECONDS: Final = 24 * 3600
"""The first pods of a training wait so long for the last: as long as that may wait for a node or a quota."""

KEPT_SECONDS: Final = 24 * 3600
"""A Job that has ended is deleted once its result is taken; this is for those that an absent operator left."""

TRIAL_SECONDS: Final = 48 * 3600
"""A build is given up by the operator long before: this ends it when there is none. The wait for a node counts too."""

GRACE_SECONDS: Final = {"pretrain": 60}
"""Time to write a checkpoint on SIGTERM; 30 s, as everywhere in Kubernetes, for the others."""

_SHM: Final = {"name": "shm", "emptyDir": {"medium": "Memory"}}
"""By which NCCL's processes of one pod talk: the 64 MiB that a container has are too few."""

_RESTARTS_PER_WORKER: Final = 3
"""Pooled workers are replaced one by one: the death of one must not end the builds of the others."""

_ARGUMENTS: Final = {
    "pretrain": ["pretrain"],
    "fit-predictor": ["fit-predictor"],
    "tune": ["tune"],
    "trial": ["trial", "--trial"],
    "trial-worker": ["trial", "--serve"],
}
_BUILDS: Final = ("trial", "trial-worker")


@dataclass(frozen=True)
class JobBuilder:
    """Builds the Jobs of one owner."""

    config: Config
    owner: Owner

    def build(self, request: JobRequest) -> Object:
        """The Job of a request."""
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self._metadata(request),
            "spec": {
                # Where Kueue decides, it is Kueue that starts it.
                "suspend": self.owner.queue is not None,
                "backoffLimit": self._restarts(request),
                "ttlSecondsAfterFinished": KEPT_SECONDS,
                "podFailurePolicy": _failure_policy(),
                **({"activeDeadlineSeconds": TRIAL_SECONDS} if request.workload == "trial" else {}),
                **self._completions(request),
                "template": self._pod(request),
            },
        }

    def service(self, request: JobRequest) -> Object | None:
        """The headless Service by which the pods of one training find each other; None where nobody has to.

        It goes before its Job, serves every attempt, and is gone with the owner. Its name holds the owner's uid: it is
        nobody else's.
        """
        if not self._distributed(request):
            return None
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": _service_name(request),
                "namespace": self.owner.namespace,
                "labels": self.owner.labels(request.workload),
                "ownerReferences": [self.owner.reference],
            },
            "spec": {
                "clusterIP": "None",
                # The ranks look for each other before any of them is ready.
                "publishNotReadyAddresses": True,
                "selector": {"batch.kubernetes.io/job-name": request.name},
                "ports": [{"name": "rendezvous", "port": MASTER_PORT}],
            },
        }

    def made_of(self, request: JobRequest) -> str:
        """A mark of what a user may change and a Job is made of: another mark, another Job.

        Without the operator's own image and defaults, those of the documents' fields included: its upgrade must not
        cost anybody the place in a queue.
        """
        parts = (
            _said(request.document),
            _said(self._template(request)),
            (self.owner.queue, self._own_image(request), self._workers(request)),
        )
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def _metadata(self, request: JobRequest) -> Object:
        queue = {LABEL_QUEUE: self.owner.queue} if self.owner.queue else {}
        return {
            "name": request.name,
            "namespace": self.owner.namespace,
            "labels": {**self.owner.labels(request.workload), **queue},
            "annotations": {ANNOTATION_JOB: request.document.uid, ANNOTATION_MADE_OF: self.made_of(request)},
            "ownerReferences": [self.owner.reference],
        }

    def _distributed(self, request: JobRequest) -> bool:
        return request.workload == "pretrain" and self._workers(request) > 1

    def _workers(self, request: JobRequest) -> int:
        """Pods that work side by side."""
        return self.owner.workers if request.workload in ("pretrain", "trial-worker") else 1

    def _own_image(self, request: JobRequest) -> str | None:
        return self.owner.image if request.workload in _BUILDS else None

    def _template(self, request: JobRequest) -> PodTemplate:
        """The owner's, as far as this Job is made of it."""
        template = self.owner.template
        if request.workload != "tune" or template.resources is None:
            return template
        return template.model_copy(update={"resources": _without_devices(template.resources)})

    def _completions(self, request: JobRequest) -> Object:
        if request.workload != "trial-worker" and not self._distributed(request):
            return {}
        return {"completionMode": "Indexed", "completions": self.owner.workers, "parallelism": self.owner.workers}

    def _restarts(self, request: JobRequest) -> int:
        """How often pods are replaced that nobody evicted: elsewhere it is the reconciler that tries again."""
        return _RESTARTS_PER_WORKER * self.owner.workers if request.workload == "trial-worker" else 0

    def _pod(self, request: JobRequest) -> Object:
        template = self.owner.template
        return {
            "metadata": {
                "labels": {**template.labels, **self.owner.labels(request.workload)},
                **({"annotations": template.annotations} if template.annotations else {}),
            },
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": GRACE_SECONDS.get(request.workload, 30),
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [self._container(request)],
                "volumes": [{"name": "tmp", "emptyDir": {}}, *([_SHM] if self._processes(request) > 1 else [])],
                **self._network(request),
                **_scheduling(template),
                **(
                    {"imagePullSecrets": [{"name": name} for name in self.config.images.pull_secrets]}
                    if self.config.images.pull_secrets
                    else {}
                ),
            },
        }

    def _network(self, request: JobRequest) -> Object:
        """An Indexed Job's pods are named in DNS by the Service of this subdomain."""
        return {"subdomain": _service_name(request)} if self._distributed(request) else {}

    def _container(self, request: JobRequest) -> Object:
        own = self._own_image(request)
        secret = self.config.artifacts.credentials_secret
        return {
            "name": CONTAINER,
            "image": own or self.config.images.workloads,
            "imagePullPolicy": self.config.images.pull_policy,
            **({} if own else {"command": self._command(request)}),
            "args": self._arguments(request),
            "env": self._environment(request),
            **({"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}),
            "resources": self._resources(request).document(),
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},
                *([{"name": _SHM["name"], "mountPath": "/dev/shm"}] if self._processes(request) > 1 else []),
            ],
        }

    def _command(self, request: JobRequest) -> list[str]:
        processes = self._processes(request)
        if not self._distributed(request) and processes == 1:
            return ["python", "-m", "pfpnas_workloads"]
        return [
            # torchrun with the exit codes of what it runs; its own is 1 whatever they say.
            "python",
            "-m",
            "pfpnas_workloads.torchrun",
            f"--nproc-per-node={processes}",
            *self._nodes(request),
            f"--master-port={MASTER_PORT}",
            "-m",
            "pfpnas_workloads",
        ]

    def _nodes(self, request: JobRequest) -> list[str]:
        """How a training's pods find the first of them."""
        if not self._distributed(request):
            return ["--nnodes=1", "--node-rank=0", "--master-addr=127.0.0.1"]
        return [
            f"--nnodes={self.owner.workers}",
            "--node-rank=$(JOB_COMPLETION_INDEX)",
            f"--master-addr={request.name}-0.{_service_name(request)}",
            f"--rdzv-conf=timeout={RENDEZVOUS_SECONDS}",
        ]

    def _processes(self, request: JobRequest) -> int:
        """Of a training: one a GPU of the pod, or one."""
        return max(1, self._resources(request).devices(GPU)) if request.workload == "pretrain" else 1

    def _arguments(self, request: JobRequest) -> list[str]:
        return list(_ARGUMENTS[request.workload])

    def _environment(self, request: JobRequest) -> list[Object]:
        document = request.document.model_dump_json(by_alias=True, exclude_none=True)
        return [
            {"name": ENV_JOB, "value": _literal(document)},
            {"name": ENV_ARTIFACTS, "value": self.config.artifacts.address},
            _secret(ENV_REDIS, self.owner.secret, KEY_REDIS),
            _secret(ENV_ARTIFACTS_TOKEN, self.owner.secret, KEY_TOKEN),
            # The root file system can't be written: whatever wants a home finds one there.
            {"name": "HOME", "value": "/tmp"},
        ]

    def _resources(self, request: JobRequest) -> ResourceRequirements:
        own = self._template(request).resources
        return self.config.resources.get(request.workload, ResourceRequirements()) if own is None else own


def _said(model: Model) -> Object:
    """What a model says that its defaults don't."""
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _service_name(request: JobRequest) -> str:
    """Of a training's pods: a DNS label that begins with a letter, whatever its owner is called."""
    return f"pfpnas-{request.document.uid}"


def _failure_policy() -> Object:
    bad_input = {"containerName": CONTAINER, "operator": "In", "values": [EXIT_BAD_INPUT]}
    return {
        "rules": [
            # Another attempt would end the same way.
            {"action": "FailJob", "onExitCodes": bad_input},
            # Evicted, preempted, or its node is gone: no fault of its own, so it is replaced and not counted.
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }


def _scheduling(template: PodTemplate) -> Object:
    wanted: Object = {
        "nodeSelector": template.node_selector,
        "tolerations": [_toleration(toleration) for toleration in template.tolerations],
        "priorityClassName": template.priority_class_name,
        "runtimeClassName": template.runtime_class_name,
    }
    return {field: value for field, value in wanted.items() if value}


def _toleration(toleration: Toleration) -> Object:
    return toleration.document()


def _without_devices(resources: ResourceRequirements) -> ResourceRequirements:
    """The tuner computes on CPUs: a GPU that is meant for the trials would lie idle beside it."""
    return ResourceRequirements(
        limits={name: amount for name, amount in resources.limits.items() if "/" not in name},
        requests={name: amount for name, amount in resources.requests.items() if "/" not in name},
    )


def _secret(variable: str, secret: str, key: str) -> Object:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _literal(text: str) -> str:
    """A value in which Kubernetes expands nothing: `$(NAME)` would name another variable."""
    return text.replace("$(", "$$(")
