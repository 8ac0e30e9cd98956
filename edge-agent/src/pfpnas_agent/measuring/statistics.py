"""What of the timed runs leaves the device: four numbers."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile of a non-empty sample, linearly interpolated."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def summarised(candidate: Sequence[float], reference: Sequence[float]) -> dict[str, float | int | None]:
    """p50, p90, median absolute deviation and count of the candidate's runs; p50 of the reference's. Milliseconds."""
    p50 = quantile(candidate, 0.5)
    return {
        "p50": p50,
        "p90": quantile(candidate, 0.9),
        "mad": quantile([abs(value - p50) for value in candidate], 0.5),
        "runs": len(candidate),
        "reference": quantile(reference, 0.5) if reference else None,
    }
