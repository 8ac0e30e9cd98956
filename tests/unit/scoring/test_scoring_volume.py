"""The front of a search and its hypervolume: on which scale, and who has a place there."""

import pytest

from pfpnas_api.kinds import Latency, ObjectiveSpec, TrialMetrics
from pfpnas_api.scoring import FrontPoint, front_point, judge, reference_latency, relative_hypervolume


def objective(*constraints: dict[str, str]) -> ObjectiveSpec:
    return ObjectiveSpec.model_validate({"constraints": list(constraints)})


def seen(limits: ObjectiveSpec, p50: float, *, reference: float | None = 2.0, energy: float = 5.0) -> FrontPoint | None:
    """A judged trial on the front's scale."""
    latency = Latency(p50=p50, p90=p50, mad=0.0, runs=64, reference=reference)
    metrics = TrialMetrics(accuracy=0.9, latency_milliseconds=latency, energy_millijoules=energy)
    return front_point(limits, metrics, violation=judge(limits, metrics).violation, key="one")


RELATIVE = objective({"metric": "Latency", "maxRelative": "3.0"})


@pytest.mark.parametrize(
    ("limits", "latency", "judged_from"),
    [
        (RELATIVE, 2.0, 3.0),
        (objective({"metric": "Latency", "max": "9ms"}), 4.0, 9.0),
        (objective(), 4.0, 4.0),
    ],
)
def test_latency_is_on_the_scale_of_its_limit(limits: ObjectiveSpec, latency: float, judged_from: float) -> None:
    point = seen(limits, 4.0)
    assert point == FrontPoint(0.9, latency, "one")
    assert reference_latency(limits, [point]) == judged_from


def test_device_that_slows_down_changes_no_relative_hypervolume() -> None:
    points = [seen(RELATIVE, 4.0, reference=2.0), seen(RELATIVE, 6.0, reference=3.0)]
    volumes = [relative_hypervolume([point], reference_latency(RELATIVE, [point])) for point in points if point]
    assert volumes == [pytest.approx(0.9 / 3)] * 2


def test_over_the_latency_limit_has_a_place_and_over_another_limit_has_none() -> None:
    both = objective({"metric": "Latency", "maxRelative": "3.0"}, {"metric": "Energy", "max": "7mJ"})
    assert seen(both, 10.0) == FrontPoint(0.9, 5.0, "one")
    assert seen(both, 4.0, energy=7.1) is None
    assert seen(both, 10.0, energy=7.1) is None


def test_without_its_figures_a_trial_has_no_place() -> None:
    assert seen(RELATIVE, 4.0, reference=None) is None
    assert front_point(RELATIVE, None, violation=None) is None
    assert front_point(RELATIVE, TrialMetrics(accuracy=0.9), violation=0.0) is None
