"""How good the predictors are on real latencies, and how many measurements a search saves.

    uv run python tests/benchmarks/science.py [--part latency|tuners]

latency: nets drawn uniformly from a realistic space (MobileNetV2, width 0.35; kernels 3, 5, 7; expand ratios 2, 3, 4;
depths 1 to 3; 24 to 48 px; random weights, which cost the same) are measured on this machine's processor by the agent's
own process, beside the smallest net in alternating blocks. Each is measured twice, in two passes minutes apart. The
private predictors are fitted to 50 of them and judged on all others, five times over with other fifties; beside them a
predictor that always says the same, one that knows the MACs only, and the noise floor: the error that a perfect
predictor would show, from the two passes. The same again on the fastest quarter. Measurements are kept in --cache.

tuners: on the device with a known answer (tests/support/known_answer.py), of each tuner with pseudo trials and without,
all judged by the true score: its regret (what the best net found lacks to the best of all) after 10, 20, 40 and 80
measurements, as mean and standard error over the seeds; and the measurements after which it has reached what random
search finds in 200, beside after how many random search had found it. The best tuner is picked by seeds 0 to 19 (by
five of them several are equally good); with the first five of these defaults were chosen too. All rows are of seeds
1000 to 1004 and of other noise, which nothing was picked by. A search ends after 100; rows say how many were behind
then, and a median that is beyond 100 says "and more".

Rows are JSON, one a line; a target is met by the predictors at 5 %, or at 1.2 times the noise floor.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from pfpnas_api.spaces import Architecture, SearchSpace, sample_matrix, static_costs, to_architectures, to_matrix
from pfpnas_workloads.prediction.labels import Label
from pfpnas_workloads.prediction.private import PrivatePredictors, fit
from support.known_answer import Courses, KnownAnswer, Needed, RandomsBest, courses, randoms_best
from support.latencies import LatencyTable

CACHE = Path(__file__).parents[2] / "runs" / "science"
"""Ignored by git."""

SPACE = SearchSpace(
    width_multiplier=0.35,
    kernel_sizes=(3, 5, 7),
    expand_ratios=(2, 3, 4),
    depths=(1, 2, 3),
    resolutions=(24, 32, 40, 48),
)

NETS = 150
TRAINING = 50
FIFTIES = 5
"""Drawn from the nets, each with all others held out."""

MAPE_TARGET, TAU_TARGET, FLOOR_TARGET = 0.05, 0.9, 1.2

RANDOM_BUDGET, NEEDED_TARGET, SEEDS_TARGET = 200, 40, 4
PICKED_BY, REPORTED = range(20), range(1000, 1005)
"""Seeds of the searches: those by which defaults and the best tuner are picked, and fresh ones for the rows."""

PICKING_NOISE, REPORTED_NOISE = 0, 1
"""Seeds of the measurements' noise, likewise."""

PSEUDO_TRIALS = (0, 300, 1000)
LONGEST = 100
"""Measurements of a search; one that is still behind then is given up."""

REGRET_AFTER = (10, 20, 40, 80)
"""Measurements after which regret is told."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Latencies:
    """Nets, and both measurements of each as multiples of the reference, arrays `(nets,)`."""

    architectures: list[Architecture]
    first: FloatArray
    second: FloatArray


def measured(cache: Path, nets: int) -> Latencies:
    """Measure, or read what was measured."""
    table = LatencyTable(SPACE, cache, tell=say)
    matrix = sample_matrix(SPACE, nets, rng=np.random.default_rng(20))
    architectures = list(dict.fromkeys(to_architectures(SPACE, matrix)))
    first, second = (np.array(table.passed(architectures, number)) for number in (0, 1))
    return Latencies(architectures, first, second)


@dataclass(frozen=True)
class Quality:
    """A predictor on held-out nets: mean absolute percentage error, Kendall's τ-b, of all and the fastest quarter."""

    mape: float
    tau: float
    fast_mape: float
    fast_tau: float


