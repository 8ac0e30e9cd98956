"""Architectures encoded and scored per second, one row a regressor, and the cost of fitting and choosing them.

    uv run --with ofa==0.1.0.post202307202001 python tests/benchmarks/predictor.py

Everything runs on one thread, ours and the peer's: predictions must not disturb measurements on the same machine. The
labels are latencies of a closed form with 5 % noise, and accuracies that follow the public ones with 1 % noise. An
architecture comes as a row of gene indices and leaves as a number; the peer, once-for-all's own batch predictor
(package `ofa`), takes its dictionaries. It has the same code and layers (3×400), on the same architectures, in turns
with ours in one process; without it the rows have an empty peer.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, sample_matrix, static_costs, to_architectures
from pfpnas_workloads.prediction import AccuracyPredictor, width
from pfpnas_workloads.prediction.candidates import Candidate, candidates
from pfpnas_workloads.prediction.encoding import coded, one_hot
from pfpnas_workloads.prediction.labels import Label
from pfpnas_workloads.prediction.network import train
from pfpnas_workloads.prediction.private import Choice, PrivatePredictors, fit

KERNELS, EXPANDS, DEPTHS, RESOLUTIONS = (3, 5, 7), (3, 4, 6), (2, 3, 4), (160, 192, 224)
SPACE = SearchSpace(
    backbone="MobileNetV2",
    width_multiplier=1.0,
    kernel_sizes=KERNELS,
    expand_ratios=EXPANDS,
    depths=DEPTHS,
    resolutions=RESOLUTIONS,
    classes=1000,
)
"""As large as the peer's own: 21 block slots."""

LABELS, NOISE = 200, 0.05

NETWORK_RATE, CHOSEN_RATE, REFIT_SECONDS, CHOICE_SECONDS = 150_000, 500_000, 0.2, 5.0
"""Targets; the rate of the perceptron in float32, of the chosen regressor, and seconds at 200 labels."""

PEER = "ofa AccuracyPredictor.predict_acc, 1 thread"

Run = Callable[[], object]


