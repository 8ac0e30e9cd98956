"""What a pseudo run costs beside a real measurement: 1,000 pseudo trials at a history of 200, on a space of 39 genes.

    uv run python tests/benchmarks/suggest.py

A pseudo run is what happens when the results of four parallel trials are in: predictors fitted again, 1,000 draws (or
as many predictions of NSGA-II), their scores, and four picks. Peer, in the same process: hyperopt asked one by one,
`--asks` times and extrapolated to 1,000. Encodings and regressors are chosen anew only when the labels have grown by a
quarter: what that costs has rows of its own, and so has a run with the candidate that takes longest (perceptrons on the
one-hot code), whatever is chosen. Labels are those of the device with the known answer (tests/support/known_answer.py),
noise included; the accuracy starts from a public predictor, as in a search.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

import numpy as np

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import SearchSpaceSpec, TunerSpec
from pfpnas_api.messages import Suggestion
from pfpnas_api.scoring import judge
from pfpnas_api.spaces import sample_matrix
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.prediction.candidates import Candidate
from pfpnas_workloads.prediction.encoding import coded, one_hot
from pfpnas_workloads.prediction.network import train
from pfpnas_workloads.prediction.private import Choice
from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning._hyperopt import HyperoptTuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.ledger import Ledger
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.pseudo import PseudoTrials
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.refit import GROWTH, Refit, Refits
from pfpnas_workloads.tuning.tpe import TPE
from pfpnas_workloads.tuning.workload import make_proposer
from support.known_answer import KnownAnswer, Measurement, entry_of

PSEUDO_TRIALS, HISTORY, PARALLEL, TARGET_SECONDS = 1000, 200, 4, 1.0

KNOWN = KnownAnswer(
    spec=SearchSpaceSpec(backbone="MobileNetV2", kernel_sizes=(3, 5, 7), expand_ratios=(2, 3, 4), depths=(1, 2, 3)),
    limit="2",
)
SPACE = KNOWN.space

PUBLIC_SAMPLES = 400
"""Subnets that the public predictor is fitted to."""

SLOWEST = Choice(
    (
        ("latency", Candidate("log MACs", "one-hot", "perceptron 3x400")),
        ("accuracy", Candidate("public", "one-hot", "perceptron 3x400")),
    )
)
"""Whatever the choice would be: no candidate takes longer to fit and to ask."""

PEERS: dict[str, type[HyperoptTuner]] = {"TPE": TPE, "RandomSearch": RandomSearch, "Anneal": Anneal}


def measured(*, seed: int) -> Sequence[Observation]:
    """Results of uniform architectures on the device with the known answer, as the tuner's log tells them."""
    rng, ledger = np.random.default_rng(seed), Ledger(SPACE)
    for index in range(HISTORY):
        architecture = SPACE.sample(rng)
        metrics = KNOWN.measured(architecture)
        suggestion = Suggestion(index=index, architecture=architecture.id)
        ledger.add(entry_of(Measurement(suggestion, architecture, metrics, judge(KNOWN.objective, metrics))))
    return ledger.history


@cache
def public() -> AccuracyPredictor:
    """A predictor of the accuracy on other data: the known one's, with a part of each net's own that stays hidden."""
    rng = np.random.default_rng(1)
    matrix = sample_matrix(SPACE, PUBLIC_SAMPLES, rng=rng)
    labels = KNOWN.accuracies(matrix) + rng.normal(0, 0.02, PUBLIC_SAMPLES)
    layers = train(one_hot(SPACE, coded(SPACE, matrix)), labels.astype(np.float32), rng=rng)
    return AccuracyPredictor(SPACE, "0" * 64, layers)


@dataclass(frozen=True)
class Forced(Refits):
    """Refits that take the slowest candidate and choose nothing."""

    def to(self, results: tuple[Observation, ...], *, choice: Choice | None) -> Refit | None:
        """Predictors fitted to some results."""
        return super().to(results, choice=SLOWEST)