def quality(predicted: FloatArray, truth: FloatArray) -> Quality:
    """Of arrays `(n,)`."""
    fast = np.argsort(truth)[: len(truth) // 4]
    return Quality(
        _mape(predicted, truth),
        _tau(predicted, truth),
        _mape(predicted[fast], truth[fast]),
        _tau(predicted[fast], truth[fast]),
    )


def _mape(predicted: FloatArray, truth: FloatArray) -> float:
    return float(np.mean(np.abs(predicted / truth - 1)))


def _tau(predicted: FloatArray, truth: FloatArray) -> float:
    """Kendall's τ-b; 0 for a predictor that always says the same."""
    found = float(kendalltau(predicted, truth).statistic)
    return found if np.isfinite(found) else 0.0


def fifty(found: Latencies, number: int) -> tuple[dict[str, Quality], PrivatePredictors]:
    """Every predictor fitted to one fifty and judged on the rest, and the private ones themselves."""
    order = np.random.default_rng(number).permutation(len(found.architectures))
    train, held_out = order[:TRAINING], order[TRAINING:]
    labels = [Label(found.architectures[at], float(found.first[at]), None) for at in train]
    predictors = fit(SPACE, labels, public=None, seed=number)
    prediction = predictors.predict(to_matrix(SPACE, [found.architectures[at] for at in held_out]))
    assert prediction.latency is not None
    truth = found.first[held_out]
    said = {
        "predictors": prediction.latency,
        "MACs only": _by_macs(found, train, held_out),
        "constant": np.full(len(held_out), np.exp(np.mean(np.log(found.first[train])))),
        # A perfect predictor knows the net's true latency; the other pass is as far from it as the truth here.
        "second measurement": found.second[held_out],
    }
    return {name: quality(values, truth) for name, values in said.items()}, predictors


def _by_macs(found: Latencies, train: NDArray[np.intp], held_out: NDArray[np.intp]) -> FloatArray:
    """A line through the logarithms of MACs and latency."""
    macs = np.log(static_costs(SPACE, to_matrix(SPACE, found.architectures))["macs"])
    slope, offset = np.polyfit(macs[train], np.log(found.first[train]), 1)
    predicted: FloatArray = np.exp(slope * macs[held_out] + offset)
    return predicted


def noise_floor(found: Latencies) -> float:
    """Error of a perfect predictor: two measurements differ by √2 times what each differs from the truth."""
    differences = np.abs(found.first - found.second) / ((found.first + found.second) / 2)
    return float(np.mean(differences) / 2**0.5)


def latency_rows(cache: Path, nets: int) -> Iterator[dict[str, Any]]:
    """Part one."""
    found = measured(cache, nets)
    judged = [fifty(found, number) for number in range(FIFTIES)]
    qualities = {name: [each[name] for each, _ in judged] for name in judged[0][0]}
    floor = noise_floor(found)
    chosen = [predictors.quality(_objective()).latency for _, predictors in judged]
    names = sorted({f"{one.regressor} on {one.encoding}" for one in chosen if one is not None})
    say(f"{len(found.architectures)} nets; chosen were: {'; '.join(names) or 'unknown'}")
    ours, macs = qualities["predictors"], qualities["MACs only"]
    yield row(
        "science: latency MAPE, 50 labels, held-out uniform nets",
        median(one.mape for one in ours), "fraction", f"<= {MAPE_TARGET:g} or {FLOOR_TARGET:g} x noise floor",
        peer="MACs only", peer_figure=median(one.mape for one in macs),
    )  # fmt: skip
    yield row("science: its noise floor", floor, "fraction")
    yield row("science: latency MAPE over the noise floor", median(one.mape for one in ours) / floor, "x")
    yield row("science: latency MAPE, constant", median(one.mape for one in qualities["constant"]), "fraction")
    yield row(
        "science: latency Kendall τ, 50 labels, held-out uniform nets",
        median(one.tau for one in ours), "τ", f">= {TAU_TARGET:g}",
        peer="MACs only", peer_figure=median(one.tau for one in macs),
    )  # fmt: skip
    again = qualities["second measurement"]
    yield row("science: Kendall τ of two measurements", median(one.tau for one in again), "τ")
    for name, metric in (("MAPE", "fast_mape"), ("Kendall τ", "fast_tau")):
        figures = [median(getattr(one, metric) for one in each) for each in (ours, macs, again)]
        unit = "fraction" if name == "MAPE" else "τ"
        label = f"science: latency {name}, fastest quarter"
        yield row(label, figures[0], unit, peer="MACs only", peer_figure=figures[1])
        yield row(f"{label}, of two measurements", figures[2], unit)


def _objective() -> Any:
    return KnownAnswer().objective


def tuner_rows() -> Iterator[dict[str, Any]]:
    """Part two."""
    picking = Searched(PICKED_BY, noise=PICKING_NOISE, budget=NEEDED_TARGET)
    best = max(picking.found, key=lambda one: standing(picking.needed(one)))
    say(f"picked: {_named(best)}")
    fresh = Searched(REPORTED, noise=REPORTED_NOISE, budget=LONGEST)
    for one in fresh.found:
        yield from regret_rows(one, fresh.known.best)
    for one in fresh.found:
        yield from needed_rows(_named(one), fresh.needed(one), fresh.randoms)
    same = next(one for one in fresh.found if _named(one) == _named(best))
    words = (
        f"science: {_named(best)}, picked by other seeds: fresh seeds that need at most {NEEDED_TARGET} "
        f"to random's best of {RANDOM_BUDGET}"
    )
    yield row(
        words, fresh.needed(same).within(NEEDED_TARGET), "seeds", f">= {SEEDS_TARGET} of {len(REPORTED)}",
        peer="random search itself", peer_figure=sum(one.found_at <= NEEDED_TARGET for one in fresh.randoms),
    )  # fmt: skip


class Searched:
    """Every tuner's searches on the known device, and what random search finds there, by seed."""

    def __init__(self, seeds: Sequence[int], *, noise: int, budget: int) -> None:
        self.known = KnownAnswer(seed=noise)
        self.randoms = [randoms_best(self.known, seed=seed, budget=RANDOM_BUDGET) for seed in seeds]
        self.found: list[Courses] = []
        for one in courses(self.known, seeds, pseudo_trials=PSEUDO_TRIALS, budget=budget):
            counts = [f"more than {budget}" if n is None else str(n) for n in self.needed(one).measurements]
            say(f"seeds {seeds[0]} to {seeds[-1]}, {_named(one)}: {', '.join(counts)}")
            self.found.append(one)

    def needed(self, one: Courses) -> Needed:
        """What a tuner needs to reach random search's best of the same seed."""
        return one.needed([best.score for best in self.randoms])


def standing(needed: Needed) -> tuple[int, float]:
    """How well a tuner did; more is better. Only picks, is never reported."""
    middle = needed.median
    return needed.within(NEEDED_TARGET), -LONGEST if middle is None else -middle


def regret_rows(one: Courses, best: float) -> Iterator[dict[str, Any]]:
    """A tuner's regret over its measurements: means over the seeds, and their standard errors."""
    for after in REGRET_AFTER:
        regrets = one.regret(best, after=after)
        name = f"science: {_named(one)}, fresh seeds, regret after {after} measurements"
        yield row(name, float(regrets.mean()), "accuracy")
        yield row(f"{name}, standard error", float(regrets.std(ddof=1) / len(regrets) ** 0.5), "accuracy")


def needed_rows(named: str, needed: Needed, randoms: Sequence[RandomsBest]) -> Iterator[dict[str, Any]]:
    """What a tuner needs over the seeds, next to what random search itself needed."""
    name = f"science: {named}, fresh seeds, to random's best of {RANDOM_BUDGET}"
    middle, behind = needed.median, sum(count is None for count in needed.measurements)
    unit = "trials" if middle is not None else "trials, and more"
    yield row(
        f"{name}, median measurements", LONGEST if middle is None else middle, unit,
        peer="random search itself, median", peer_figure=median(one.found_at for one in randoms),
    )  # fmt: skip
    yield row(f"{name}, seeds still behind after {LONGEST} and given up", behind, "seeds")


def _named(one: Courses) -> str:
    return f"{one.algorithm} with {one.pseudo_trials} pseudo trials"


def row(
    name: str,
    figure: float,
    unit: str,
    target: str | None = None,
    *,
    peer: str | None = None,
    peer_figure: float | None = None,
) -> dict[str, Any]:
    """One row, rounded to what the measurement is worth."""
    rounded = None if peer_figure is None else round(peer_figure, 4)
    return {
        "row": name,
        "figure": round(figure, 4),
        "unit": unit,
        "target": target,
        "peer": peer,
        "peer_figure": rounded,
    }


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("latency", "tuners"), help="only this one")
    parser.add_argument("--nets", type=int, default=NETS, help=f"nets measured ({NETS})")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where measurements are kept (runs/science)")
    given = parser.parse_args()
    if given.nets <= TRAINING + 8:
        parser.error(f"--nets: more than {TRAINING + 8}, since {TRAINING} are for fitting")
    parts = {"latency": lambda: latency_rows(given.cache, given.nets), "tuners": tuner_rows}
    for part in [given.part] if given.part else list(parts):
        for figures in parts[part]():
            print(json.dumps(figures, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
