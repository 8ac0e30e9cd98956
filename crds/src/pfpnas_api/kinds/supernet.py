"""Supernet: one once-for-all network, its training and its accuracy predictor."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.config import JsonDict

from pfpnas_api.kinds.common import ArtifactRef, Conditions, Count, Digest, Model, ParentMetadata, Resource, Timestamp
from pfpnas_api.kinds.pods import DeletionPolicy, PodTemplate, QueueName
from pfpnas_api.quantities import DECIMAL, Between, Decimal
from pfpnas_api.spaces import SearchSpace, SearchSpaceError

KernelSize = Annotated[int, Field(ge=3, le=7, json_schema_extra={"enum": [3, 5, 7]})]
ExpandRatio = Annotated[int, Field(ge=1, le=8)]
Depth = Annotated[int, Field(ge=1, le=8)]
Resolution = Annotated[int, Field(ge=16, le=512, multiple_of=4)]

DATASET_CLASSES = {"CIFAR10": 10, "CIFAR100": 100, "MNIST": 10, "FashionMNIST": 10, "Shapes": 10}
"""Classes of the data sets whose number is known without reading them."""

_IMMUTABLE: JsonDict = {"rule": "self == oldSelf", "message": "searchSpace is immutable: make a new Supernet"}
_ALL_SMALL_OR_LARGE: JsonDict = {
    "rule": "!has(self.resolutions) || self.resolutions.all(r, r <= 64) || self.resolutions.all(r, r >= 96)",
    "message": "resolutions are either all 16 to 64 (small layout) or all 96 to 512 (ImageNet layout)",
}


_EACH_ONCE: JsonDict = {"x-kubernetes-list-type": "set"}


class SearchSpaceSpec(Model):
    """The space of subnets. Immutable, since the weights belong to it."""

    model_config = {"json_schema_extra": {"x-kubernetes-validations": [_IMMUTABLE, _ALL_SMALL_OR_LARGE]}}

    backbone: Literal["MobileNetV2", "ProxylessNAS"]
    """The table of stages."""
    width_multiplier: Annotated[Decimal, Between(0.1, 2)] = "1.0"
    """Factor of all channel counts, 0.1 to 2.0; results are multiples of 8."""
    kernel_sizes: Annotated[tuple[KernelSize, ...], Field(min_length=1, json_schema_extra=_EACH_ONCE, max_length=3)] = (
        3,
        5,
        7,
    )
    """Kernel sizes of the depth-wise convolutions: odd, 3 to 7."""
    expand_ratios: Annotated[
        tuple[ExpandRatio, ...], Field(min_length=1, json_schema_extra=_EACH_ONCE, max_length=8)
    ] = (3, 4, 6)
    """Expand ratios of the inverted residual blocks."""
    depths: Annotated[tuple[Depth, ...], Field(min_length=1, json_schema_extra=_EACH_ONCE, max_length=8)] = (2, 3, 4)
    """Blocks a stage."""
    resolutions: Annotated[tuple[Resolution, ...], Field(min_length=1, json_schema_extra=_EACH_ONCE, max_length=16)] = (
        32,
    )
    """Side of the input in pixels."""

    @model_validator(mode="after")
    def _is_a_space(self) -> "SearchSpaceSpec":
        self.space(classes=10)
        return self

    def space(self, *, classes: int) -> SearchSpace:
        """The search space as a value.

        Raises:
            SearchSpaceError: the lists make no space; it names the field.
        """
        return SearchSpace(
            backbone=self.backbone,
            width_multiplier=DECIMAL.parse(self.width_multiplier),
            kernel_sizes=self.kernel_sizes,
            expand_ratios=self.expand_ratios,
            depths=self.depths,
            resolutions=self.resolutions,
            classes=classes,
        )


class ShapesSpec(Model):
    """The built-in generator of drawn figures, for a machine without a public data set."""

    samples: Annotated[int, Field(ge=100, le=1_000_000)] = 12_000
    """Training images."""
    validation_samples: Annotated[int, Field(ge=50, le=100_000)] = 2_000
    """Validation images."""
    resolution: Annotated[int, Field(ge=16, le=64)] = 32
    """Side of the drawn images in pixels."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Same seed, same result."""