def latencies(matrix: GeneMatrix, *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Milliseconds: operations, and an overhead for each block and each line of a kernel; with noise."""
    genes = SPACE.genes()
    kernels = np.array([[0, *gene.values] for gene in genes if gene.kind == "kernel"])
    columns = [index for index, gene in enumerate(genes) if gene.kind == "kernel"]
    depths = sum(np.array(gene.values)[matrix[:, index]] for index, gene in enumerate(genes) if gene.kind == "depth")
    lines = sum(kernels[slot, 1 + matrix[:, column]] for slot, column in enumerate(columns))
    exact = static_costs(SPACE, matrix)["macs"] / 25e6 + 0.12 * depths + 0.01 * lines
    found: NDArray[np.float64] = exact * np.exp(rng.normal(0, NOISE, len(matrix)))
    return found


def make_labels(public: AccuracyPredictor, *, rng: np.random.Generator) -> list[Label]:
    """Different architectures with latency, and with a private accuracy that follows the public one, with noise."""
    matrix = np.unique(sample_matrix(SPACE, LABELS, rng=rng), axis=0)
    accuracy = 0.1 + 0.8 * public.predict_matrix(matrix) + rng.normal(0, 0.01, len(matrix))
    rows = zip(to_architectures(SPACE, matrix), latencies(matrix, rng=rng), accuracy, strict=True)
    return [Label(architecture, float(ms), float(found)) for architecture, ms, found in rows]


def make_public(*, rng: np.random.Generator) -> AccuracyPredictor:
    """A public predictor that has learnt something which no count of operations tells."""
    matrix = sample_matrix(SPACE, 256, rng=rng)
    layers = train(one_hot(SPACE, coded(SPACE, matrix)), rng.random(256, np.float32), rng=rng)
    return AccuracyPredictor(SPACE, "0" * 64, layers)


def peer_predict(architectures: list[Architecture]) -> Run | None:
    """The same task for the package `ofa`; None where it is not installed."""
    try:
        import torch
        from ofa.nas.accuracy_predictor import AccuracyPredictor as Peer
        from ofa.nas.accuracy_predictor import MobileNetArchEncoder
    except ImportError:
        return None
    torch.set_num_threads(1)
    kind = type("Encoder", (MobileNetArchEncoder,), {"SPACE_TYPE": "mbv2"})
    encoder = kind(list(RESOLUTIONS), list(KERNELS), list(EXPANDS), list(DEPTHS))
    assert encoder.n_dim == width(SPACE)
    predictor = Peer(encoder, hidden_size=400, n_layers=3, device="cpu").eval()
    settings = [peer_settings(architecture) for architecture in architectures]

    def run() -> object:
        with torch.no_grad():
            return predictor.predict_acc(settings)

    return run


def peer_settings(architecture: Architecture) -> dict[str, Any]:
    """The architecture in the peer's words: kernel and expand of every slot, active or not."""
    slots = [*(max(DEPTHS) for _ in architecture.stages[:-1]), 1]
    padded = [
        [*stage, *[stage[-1]] * (slot - len(stage))] for stage, slot in zip(architecture.stages, slots, strict=True)
    ]
    genes = [gene for stage in padded for gene in stage]
    return {
        "ks": [gene.kernel for gene in genes],
        "e": [gene.expand for gene in genes],
        "d": list(architecture.depths),
        "image_size": architecture.resolution,
    }


def medians(runs: dict[str, Run], *, repeats: int) -> dict[str, float]:
    """Median seconds of every run, taken in turns; the first turn only warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter_ns()
            run()
            times[name].append((time.perf_counter_ns() - start) / 1e9)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def row(name: str, figure: float, unit: str, target: str | None, *, peer_figure: float | None = None) -> None:
    """Print one row."""
    peer = None if peer_figure is None else PEER
    figures = {"row": name, "figure": figure, "unit": unit, "target": target, "peer": peer, "peer_figure": peer_figure}
    print(json.dumps(figures), flush=True)


def rate_row(name: str, seconds: float, count: int, target: int | None) -> None:
    """One rate, without a peer."""
    row(name, round(count / seconds, -3), "architectures/s", None if target is None else f">= {target}")


def of_candidate(labels: list[Label], candidate: Candidate) -> PrivatePredictors:
    """Predictors of the latency alone, by one candidate."""
    alone = [Label(label.architecture, label.latency, None) for label in labels]
    return fit(SPACE, alone, public=None, seed=0, choice=Choice((("latency", candidate),)))


def regressors(labels: list[Label], matrix: GeneMatrix, *, repeats: int) -> None:
    """One row a candidate for the latency."""
    for candidate in candidates(LABELS, public=False):
        predictors = of_candidate(labels, candidate)
        seconds = medians({"own": partial(predictors.predict, matrix)}, repeats=repeats)["own"]
        target = NETWORK_RATE if candidate.regressor == "perceptron 3x400" else None
        rate_row(f"predictor: {candidate.regressor} on {candidate.code}, 1 thread", seconds, len(matrix), target)


def chosen(labels: list[Label], public: AccuracyPredictor, matrix: GeneMatrix, *, repeats: int) -> None:
    """What is chosen for the latency, and for latency and accuracy together.

    An accuracy that starts from the public predictor runs that one too, so it can't be faster than its 3×400.
    """
    alone = [Label(label.architecture, label.latency, None) for label in labels]
    for name, told in (("latency", alone), ("latency and accuracy", labels)):
        start = time.perf_counter()
        predictors = fit(SPACE, told, public=public, seed=0)
        spent = time.perf_counter() - start
        words = ", ".join(f"{metric}: {one.regressor} on {one.code}" for metric, one in predictors.choice.metrics)
        runs: dict[str, Run] = {
            "predict": partial(predictors.predict, matrix),
            "refit": partial(fit, SPACE, told, public=public, seed=0, choice=predictors.choice),
        }
        seconds = medians(runs, repeats=repeats)
        rate_row(f"predictor: chosen for {name} ({words}), 1 thread", seconds["predict"], len(matrix), CHOSEN_RATE)
        row(f"predictor: choose at {LABELS} labels, {name}", round(spent, 2), "s", f"<= {CHOICE_SECONDS:g}")
        row(f"predictor: refit at {LABELS} labels, {name}", round(seconds["refit"], 3), "s", f"<= {REFIT_SECONDS:g}")


def public_row(public: AccuracyPredictor, matrix: GeneMatrix, *, repeats: int) -> None:
    """The public predictor, a perceptron of 3×400, beside the peer's."""
    peer = peer_predict(to_architectures(SPACE, matrix[:8192]))
    if peer is None:
        print("no peer: run with `uv run --with ofa==0.1.0.post202307202001`", file=sys.stderr)

    def ours() -> object:
        with threadpool_limits(1):
            return public.predict_matrix(matrix)

    seconds = medians({"ours": ours} | ({"peer": peer} if peer else {}), repeats=repeats)
    theirs = round(8192 / seconds["peer"], -2) if "peer" in seconds else None
    name = "predictor: public accuracy, perceptron 3x400 on one-hot, 1 thread"
    rate = round(len(matrix) / seconds["ours"], -3)
    row(name, rate, "architectures/s", f">= {NETWORK_RATE}", peer_figure=theirs)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=32_768, help="architectures scored at once")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each kind")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the peer's old code warns
    rng = np.random.default_rng(0)
    matrix, public = sample_matrix(SPACE, arguments.count, rng=rng), make_public(rng=rng)
    labels = make_labels(public, rng=rng)
    chosen(labels, public, matrix, repeats=arguments.repeats)
    public_row(public, matrix, repeats=arguments.repeats)
    regressors(labels, matrix, repeats=arguments.repeats)


if __name__ == "__main__":
    main()
