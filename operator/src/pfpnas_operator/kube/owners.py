"""Whose children are built: what a Supernet and a NASExperiment have in common for that."""

from dataclasses import dataclass
from typing import Any, Literal

from pfpnas_api.jobs import secret_name
from pfpnas_api.kinds import API_VERSION, NASExperiment, Supernet
from pfpnas_api.kinds.pods import PodTemplate

LABEL_MANAGED = "app.kubernetes.io/managed-by"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_OWNER = "pfpnas.io/owner"
LABEL_NAME = "pfpnas.io/name"
LABEL_QUEUE = "kueue.x-k8s.io/queue-name"
ANNOTATION_JOB = "pfpnas.io/job"
ANNOTATION_MADE_OF = "pfpnas.io/made-of"
MANAGER = "pfpnas"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A custom resource with children.

    Attributes:
        kind: Supernet or NASExperiment.
        namespace: Of it and of its children.
        name: Its name.
        uid: Its uid.
        template: Of its pods.
        queue: Of Kueue, if it has one.
        image: In place of the operator's own, for builds.
        workers: Pods that train together, or that serve builds.
    """

    kind: Literal["Supernet", "NASExperiment"]
    namespace: str
    name: str
    uid: str
    template: PodTemplate
    queue: str | None
    image: str | None
    workers: int

    @classmethod
    def of(cls, resource: Supernet | NASExperiment) -> "Owner":
        """The owner that a resource is."""
        metadata = resource.metadata
        return cls(
            kind=resource.kind,
            namespace=metadata.namespace,
            name=metadata.name,
            uid=metadata.uid,
            queue=resource.spec.queue_name,
            **_of_trials(resource) if isinstance(resource, NASExperiment) else _of_training(resource),
        )

    @property
    def secret(self) -> str:
        """Name of the Secret that its pods get."""
        return secret_name(self.name, kind=self.kind)

    @property
    def reference(self) -> dict[str, Any]:
        """By which its children are found and taken away with it."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def labels(self, component: str | None = None) -> dict[str, str]:
        """Labels of a child."""
        named = {LABEL_MANAGED: MANAGER, LABEL_OWNER: self.uid, LABEL_NAME: self.name}
        return {**named, **({LABEL_COMPONENT: component} if component else {})}


def _of_trials(experiment: NASExperiment) -> dict[str, Any]:
    template = experiment.spec.trial_template
    return {"template": template.pod_template, "image": template.image, "workers": template.workers}


def _of_training(supernet: Supernet) -> dict[str, Any]:
    return {"template": supernet.spec.pod_template, "image": None, "workers": supernet.spec.training.workers}
