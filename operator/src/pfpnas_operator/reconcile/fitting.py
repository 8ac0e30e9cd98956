"""A status that stays small, whatever it has to tell: what the best few say is kept, the rest of the front goes."""

import json

from pfpnas_api.kinds import NASExperimentStatus

LARGEST = 64 * 1024
"""Bytes of a status: every watcher of experiments gets each change of it whole, and etcd keeps each for a while."""

FEW_EVALUATIONS = 12
"""With so many everything else may be at its bound; more are left over only where an experiment ended several times."""

LEAST_FRONT = 5
"""Points of the front that stay in any case."""


def fitted(status: NASExperimentStatus) -> NASExperimentStatus:
    """The status itself where it fits; else with fewer points of the front, the best scores first."""
    if len(status.evaluations) <= FEW_EVALUATIONS:
        return status
    while len(status.front) > LEAST_FRONT and _size(status) >= LARGEST:
        status = status.model_copy(update={"front": status.front[:-1]})
    return status


def _size(status: NASExperimentStatus) -> int:
    return len(json.dumps(status.document(), ensure_ascii=False).encode())
