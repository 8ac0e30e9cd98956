"""What is known of architectures without building them."""

from pfpnas_api.kinds import Supernet, TrialMetrics
from pfpnas_api.spaces import SearchSpace, cost


def static_metrics(space: SearchSpace, architecture: str) -> TrialMetrics:
    """What can be counted of an architecture.

    Raises:
        ArchitectureError: it is not of the space.
    """
    counted = cost(space, space.parse(architecture))
    return TrialMetrics(
        flops=counted.flops,
        macs=counted.macs,
        parameters=counted.parameters,
        model_bytes=counted.model_bytes,
    )


def reference_metrics(supernet: Supernet | None) -> TrialMetrics | None:
    """What is counted of the reference model, for relative limits."""
    if supernet is None:
        return None
    space = supernet.space()
    return static_metrics(space, space.minimum().id)