class DatasetSpec(Model):
    """The public data set the supernet learns."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {"rule": "self.format == 'Shapes' || has(self.uri)", "message": "uri is required: where the data are"},
                {
                    "rule": "!has(self.uri) || !self.uri.startsWith('file://') || self.uri.startsWith('file:///')",
                    "message": "a file address has three slashes, such as file:///data/cifar10",
                    "fieldPath": ".uri",
                },
                {
                    "rule": "!has(self.uri) || !self.uri.startsWith('sha256:') "
                    "|| self.uri.matches('^sha256:[0-9a-f]{64}$')",
                    "message": "sha256: is followed by 64 hexadecimal digits in lower case",
                    "fieldPath": ".uri",
                },
                {
                    "rule": r"!has(self.uri) || !self.uri.matches('[\\x00-\\x1f\\x7f]')",
                    "message": "control characters are not allowed in it",
                    "fieldPath": ".uri",
                },
                {"rule": "self.format == 'Shapes' || !has(self.shapes)", "message": "shapes belongs to format Shapes"},
            ]
        }
    }

    format: Literal["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "ImageFolder", "NPZ", "Shapes"]
    """torchvision's data sets and folder of images, arrays in .npz (images, labels), or the built-in generator. What
    the folder of each holds: docs/training.md."""
    uri: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """In a cluster s3://…, gs://…, abfs://… or http(s)://…; on one machine a folder or file (relative to the document's
    own folder, absolute, or file://…); in both sha256:… of an artifact."""
    shapes: ShapesSpec | None = None
    """Settings of the generator; only for Shapes."""
    validation_fraction: Annotated[Decimal, Between(0.01, 0.5)] = "0.1"
    """Share of the training images held out for validation where the format has no split for it, 0.01 to 0.5."""

    @model_validator(mode="after")
    def _has_a_place(self) -> "DatasetSpec":
        if self.format != "Shapes" and self.uri is None:
            raise ValueError(f"uri is required for format {self.format}: the folder or file that holds the data")
        if self.format != "Shapes" and self.shapes is not None:
            raise ValueError(f"shapes belongs to format Shapes only, and format is {self.format}")
        return self


class TrainingSpec(Model):
    """How the supernet is trained."""

    recipe: Literal["Sandwich"] = "Sandwich"
    """Sandwich rule with in-place distillation (BigNAS)."""
    epochs: Annotated[int, Field(ge=1, le=2000)] = 90
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=2, le=65536)] = 256
    """Images a step."""
    learning_rate: Annotated[Decimal, Between(1e-6, 10)] = "0.1"
    """Peak of the schedule (linear warm-up, then cosine), for the batch size given."""
    weight_decay: Annotated[Decimal, Between(0, 1)] = "0.00003"
    """On weights only, never on BatchNorm and biases."""
    label_smoothing: Annotated[Decimal, Between(0, 0.5)] = "0.1"
    """Share of the target that is spread over all classes, 0 to 0.5."""
    distillation: Literal["InPlace", "None"] = "InPlace"
    """Subnets learn from the largest net of the same step, or from the labels."""
    shrink_after: Annotated[Decimal, Between(0, 0.95)] = "0.3"
    """Share of the steps in which only the largest net is trained: a teacher that knows nothing teaches nothing."""
    random_subnets: Annotated[int, Field(ge=0, le=8)] = 2
    """Random subnets a step, beside the largest and the smallest."""
    precision: Literal["Auto", "Float32", "BFloat16", "Float16"] = "Auto"
    """Auto: mixed precision on a GPU, Float32 on a CPU."""
    augmentation: Literal["Standard", "None"] = "Standard"
    """Standard: padded random crop, and a horizontal flip where the format is of natural images."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Same seed, same result."""
    checkpoint_every: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """Steps between checkpoints."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Pods that train together (data parallel, one process a GPU); each step's batch is shared out among them. In a
    cluster only. A change counts from the next start of the training's Job on, which goes on from the last checkpoint.
    The weights are then not bit for bit those of one number of workers: rounding and BatchNorm's statistics are other
    ones with other shares of a batch."""
    calibration_images: Annotated[int, Field(ge=64, le=10_000)] = 1024
    """Training images kept beside the checkpoint, with which every candidate's BatchNorm is recalibrated."""


