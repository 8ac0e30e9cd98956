"""An image of somebody else's as the trial (docs/trial-image.md): it measures by itself, so nobody else has to."""

from support.lab import Lab, assert_whole, experiment

IN_TIME = {"constraints": [{"metric": "Latency", "max": "10s"}]}
"""Not relative: who measures by itself has no reference model."""


def test_a_search_whose_trials_are_a_foreign_image_needs_no_agent_and_takes_its_figures(lab: Lab, tiny: str) -> None:
    foreign = {"mode": "Pod", "image": lab.cluster.noop_image()}
    lab.apply(experiment("foreign", of=tiny, pool="lonely", trials=2, objective=IN_TIME, trialTemplate=foreign))

    lab.wait("nas", "foreign", "AgentsAvailable", reason="NotNeeded")
    lab.wait("nas", "foreign", "Succeeded")

    assert_whole(lab, "foreign", trials=2)
    found = {trial["spec"]["architecture"]: trial["status"]["metrics"] for trial in lab.trials("foreign")}
    said = {one: (metrics["accuracy"], metrics["latencyMilliseconds"]["p50"]) for one, metrics in found.items()}
    assert said == {one: figures_of(one) for one in found}
    assert lab.get("nas", "foreign")["status"]["best"]["architecture"] in found


def figures_of(architecture: str) -> tuple[float, float]:
    """Accuracy and latency that `tests/cluster/images/noop.c` draws from an architecture's name, by FNV-1a."""
    drawn = 2166136261
    for byte in architecture.encode():
        drawn = ((drawn ^ byte) * 16777619) & 0xFFFFFFFF
    return float(f"{0.5 + (drawn & 1023) / 2048:.4f}"), float(f"{1 + (drawn >> 22) / 1024:.3f}")
