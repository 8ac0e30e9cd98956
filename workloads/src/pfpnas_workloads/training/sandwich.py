"""One step of the sandwich rule with in-place distillation."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from pfpnas_api.spaces import Architecture, SearchSpace
from pfpnas_workloads.nets import Supernet

Backward = Callable[[Tensor], None]


def choose_subnets(space: SearchSpace, rng: np.random.Generator, *, random: int) -> list[Architecture]:
    """The nets of a step beside the largest: the smallest, and `random` ones, each with its own resolution."""
    return [space.minimum(), *(space.sample(rng) for _ in range(random))]


def sandwich(
    supernet: Supernet,
    images: Tensor,
    labels: Tensor,
    *,
    subnets: Sequence[Architecture],
    label_smoothing: float,
    distil: bool,
    backward: Backward,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Tensor:
    """Add the gradients of the largest net and of `subnets`, averaged over all of them.

    The sandwich rule is Yu and Huang's ("Universally Slimmable Networks", ICCV 2019, section 3.2), in-place
    distillation BigNAS' (Yu et al., ECCV 2020, section 3.1): the largest net learns the labels, the others its soft
    predictions of the same step, for which no further forward pass is needed.

    Args:
        supernet: The net, in training mode.
        images: RGB in [0, 1], `(n, 3, h, w)`.
        labels: Classes, int64 `(n,)`.
        subnets: The nets beside the largest; none while shrinking is delayed.
        label_smoothing: Where labels are learned; soft predictions are smooth enough.
        distil: Whether `subnets` learn from the largest net, else from the labels.
        backward: Called with each net's share of the loss.
        autocast: Makes the context of the forward passes.

    Returns:
        The largest net's loss.
    """
    share = 1 / (1 + len(subnets))
    with autocast():
        logits = supernet(images, supernet.largest).float()
        loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    backward(loss * share)
    teacher = F.log_softmax(logits.detach(), dim=1) if distil else None
    for architecture in subnets:
        with autocast():
            student = supernet(images, architecture).float()
        backward(_loss(student, labels, teacher=teacher, label_smoothing=label_smoothing) * share)
    return loss.detach()


def _loss(student: Tensor, labels: Tensor, *, teacher: Tensor | None, label_smoothing: float) -> Tensor:
    """The divergence from the teacher's log-probabilities, `(n, classes)`; cross-entropy without a teacher."""
    if teacher is None:
        return F.cross_entropy(student, labels, label_smoothing=label_smoothing)
    return F.kl_div(F.log_softmax(student, dim=1), teacher, reduction="batchmean", log_target=True)
