"""A candidate's build (slice + ONNX, without recalibration) against once-for-all's way of making the same file.

    uv run --with ofa==0.1.0.post202307202001 python tests/benchmarks/build.py

The peer is the package `ofa`: `get_active_subnet`, then `torch.onnx.export` by TorchScript, for the very same
architectures, in turns with ours in one process. Without it the rows are printed with an empty peer.
"""

import argparse
import io
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from pfpnas_api.spaces import Architecture, SearchSpace, cost
from pfpnas_workloads.nets import Supernet, extract, to_onnx

TARGET_MS = 40.0
"""Slice and ONNX together, the median."""

TARGET_RATIO = 10.0
"""The peer's time over ours, at least."""

KERNELS, EXPANDS, DEPTHS, RESOLUTION = (3, 5, 7), (3, 4, 6), (2, 3, 4), 224

Build = Callable[[Architecture], int]


def make_space(backbone: str) -> SearchSpace:
    """The peer's own search space."""
    return SearchSpace(
        backbone=backbone,
        width_multiplier=1.0,
        kernel_sizes=KERNELS,
        expand_ratios=EXPANDS,
        depths=DEPTHS,
        resolutions=(RESOLUTION,),
        classes=1000,
    )


def our_build(space: SearchSpace) -> Build:
    """Slice and write one architecture; gives the file's size in bytes."""
    supernet = Supernet(space).eval()
    return lambda architecture: len(to_onnx(extract(supernet, architecture)))


def peer_build(space: SearchSpace) -> Build | None:
    """The same by the package `ofa`; None where it is not installed."""
    try:
        from ofa.imagenet_classification.elastic_nn.networks import OFAProxylessNASNets
    except ImportError:
        return None
    options = {"ks_list": list(KERNELS), "expand_ratio_list": list(EXPANDS), "depth_list": list(DEPTHS)}
    supernet = OFAProxylessNASNets(n_classes=space.classes, width_mult=1.0, **options).eval()
    image = torch.zeros(1, 3, RESOLUTION, RESOLUTION)

    def build(architecture: Architecture) -> int:
        supernet.set_active_subnet(**peer_settings(architecture))
        subnet = supernet.get_active_subnet(preserve_weight=True).eval()
        file = io.BytesIO()
        torch.onnx.export(subnet, (image,), file, dynamo=False)  # type: ignore[arg-type]  # the old exporter takes a file
        return file.tell()

    check_same_net(supernet, space)
    return build


def check_same_net(peer: Any, space: SearchSpace) -> None:
    """Make sure that the peer builds the same nets: as many parameters for a random architecture."""
    architecture = space.sample(np.random.default_rng(1))
    peer.set_active_subnet(**peer_settings(architecture))
    parameters = sum(p.numel() for p in peer.get_active_subnet(preserve_weight=True).parameters())
    assert parameters == cost(space, architecture).parameters


def peer_settings(architecture: Architecture) -> dict[str, list[int]]:
    """The architecture in the peer's words: kernel and expand of every slot, active or not."""
    slots = [*(max(DEPTHS) for _ in architecture.stages[:-1]), 1]
    padded = [
        [*stage, *[stage[-1]] * (slot - len(stage))] for stage, slot in zip(architecture.stages, slots, strict=True)
    ]
    genes = [gene for stage in padded for gene in stage]
    return {"ks": [g.kernel for g in genes], "e": [g.expand for g in genes], "d": list(architecture.depths)}


def measure(builds: dict[str, Build], architectures: list[Architecture]) -> dict[str, float]:
    """The median milliseconds of every build, taken in turns; the first architecture only warms up."""
    times: dict[str, list[float]] = {name: [] for name in builds}
    for architecture in architectures:
        for name, build in builds.items():
            start = time.perf_counter_ns()
            build(architecture)
            times[name].append((time.perf_counter_ns() - start) / 1e6)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def rows(backbone: str, medians: dict[str, float]) -> list[dict[str, Any]]:
    """The figures of one backbone."""
    peer = "ofa get_active_subnet + torch.onnx.export (TorchScript)" if "peer" in medians else None
    own, theirs = medians["ours"], medians.get("peer")
    time_row = row(f"build {backbone} 1.0 r{RESOLUTION}", own, "ms", f"<= {TARGET_MS:g}", peer, theirs)
    if theirs is None:
        return [time_row]
    name = f"build {backbone} 1.0 r{RESOLUTION}, times faster"
    return [time_row, row(name, theirs / own, "x", f">= {TARGET_RATIO:g}", peer, 1.0)]


def row(
    name: str, figure: float, unit: str, target: str, peer: str | None, peer_figure: float | None
) -> dict[str, Any]:
    """One row, rounded to what the measurement is worth."""
    shown = None if peer_figure is None else round(peer_figure, 1)
    return {
        "row": name,
        "figure": round(figure, 1),
        "unit": unit,
        "target": target,
        "peer": peer,
        "peer_figure": shown,
    }


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="measured builds of each kind")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch, for ours and the peer's")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    # The peer's old code and the TorchScript exporter warn at every call.
    warnings.simplefilter("ignore")
    for backbone in ("ProxylessNAS", "MobileNetV2"):
        space, rng = make_space(backbone), np.random.default_rng(0)
        architectures = [space.sample(rng) for _ in range(arguments.runs + 1)]
        builds = {"ours": our_build(space)}
        # The peer has no MobileNetV2 of these widths; the two backbones differ in channels only.
        peer = peer_build(space) if backbone == "ProxylessNAS" else None
        if peer is not None:
            builds["peer"] = peer
        elif backbone == "ProxylessNAS":
            print("no peer: run with `uv run --with ofa==0.1.0.post202307202001`", file=sys.stderr)
        for figures in rows(backbone, measure(builds, architectures)):
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
