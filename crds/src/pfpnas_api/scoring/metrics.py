"""Values of metrics as the limits see them: in base units, or as multiples of the reference model."""

from pfpnas_api.kinds.experiment import Constraint, MetricName
from pfpnas_api.kinds.metrics import TrialMetrics

MILLISECONDS_PER_HOUR = 3.6e6
INFERENCES = 1e6
"""Cost is the price of so many: prices of single inferences are too small to read."""


def cost_per_million(price_per_hour: float, p50_milliseconds: float) -> float:
    """Price of a million inferences one after the other, in the currency of `price_per_hour`.

    An inference is one run at the measurement's batch size.
    """
    return price_per_hour * p50_milliseconds / MILLISECONDS_PER_HOUR * INFERENCES


def absolute_value(metrics: TrialMetrics, metric: MetricName) -> float | None:
    """A metric in its base unit (ms, images/s, operations, bytes, mJ, price); None when it is not known."""
    latency = metrics.latency_milliseconds
    values: dict[MetricName, float | None] = {
        "Latency": latency.p50 if latency else None,
        "Throughput": metrics.throughput,
        "FLOPs": metrics.flops,
        "MACs": metrics.macs,
        "Parameters": metrics.parameters,
        "ModelSize": metrics.model_bytes,
        "PeakMemory": metrics.peak_memory_bytes,
        "Energy": metrics.energy_millijoules,
        "Cost": metrics.cost,
    }
    return values[metric]


def limited_value(metrics: TrialMetrics, constraint: Constraint, *, reference: TrialMetrics | None) -> float | None:
    """What a constraint compares with its limit; None when it is not known.

    A relative Latency is the one measured in alternating blocks beside the reference model, and a relative Cost is the
    same number, since the price cancels out. Other relative metrics are divided by those of `reference`.
    """
    if not constraint.relative:
        return absolute_value(metrics, constraint.metric)
    if constraint.metric in ("Latency", "Cost"):
        latency = metrics.latency_milliseconds
        return latency.relative if latency else None
    value = absolute_value(metrics, constraint.metric)
    base = absolute_value(reference, constraint.metric) if reference else None
    return value / base if value is not None and base else None


def excess(constraint: Constraint, value: float) -> float:
    """By how much a value is outside a limit, as a fraction of the limit; 0 when it is inside."""
    limit = constraint.limit
    beyond = limit - value if constraint.min is not None else value - limit
    return max(0.0, beyond / limit)