class AccuracyPredictorSpec(Model):
    """How the public accuracy predictor is fitted."""

    samples: Annotated[int, Field(ge=20, le=20_000)] = 400
    """Subnets that are evaluated."""
    validation_images: Annotated[int, Field(ge=50, le=100_000)] = 2000
    """Public validation images each of them is evaluated on, at most."""
    calibration_images: Annotated[int, Field(ge=32, le=10_000)] = 512
    """Training images for each one's BatchNorm."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Same seed, same result."""


class SupernetSpec(Model):
    """What is wished of a Supernet."""

    search_space: SearchSpaceSpec
    dataset: DatasetSpec
    training: TrainingSpec = TrainingSpec()
    predictor: AccuracyPredictorSpec = AccuracyPredictorSpec()
    pod_template: PodTemplate = PodTemplate()
    """Of the pods that train and fit, such as their GPUs; a change counts for Jobs that do not run yet. In a cluster
    only."""
    queue_name: QueueName | None = None
    """The Kueue queue of its Jobs; a change counts for Jobs that do not run yet. In a cluster only."""
    suspend: bool = False
    """Stop its Jobs; what was trained is kept, and training goes on from there once this is false again."""
    deletion_policy: DeletionPolicy = "Delete"
    """What happens to its artifacts (checkpoint, predictor) when it is deleted."""


class StageProgress(Model):
    """How far the running stage is."""

    stage: Literal["Pretrain", "FitPredictor"]
    epoch: Count = 0
    epochs: Count = 0
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    eta_seconds: Count | None = None


class CheckpointStatus(Model):
    """The trained supernet."""

    uri: Annotated[str, Field(max_length=2048)]
    sha256: Digest
    size: Count
    calibration: ArtifactRef
    """Training images for BatchNorm, uint8 (n, 3, h, w)."""
    classes: Annotated[int, Field(ge=2, le=100_000)]
    largest_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of the largest subnet, on the public validation split."""
    smallest_accuracy: Annotated[float, Field(ge=0, le=1)] | None = None

    @property
    def artifact(self) -> ArtifactRef:
        """The checkpoint as an artifact reference."""
        return ArtifactRef(sha256=self.sha256, size=self.size)


class AccuracyPredictorStatus(Model):
    """The fitted public accuracy predictor, judged on held-out subnets."""

    uri: Annotated[str, Field(max_length=2048)]
    sha256: Digest
    size: Count
    samples: Count
    kendall_tau: Annotated[float, Field(ge=-1, le=1)]
    mean_absolute_error: Annotated[float, Field(ge=0, le=1)]
    """As a fraction of 1."""
    constant_mean_absolute_error: Annotated[float, Field(ge=0, le=1)]
    """The same of a predictor that always says the mean."""

    @property
    def artifact(self) -> ArtifactRef:
        """The predictor as an artifact reference."""
        return ArtifactRef(sha256=self.sha256, size=self.size)


class SupernetStatus(Model):
    """What is known of a Supernet. Conditions: Accepted, Trained, PredictorReady, Ready, Suspended, Failed."""

    observed_generation: Count = 0
    conditions: Conditions = ()
    progress: StageProgress | None = None
    checkpoint: CheckpointStatus | None = None
    predictor: AccuracyPredictorStatus | None = None
    attempts: dict[str, Count] = Field(default={}, max_length=8)
    """Times that each stage's Job failed for no fault of its input."""
    interruptions: dict[str, Count] = Field(default={}, max_length=8)
    """Times in a row that each stage's Job was evicted, preempted or interrupted; these are no attempts."""
    started_at: Timestamp | None = None
    finished_at: Timestamp | None = None


class Supernet(Resource[SupernetSpec, SupernetStatus]):
    """One once-for-all network."""

    kind: Literal["Supernet"] = "Supernet"
    metadata: ParentMetadata
    status: SupernetStatus = SupernetStatus()

    def space(self) -> SearchSpace:
        """The search space, with the number of classes as far as it is known (10 before the data were read).

        Raises:
            SearchSpaceError: never for a validated document.
        """
        known = DATASET_CLASSES.get(self.spec.dataset.format, 10)
        classes = self.status.checkpoint.classes if self.status.checkpoint else known
        return self.spec.search_space.space(classes=classes)


__all__ = ["SearchSpaceError", "Supernet", "SupernetSpec", "SupernetStatus"]
