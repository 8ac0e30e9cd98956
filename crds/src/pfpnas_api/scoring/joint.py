"""Algorithm 1: accuracy and latency as one number."""


def joint_score(accuracy: float, latency_over_threshold: float, *, penalty: float) -> float:
    """The joint score of PFP-NAS' Algorithm 1: ``l > t ? accuracy − (l / t) · penalty : accuracy``.

    The score drops by `penalty` at the threshold and falls linearly behind it: a candidate just over the limit loses
    to one that is nearly as accurate and within it.

    Args:
        accuracy: As a fraction.
        latency_over_threshold: Latency as a multiple of its limit; so absolute and relative limits share the formula.
        penalty: `objective.penaltyCoefficient`.
    """
    if latency_over_threshold > 1:
        return accuracy - latency_over_threshold * penalty
    return accuracy
