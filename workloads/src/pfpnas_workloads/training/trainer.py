"""A training that can stop and go on at any step."""

from typing import Final

import torch
from torch import Tensor

from pfpnas_api.kinds.supernet import SearchSpaceSpec, TrainingSpec
from pfpnas_api.quantities import DECIMAL
from pfpnas_workloads.data import PublicData
from pfpnas_workloads.data.augment import augment, stream, to_unit
from pfpnas_workloads.nets import Supernet
from pfpnas_workloads.runtime import BadInput
from pfpnas_workloads.training.precision import autocast, choose_device, choose_type
from pfpnas_workloads.training.ranks import Ranks
from pfpnas_workloads.training.sandwich import choose_subnets, sandwich
from pfpnas_workloads.training.schedule import Schedule

_WEIGHTS, _ORDER, _AUGMENTATION, _SUBNETS = range(1, 5)
"""Purposes of random numbers: each has streams of its own, see `data.augment.stream`."""

MOMENTUM: Final = 0.9
LARGEST_GRADIENT: Final = 5.0
"""Norm to which gradients are cut: far above what is usual, it only stops a step that would wreck the weights."""

FEWEST_IMAGES: Final = 2
"""A step's images of one rank: BatchNorm knows no variance of a single one."""


class Trainer:
    """Weights, optimiser and place of a training with the recipe `Sandwich`.

    Everything random is a function of seed and step, so the whole state is: weights, momentum, the loss scale of
    float16, and `step`, the number of steps done. How many ranks share the work is no part of it: another number of
    them may go on from there. Which images, subnets and augmentations a step has does not depend on it either.

    Raises:
        BadInput: There are more ranks than a step has work for.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        search_space: SearchSpaceSpec,
        data: PublicData,
        *,
        device: torch.device | None = None,
        ranks: Ranks = Ranks(),  # noqa: B008 - a frozen value
    ) -> None:
        self.spec, self.data, self.ranks, self.step = spec, data, ranks, 0
        self.space = search_space.space(classes=data.classes)
        self.device = device or choose_device()
        self.schedule = Schedule(
            images=len(data.train_images),
            batch_size=spec.batch_size,
            epochs=spec.epochs,
            peak=DECIMAL.parse(spec.learning_rate),
            shrink_after=DECIMAL.parse(spec.shrink_after),
        )
        if self.schedule.batch // ranks.world < FEWEST_IMAGES:
            raise BadInput(
                f"training.batchSize: a step has {self.schedule.batch} images for {ranks.world} workers, and each "
                f"needs {FEWEST_IMAGES}: raise batchSize or lower training.workers"
            )
        generator = torch.Generator().manual_seed(int(stream(spec.seed, _WEIGHTS).integers(2**62)))
        supernet = Supernet(self.space, mean=data.mean, std=data.std, generator=generator)
        self.supernet = supernet.to(self.device).to(memory_format=torch.channels_last).train()
        groups = supernet.parameter_groups(DECIMAL.parse(spec.weight_decay))
        self.optimiser = torch.optim.SGD(groups, lr=self.schedule.peak, momentum=MOMENTUM, nesterov=True)
        self.dtype = choose_type(spec.precision, self.device)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    @property
    def shrinking(self) -> bool:
        """Whether the next step trains smaller nets too."""
        return self.step >= self.schedule.first_shrinking_step

    def advance(self) -> Tensor:
        """Do one step; returns the largest net's loss.

        Raises:
            Interrupted: Another rank is gone; the step is not done.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.learning_rate(self.step)
        loss = self._gradients()
        self.scaler.unscale_(self.optimiser)
        torch.nn.utils.clip_grad_norm_(self.supernet.parameters(), LARGEST_GRADIENT)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        return loss

    def _gradients(self) -> Tensor:
        """Make the mean gradients over all images and nets of the next step, the same on every rank."""
        images, labels = self._batch()
        weight = len(labels) / self.schedule.batch  # one rank's share of a mean over all images
        loss = self._backward_all(images, labels, weight=weight) * weight
        gradients = [p.grad for p in self.supernet.parameters() if p.grad is not None]
        self.ranks.add_up([*gradients, loss])
        return loss

    def _backward_all(self, images: Tensor, labels: Tensor, *, weight: float) -> Tensor:
        rng = stream(self.spec.seed, _SUBNETS, self.step)
        subnets = choose_subnets(self.space, rng, random=self.spec.random_subnets) if self.shrinking else []
        return sandwich(
            self.supernet,
            images,
            labels,
            subnets=subnets,
            label_smoothing=DECIMAL.parse(self.spec.label_smoothing),
            distil=self.spec.distillation == "InPlace",
            backward=lambda loss: self._backward(loss * weight),
            autocast=lambda: autocast(self.dtype, self.device),
        )

    def _backward(self, loss: Tensor) -> None:
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch has no annotation there

    def _batch(self) -> tuple[Tensor, Tensor]:
        """This rank's images in [0, 1], `(n, 3, h, w)`, and labels, `(n,)`, of the next step."""
        schedule, share = self.schedule, self.ranks.share(self.schedule.batch)
        start = self.step % schedule.steps_per_epoch * schedule.batch
        indices = self._epoch_order(schedule.epoch(self.step))[start : start + schedule.batch][share]
        images = self.data.train_images[indices]
        if self.spec.augmentation == "Standard":
            rng = stream(self.spec.seed, _AUGMENTATION, self.step)
            images = augment(images, rng, mirror=self.data.natural, batch=schedule.batch, share=share)
        return to_unit(images, device=self.device), self.data.train_labels[indices].to(self.device)

    def _epoch_order(self, epoch: int) -> Tensor:
        """The order of all images in a pass; kept, since every step of the pass asks for it."""
        if self._order[0] != epoch:
            order = stream(self.spec.seed, _ORDER, epoch).permutation(self.schedule.images)
            self._order = (epoch, torch.from_numpy(order))
        return self._order[1]
