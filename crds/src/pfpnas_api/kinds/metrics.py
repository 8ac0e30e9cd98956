"""What a measurement yields, as it stands in a Trial's status."""

from typing import Annotated

from pydantic import Field

from pfpnas_api.kinds.common import Count, Model

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Latency(Model):
    """Distribution of the timed runs, in milliseconds, and the reference model's median beside them."""

    p50: Positive
    p90: Positive
    mad: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Median absolute deviation."""
    runs: Annotated[int, Field(ge=1, le=2**31 - 1)]
    reference: Positive | None = None
    """p50 of the reference model, measured in alternating blocks."""

    @property
    def relative(self) -> float | None:
        """As a multiple of the reference model."""
        return self.p50 / self.reference if self.reference else None


class Accuracy(Model):
    """Share of images classified rightly, with what its error depends on."""

    value: Fraction
    samples: Annotated[int, Field(ge=1, le=2**31 - 1)]

    @property
    def standard_error(self) -> float:
        """Of a binomial share, with Wilson's shrinkage (one success and one failure added) so that 1.0 has one too."""
        shrunk = (self.value * self.samples + 1) / (self.samples + 2)
        return float((shrunk * (1 - shrunk) / (self.samples + 2)) ** 0.5)


class TrialMetrics(Model):
    """Everything measured or counted of one candidate."""

    accuracy: Fraction | None = None
    """On the private validation split; None when it was skipped."""
    accuracy_samples: Count | None = None
    """Images that the accuracy is a share of."""
    accuracy_skipped: bool = False
    """The latency was over the limit by far."""
    latency_milliseconds: Latency | None = None
    throughput: Positive | None = None
    """Images per second."""
    flops: Count | None = None
    macs: Count | None = None
    parameters: Count | None = None
    model_bytes: Count | None = None
    peak_memory_bytes: Count | None = None
    """Of the process, while it measured."""
    energy_millijoules: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Of one inference."""
    cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Price of a million inferences."""
