"""What a pseudo run costs beside a real measurement: 1,000 pseudo trials at a history of 200, on a space of 39 genes.

    uv run python tests/benchmarks/suggest.py

A pseudo run is what happens when the results of four parallel trials are in: predictors fitted again, 1,000 draws (or
as many predictions of NSGA-II), their scores, and four picks. Peer, in the same process: hyperopt asked one by one,
`--asks` times and extrapolated to 1,000. Encodings and regressors are chosen anew only when the labels have grown by a
quarter: what that costs has rows of its own.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import ObjectiveSpec, SearchSpaceSpec, TunerSpec
from pfpnas_api.spaces import SearchSpace, cost
from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning._hyperopt import HyperoptTuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.pseudo import PseudoTrials
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.refit import GROWTH
from pfpnas_workloads.tuning.tpe import TPE
from pfpnas_workloads.tuning.workload import make_proposer

PSEUDO_TRIALS, HISTORY, PARALLEL, TARGET_SECONDS = 1000, 200, 4, 1.0

SPACE = SearchSpaceSpec(backbone="MobileNetV2", kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 4), depths=(1, 2, 3))

PEERS: dict[str, type[HyperoptTuner]] = {"TPE": TPE, "RandomSearch": RandomSearch, "Anneal": Anneal}


def measured(space: SearchSpace, *, seed: int) -> list[Observation]:
    """Results of uniform architectures: a latency that follows the MACs, an accuracy that saturates with them."""
    rng = np.random.default_rng(seed)
    found = []
    for architecture in (space.sample(rng) for _ in range(HISTORY)):
        work = cost(space, architecture).macs / cost(space, space.minimum()).macs
        accuracy = float(np.clip(0.9 - 0.3 / work + 0.01 * rng.normal(), 0, 1))
        latency = float(work**0.8 * np.exp(0.03 * rng.normal()))
        found.append(Observation(architecture, -accuracy, accuracy=accuracy, latency_ms=latency, reference_ms=1.0))
    return found


def proposer(algorithm: str, *, seed: int) -> Proposer:
    """The tuner with pseudo trials, as a job asks for it."""
    tuner = TunerSpec.model_validate({"algorithm": algorithm, "pseudoTrials": PSEUDO_TRIALS, "seed": seed})
    objective = ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "maxRelative": "2"}]})
    job = TuneJob(uid="t", experiment="e", search_space=SPACE, classes=10, objective=objective, tuner=tuner)
    return make_proposer(job)


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pseudo_run(algorithm: str, *, seed: int) -> tuple[float, float]:
    """Seconds of one pseudo run with its four suggestions, and of choosing encodings and regressors."""
    made_by = proposer(algorithm, seed=seed)
    assert isinstance(made_by.tuner, PseudoTrials)
    history = measured(made_by.tuner.space, seed=seed)
    refits = made_by.tuner.refits
    by = tuple(history[: refits.chosen_at(history)])
    choosing = timed(lambda: refits.to(by, choice=None))
    suggest(made_by, history[:-PARALLEL])  # makes the choice that is in force, and imports what is imported once
    return timed(lambda: suggest(made_by, history)), choosing


def suggest(made_by: Proposer, history: Sequence[Observation]) -> None:
    """Four trials one after the other, each under way when the next is asked for."""
    trials = list(history)
    for index in range(len(history), len(history) + PARALLEL):
        suggestion = made_by.suggestion(index, trials, {trial.architecture for trial in trials})
        assert suggestion.architecture is not None
        trials.append(Observation(made_by.tuner.space.parse(suggestion.architecture)))


def one_by_one(kind: type[HyperoptTuner], *, asks: int) -> float:
    """Seconds that 1,000 asks of hyperopt take, extrapolated from some; its trials are made once."""
    space = SPACE.space(classes=10)
    tuner = kind(space, seed=0)
    trials = tuner.trials(measured(space, seed=0))
    tuner.ask(HISTORY, tuner.domain, trials, 0)
    spent = timed(lambda: [tuner.ask(HISTORY, tuner.domain, trials, seed) for seed in range(asks)])
    return spent / asks * PSEUDO_TRIALS


def rows(algorithm: str, *, runs: int, asks: int) -> list[dict[str, Any]]:
    """The rows of one tuner; medians of `runs`."""
    seconds, choosing = zip(*(pseudo_run(algorithm, seed=seed) for seed in range(runs)), strict=True)
    run, choice = statistics.median(seconds), statistics.median(choosing)
    share = choice / (HISTORY * (GROWTH - 1))  # of the trials until the next choice
    kind = PEERS.get(algorithm)
    peer = round(one_by_one(kind, asks=asks), 2) if kind else None
    figures = {
        f"{algorithm}, for each of {PARALLEL} parallel trials": (run / PARALLEL, TARGET_SECONDS),
        f"{algorithm}, the whole pseudo run": (run, None),
        f"{algorithm}, choosing encodings and regressors once": (choice, None),
        f"{algorithm}, for each trial with its share of choosing": (run / PARALLEL + share, None),
    }
    named = f"hyperopt asked {PSEUDO_TRIALS} times one by one, from {asks} asks" if kind else ""
    # The peer does what a pseudo run does, without predictors; choosing them has no peer.
    peers = {row: (named, peer) if "choosing" not in row else ("", None) for row in figures}
    return [
        {
            "row": row,
            "figure": round(figure, 4),
            "unit": "s",
            "target": target,
            "peer": peers[row][0],
            "peer_figure": peers[row][1],
        }
        for row, (figure, target) in figures.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="pseudo runs a tuner")
    parser.add_argument("--asks", type=int, default=50, help="asks of hyperopt")
    arguments = parser.parse_args()
    for algorithm in (*PEERS, "NSGA2"):
        for row in rows(algorithm, runs=arguments.runs, asks=arguments.asks):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