def proposer(algorithm: str, *, seed: int, forced: bool = False) -> Proposer:
    """The tuner with pseudo trials, as a job asks for it."""
    tuner = TunerSpec.model_validate({"algorithm": algorithm, "pseudoTrials": PSEUDO_TRIALS, "seed": seed})
    job = TuneJob(uid="t", experiment="e", search_space=KNOWN.spec, classes=10, objective=KNOWN.objective, tuner=tuner)
    made = make_proposer(job, public=public())
    if not forced:
        return made
    inner, region = made.tuner, made.region
    assert isinstance(inner, PseudoTrials)
    refits = Forced(**{field.name: getattr(inner.refits, field.name) for field in fields(Refits)})
    return Proposer(PseudoTrials(inner.inner, region, refits, count=inner.count), region)


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def pseudo_run(algorithm: str, *, seed: int) -> tuple[float, float]:
    """Seconds of one pseudo run with its four suggestions, and of choosing encodings and regressors."""
    made_by = proposer(algorithm, seed=seed)
    assert isinstance(made_by.tuner, PseudoTrials)
    history = measured(seed=seed)
    refits = made_by.tuner.refits
    by, chosen = tuple(history[: refits.chosen_at(history)]), []
    choosing = timed(lambda: chosen.append(refits.to(by, choice=None)))
    say(f"{algorithm}, seed {seed}, chosen: {[refit and refit.predictors.choice for refit in chosen]}")
    suggest(made_by, history[:-PARALLEL])  # makes the choice that is in force, and imports what is imported once
    return timed(lambda: suggest(made_by, history)), choosing


def slowest_run(algorithm: str, *, seed: int) -> float:
    """Seconds of one pseudo run with the slowest candidate."""
    made_by, history = proposer(algorithm, seed=seed, forced=True), measured(seed=seed)
    suggest(made_by, history[:-PARALLEL])
    return timed(lambda: suggest(made_by, history))


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


def suggest(made_by: Proposer, history: Sequence[Observation]) -> None:
    """Four trials one after the other, each under way when the next is asked for."""
    trials = list(history)
    for index in range(len(history), len(history) + PARALLEL):
        suggestion = made_by.suggestion(index, trials, {trial.architecture for trial in trials})
        assert suggestion.architecture is not None
        trials.append(Observation(made_by.tuner.space.parse(suggestion.architecture)))


def one_by_one(kind: type[HyperoptTuner], *, asks: int) -> float:
    """Seconds that 1,000 asks of hyperopt take, extrapolated from some; its trials are made once."""
    tuner = kind(SPACE, seed=0)
    trials = tuner.trials(measured(seed=0))
    tuner.ask(HISTORY, tuner.domain, trials, 0)
    spent = timed(lambda: [tuner.ask(HISTORY, tuner.domain, trials, seed) for seed in range(asks)])
    return spent / asks * PSEUDO_TRIALS


def rows(algorithm: str, *, runs: int, asks: int) -> list[dict[str, Any]]:
    """The rows of one tuner; medians of `runs`."""
    seconds, choosing = zip(*(pseudo_run(algorithm, seed=seed) for seed in range(runs)), strict=True)
    slowest = statistics.median(slowest_run(algorithm, seed=seed) for seed in range(runs))
    run, choice = statistics.median(seconds), statistics.median(choosing)
    share = choice / (HISTORY * (GROWTH - 1))  # of the trials until the next choice
    kind = PEERS.get(algorithm)
    peer = round(one_by_one(kind, asks=asks), 2) if kind else None
    figures = {
        f"{algorithm}, for each of {PARALLEL} parallel trials": (run / PARALLEL, TARGET_SECONDS),
        f"{algorithm}, the whole pseudo run": (run, None),
        f"{algorithm}, for each of {PARALLEL} parallel trials with the slowest candidate": (slowest / PARALLEL, None),
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
