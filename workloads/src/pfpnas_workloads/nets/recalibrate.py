"""BatchNorm statistics of a static net, from training images."""

from collections.abc import Callable, Iterable, Iterator
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfpnas_workloads.nets.common import resize
from pfpnas_workloads.nets.static import ConvNormAct, StaticBlock, StaticNet

CHUNK_IMAGES = 64
"""Images that go through a layer together; the callers' batches have no influence on the result."""

Function = Callable[[Tensor], Tensor]


@torch.no_grad()
def recalibrate(static: StaticNet, batches: Iterable[Tensor]) -> None:
    """Replace all BatchNorm statistics of `static` by those of the given images, and leave it in eval mode.

    Layer by layer: the mean and (population) variance of all images at a BatchNorm's input are pooled (within plus
    between images, in double precision), written, and only then used for the layers behind. So the result is what
    one training-mode pass over all images in a single batch would use, is the same to the bit however the images
    are batched, and in eval mode gives these images that pass's logits.

    Args:
        static: The net; on its device the work is done.
        batches: RGB images in [0, 1] of the training split, `(n, 3, h, w)` each, resized if need be.

    Raises:
        ValueError: There are no images.
    """
    static.eval()
    resolution = static.architecture.resolution
    device = next(static.parameters()).device
    resized = [resize(batch.to(device), resolution) for batch in batches]
    if sum(len(batch) for batch in resized) == 0:
        raise ValueError("recalibration needs at least one image")
    chunks = list(torch.split(torch.cat(resized), CHUNK_IMAGES))
    stream = _Stream(chunks).then(lambda x: static.preparation(x, resolution=resolution))
    stream = _through_conv(stream, static.stem).settled()
    for block in static.blocks:
        assert isinstance(block, StaticBlock)
        stream = _through_block(stream, block)
    _through_conv(stream, static.feature)


class _Stream:
    """The activations of all images at one place in the net: held chunks, and functions still to be applied.

    Only the narrow activations between blocks are held; the wide ones within are computed again when needed, which
    bounds the memory and costs about a fifth more time.
    """

    def __init__(self, chunks: list[Tensor], pending: tuple[Function, ...] = ()) -> None:
        self._chunks, self._pending = chunks, pending

    def __iter__(self) -> Iterator[Tensor]:
        for chunk in self._chunks:
            x = chunk
            for function in self._pending:
                x = function(x)
            yield x

    def then(self, function: Function) -> Self:
        """The stream behind `function`."""
        return type(self)(self._chunks, (*self._pending, function))

    def settled(self) -> Self:
        """The same stream with every chunk computed."""
        return type(self)(list(self))

    def plus(self, other: "_Stream") -> Self:
        """The sums of two streams, settled: the end of a residual block."""
        return type(self)([x + y for x, y in zip(self, other, strict=True)])

    def normalised(self, norm: nn.BatchNorm2d) -> Self:
        """The stream behind `norm`, whose statistics become this stream's."""
        _fit(norm, self)
        return self.then(norm)


def _relu6(x: Tensor) -> Tensor:
    # In place: what comes here is a BatchNorm's output, which nobody holds.
    return F.relu6(x, inplace=True)


def _through_conv(stream: _Stream, layer: ConvNormAct) -> _Stream:
    return stream.then(layer.conv).normalised(layer.norm).then(_relu6)


def _through_block(stream: _Stream, block: StaticBlock) -> _Stream:
    """The stream behind `block`, settled; `stream` has to be settled too."""
    mid = stream
    if block.shape.has_expansion:
        mid = mid.then(block.expand_conv).normalised(block.expand_norm).then(_relu6)
    mid = mid.then(block.depthwise_conv).normalised(block.depthwise_norm).then(_relu6)
    out = mid.then(block.project_conv).settled().normalised(block.project_norm)
    return stream.plus(out) if block.shape.residual else out.settled()


def _fit(norm: nn.BatchNorm2d, inputs: Iterable[Tensor]) -> None:
    """Write the pooled mean and variance of `inputs`, `(n, c, h, w)` each, into `norm`."""
    moments = [_moments(x) for x in inputs]
    means = torch.cat([mean for mean, _ in moments]).double()  # (images, c)
    variances = torch.cat([variance for _, variance in moments]).double()  # (images, c)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(means.mean(dim=0))
    norm.running_var.copy_(variances.mean(dim=0) + means.var(dim=0, correction=0))


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each image's channels, `(n, c)` both.

    Two plain sums: seven times as fast on a CPU as `torch.var_mean`, and as exact.
    """
    mean = x.mean(dim=(2, 3), keepdim=True)
    return mean.flatten(1), (x - mean).square_().mean(dim=(2, 3))
