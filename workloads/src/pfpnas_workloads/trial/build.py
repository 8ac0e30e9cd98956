"""From a request to a candidate: slice, recalibrate, write ONNX. The same request always gives the same bytes."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.jobs import Manifest
from pfpnas_api.messages import BuildRequest
from pfpnas_api.spaces import ArchitectureError
from pfpnas_workloads import nets
from pfpnas_workloads.runtime import BadArchitecture, BadInput, refusal
from pfpnas_workloads.trial.sources import Sources

BATCH_IMAGES = 256
"""Images made floats at once: 32 px need 3 MB of them, 224 px 150 MB."""


class Builder:
    """Builds candidates, with the last checkpoints and images in memory."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store, self._sources = store, Sources(store)

    def ensure(self, request: BuildRequest) -> Manifest:
        """The manifest of a request, with its model in the store; built only where one of both is not there.

        Raises:
            ArtifactError: the store can't be read or written.
        """
        manifest = self._store.read_manifest(request.uid)
        if manifest is None or not self._complete(manifest):
            manifest = self._settled(request)
            self._store.write_manifest(manifest)
        return manifest

    def _complete(self, manifest: Manifest) -> bool:
        return all(self._store.has(artifact.sha256) for artifact in manifest.artifacts.values())

    def _settled(self, request: BuildRequest) -> Manifest:
        try:
            return self.build(request)
        except BadInput as e:
            return refusal(request.uid, e)

    def build(self, request: BuildRequest) -> Manifest:
        """Make a candidate and put it into the store.

        Raises:
            BadArchitecture: it is none of the checkpoint's space.
            BadInput: checkpoint or images are no such thing.
            ArtifactError: the store can't be read or written.
        """
        supernet = self._supernet(request)
        try:
            architecture = supernet.space.parse(request.architecture)
        except ArchitectureError as e:
            raise BadArchitecture(str(e)) from e
        start = time.perf_counter()
        static = nets.extract(supernet, architecture)
        sliced = time.perf_counter()
        nets.recalibrate(static, batches(self._sources.images(request.calibration)))
        recalibrated = time.perf_counter()
        content = nets.to_onnx(static)
        build_seconds = sliced - start + time.perf_counter() - recalibrated
        return Manifest(
            uid=request.uid,
            outcome="Done",
            artifacts={"model": self._store.put(content)},
            figures={
                "buildMilliseconds": 1e3 * build_seconds,
                "recalibrationMilliseconds": 1e3 * (recalibrated - sliced),
            },
        )

    def _supernet(self, request: BuildRequest) -> nets.Supernet:
        if request.weights == "Untrained":
            return self._sources.untrained(request.checkpoint, request.seed)
        return self._sources.trained(request.checkpoint)


def batches(images: Tensor) -> Iterator[Tensor]:
    """Images, uint8 `(n, 3, h, w)`, as batches of float32 in [0, 1]."""
    for part in torch.split(images, BATCH_IMAGES):
        yield part.float() / 255  # (batch, 3, h, w)
