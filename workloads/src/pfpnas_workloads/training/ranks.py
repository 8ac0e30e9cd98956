"""The processes that train one supernet together (torchrun's ranks), and what they tell one another.

Every rank holds all weights and draws the same subnets; each takes its share of a step's images, and the gradients are
added up once a step, after all subnets: a subnet leaves most parameters without a gradient, and the same ones on every
rank, so nothing has to be asked about those. BatchNorm in training sees a rank's own images, as it does elsewhere;
running statistics are never used without recalibration, so those of the leading rank are as good as any.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pfpnas_workloads.runtime import Interrupted, Unreachable

LONGEST_SILENCE: Final = timedelta(minutes=20)
"""After which the others are taken as gone. One that ends closes its connections, which is seen at once; this is for a
machine that vanished, and longer than the leading rank takes to judge what was trained."""

BUCKET_NUMBERS: Final = 8 * 1024**2
"""Gradients that are sent at once: enough to use the network, few enough not to double the memory."""

Returned = TypeVar("Returned")

_CPU: Final = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """One process among those of a training; alone unless told otherwise, and then nothing is sent.

    Attributes:
        rank: Of this process, from 0.
        world: Processes in all.
        device: Where what is sent has to lie.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = _CPU

    @property
    def leading(self) -> bool:
        """Whether this is the one that reports and writes."""
        return self.rank == 0

    def share(self, total: int) -> slice:
        """Which of `total` images of a step are this rank's; the shares differ by one image at most."""
        return slice(total * self.rank // self.world, total * (self.rank + 1) // self.world)

    def add_up(self, tensors: Iterable[Tensor]) -> None:
        """Put the sum over all ranks in place of each tensor; all float32, of the same shapes on every rank.

        Raises:
            Interrupted: Another rank is gone.
        """
        if self.world > 1:
            for bucket in _buckets(tensors):
                self._add_up(bucket)

    def _add_up(self, bucket: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.flatten() for tensor in bucket])
        _call(lambda: dist.all_reduce(flat))
        parts = torch.split(flat, [tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def any(self, said: bool) -> bool:
        """Whether any rank says so: all get the same answer.

        Raises:
            Interrupted: Another rank is gone.
        """
        if self.world == 1:
            return said
        flag = torch.tensor([float(said)], device=self.device)
        _call(lambda: dist.all_reduce(flag))
        return bool(flag.item() > 0)

    def from_leading(self, content: bytes | None) -> bytes | None:
        """What the leading rank has; the others' argument counts for nothing.

        Raises:
            Interrupted: Another rank is gone.
        """
        if self.world == 1:
            return content
        size = torch.tensor([-1 if content is None else len(content)], device=self.device)
        _call(lambda: dist.broadcast(size, src=0))
        if size.item() < 0:
            return None
        sent = bytearray(content) if self.leading and content else bytearray(int(size.item()))
        bytes_ = torch.frombuffer(sent, dtype=torch.uint8).to(self.device)
        _call(lambda: dist.broadcast(bytes_, src=0))
        return bytes_.cpu().numpy().tobytes()

    def meet(self) -> None:
        """Wait for all the others.

        Raises:
            Interrupted: Another rank is gone.
        """
        self.any(False)


@contextmanager
def joined(device: torch.device, *, environ: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """This process among those that torchrun started (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT); else alone.

    Raises:
        Unreachable: The others were not found.
    """
    world = int(environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks(device=device)
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=LONGEST_SILENCE)
    except (RuntimeError, ValueError) as e:
        place = f"{environ.get('MASTER_ADDR')}:{environ.get('MASTER_PORT')}"
        raise Unreachable(f"the {world} workers did not find one another at {place} ({backend}): {e}") from e
    try:
        yield Ranks(rank=dist.get_rank(), world=world, device=device)
    finally:
        with suppress(RuntimeError):  # of a connection that is gone already
            dist.destroy_process_group()


def _call(send: Callable[[], Returned]) -> Returned:
    try:
        return send()
    except RuntimeError as e:
        raise Interrupted(f"lost another worker: {e}") from e


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for tensor in tensors:
        bucket.append(tensor)
        if sum(each.numel() for each in bucket) >= BUCKET_NUMBERS:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
