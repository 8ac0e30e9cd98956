"""Names and uids of children: deterministic, so that every create is safe to repeat."""

import hashlib
from collections.abc import Set

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_api.messages import BuildRequest

OWN_TRIAL = r"-(\d{5,}(-\d+)?|w[0-9a-f]{8})"
"""How the names of a search's own trials end, after its name: the tuner's index, or the hash of a warm start."""


def pretrain_job(supernet: Supernet) -> str:
    """Name of the Job that trains."""
    return f"{supernet.metadata.name}-pretrain"


def fit_predictor_job(supernet: Supernet) -> str:
    """Name of the Job that fits the public predictor."""
    return f"{supernet.metadata.name}-predictor"


def tune_job(experiment: NASExperiment) -> str:
    """Name of the Job that serves suggestions."""
    return f"{experiment.metadata.name}-tune"


def worker_job(experiment: NASExperiment) -> str:
    """Name of the Job that serves builds in mode Pooled."""
    return f"{experiment.metadata.name}-worker"


def build_job(experiment: NASExperiment, request: BuildRequest) -> str:
    """Name of the Job of one build in mode Pod; another attempt is another Job."""
    return f"{experiment.metadata.name}-{request.uid.rsplit('-', 1)[-1][:8]}-{request.attempt}"


def trial(experiment: NASExperiment, index: int, *, taken: Set[str] = frozenset()) -> str:
    """Name of the tuner's trial of an index; another one where somebody made a trial of this name by hand."""
    name, number = f"{experiment.metadata.name}-{index:05d}", 1
    while name in taken:
        number += 1
        name = f"{experiment.metadata.name}-{index:05d}-{number}"
    return name


def warm_trial(experiment: NASExperiment, architecture: str) -> str:
    """Name of the trial of an architecture that another experiment found."""
    return f"{experiment.metadata.name}-w{hashlib.sha256(architecture.encode()).hexdigest()[:8]}"


def uid(owner: Supernet | NASExperiment, child: str) -> str:
    """Uid under which a child's manifest is kept: the owner's uid keeps equal names of two namespaces apart."""
    return f"{owner.metadata.uid}-{child.removeprefix(owner.metadata.name + '-')}"


def build_uid(experiment: NASExperiment, *parts: object) -> str:
    """Uid of a build: a hash of what is built, so that equal candidates are built once."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return f"{experiment.metadata.uid}-{digest[:16]}"


def supernet_manifests(supernet: Supernet) -> list[str]:
    """Uids of the manifests that its Jobs leave."""
    return [uid(supernet, pretrain_job(supernet)), uid(supernet, fit_predictor_job(supernet))]
