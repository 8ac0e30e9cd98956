"""A search whose best answer is known: latency and accuracy in closed form, a space that can be enumerated, and a loop
that runs a tuner through its real log, in process and without Redis.

Neither form is linear in the genes: blocks have an overhead, large kernels hit a slow path in every other stage, wide
stages fall out of the cache; accuracy saturates with each stage's capacity, large kernels help where the image is
large, and a stage gains by its neighbour's depth.
"""

import hashlib
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import Latency, ObjectiveSpec, PredictionSpec, SearchSpaceSpec, TrialMetrics, TunerSpec
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.scoring import Judgement, judge
from pfpnas_api.spaces import Architecture, GeneMatrix, SearchSpace, active_mask, canonical, to_matrix
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.workload import make_proposer

FloatArray = NDArray[np.float64]

ENUMERABLE = SearchSpaceSpec(
    backbone="MobileNetV2",
    width_multiplier="0.25",
    kernel_sizes=(3,),
    expand_ratios=(2, 4),
    depths=(1, 2),
    resolutions=(16, 24),
)
"""Of 31,104 nets with 22 genes that vary, half of them not always active."""

LARGER = SearchSpaceSpec(
    backbone="MobileNetV2",
    width_multiplier="0.25",
    kernel_sizes=(3, 5),
    expand_ratios=(2, 3, 4),
    depths=(1, 2),
    resolutions=(16, 24),
)
"""Of 10^8 nets; the best is not known."""


@dataclass(frozen=True)
class KnownAnswer:
    """A device and a data set that are formulas.

    Attributes:
        spec: The search space.
        limit: On latency, as a multiple of the smallest net's.
        noise: Deviation of a measured latency's logarithm, and a tenth of it of an accuracy.
        seed: Of the noise.
    """

    spec: SearchSpaceSpec = ENUMERABLE
    limit: str = "1.7"
    noise: float = 0.02
    seed: int = 0

    @property
    def space(self) -> SearchSpace:
        return self.spec.space(classes=10)

    @property
    def objective(self) -> ObjectiveSpec:
        return ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "maxRelative": self.limit}]})

    def latencies(self, matrix: GeneMatrix) -> FloatArray:
        """Milliseconds without noise, `(n,)`."""
        genes = _Values(self.space, matrix)
        total = np.full(len(matrix), 0.2)
        for stage, (kernel, expand, acts) in enumerate(genes.stages):  # each (n, blocks)
            work = 0.02 * (1 + 0.3 * stage) * expand * (1 + 0.05 * kernel**2) * (genes.resolution / 24) ** 2
            slow_path = 1 + 0.6 * ((kernel > 3) & (stage % 2 == 1))
            spills = 1 + 0.35 * ((expand * acts).sum(axis=1, keepdims=True) > 5) * (genes.resolution > 16)
            total += ((0.03 + work * slow_path * spills) * acts).sum(axis=1)
        return total

    def accuracies(self, matrix: GeneMatrix) -> FloatArray:
        """As fractions, without noise, `(n,)`."""
        genes = _Values(self.space, matrix)
        large = genes.resolution[:, 0] > 16
        gain, before = np.zeros(len(matrix)), np.ones(len(matrix))
        for stage, (kernel, expand, acts) in enumerate(genes.stages):
            seen = 1 + 0.08 * (kernel - 3) * np.where(large[:, None], 1.0, -0.5)
            capacity = (expand**0.7 * seen * acts).sum(axis=1)
            weight = (0.5, 1.4, 0.7, 1.6, 0.4, 1.0)[stage % 6]
            gain += weight * (1 - np.exp(-capacity / (1.2 + 0.4 * stage)))
            depth = acts.sum(axis=1)
            gain += 0.15 * (depth == before) * (stage % 2) - 0.08 * (depth < before)
            before = depth
        return 0.25 + 0.7 * (1 - np.exp(-(gain + 0.5 * large) / 3.5))

    def measured(self, architecture: Architecture) -> TrialMetrics:
        """What an agent would say: with noise, the accuracy skipped where the latency is twice over its limit."""
        row = to_matrix(self.space, [architecture])
        digest = hashlib.sha256(f"{self.seed}:{architecture.id}".encode()).digest()
        slower, better, reference = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(size=3)
        p50 = float(self.latencies(row)[0] * np.exp(self.noise * slower))
        base = float(self._reference * np.exp(self.noise * reference / 4))
        skipped = p50 / base > 2 * float(self.limit)
        accuracy = float(np.clip(self.accuracies(row)[0] + self.noise / 10 * better, 0, 1))
        latency = Latency(p50=p50, p90=p50, mad=0, runs=64, reference=base)
        return TrialMetrics(
            accuracy=None if skipped else accuracy, accuracy_skipped=skipped, latency_milliseconds=latency
        )

    def scores(self, matrix: GeneMatrix) -> FloatArray:
        """The true score of what keeps the limit, `(n,)`; minus infinity for what doesn't."""
        feasible = self.latencies(matrix) <= float(self.limit) * self._reference
        return np.where(feasible, self.accuracies(matrix), -np.inf)

    @cached_property
    def _reference(self) -> float:
        return float(self.latencies(to_matrix(self.space, [self.space.minimum()]))[0])

    @cached_property
    def best(self) -> float:
        """The best true score of the whole space; only for one that can be enumerated."""
        return float(self.scores(every_net(self.space)).max())


class _Values:
    """Genes as values: resolution `(n, 1)`; per stage kernels, expansions and activity, each `(n, blocks)`."""

    def __init__(self, space: SearchSpace, matrix: GeneMatrix) -> None:
        genes = space.genes()
        acts = active_mask(space, matrix)
        values = np.column_stack([np.array(gene.values)[matrix[:, at]] for at, gene in enumerate(genes)])
        self.resolution = values[:, :1]
        self.stages = []
        for stage in range(len(space.elastic_rows)):
            kernel, expand = (
                [at for at, gene in enumerate(genes) if gene.stage == stage and gene.kind == kind]
                for kind in ("kernel", "expand")
            )
            self.stages.append((values[:, kernel], values[:, expand], acts[:, kernel]))


@lru_cache(maxsize=2)
def every_net(space: SearchSpace) -> GeneMatrix:
    """Every architecture of a space once, `(count, genes)`."""
    indices = product(*(range(len(gene.values)) for gene in space.genes()))
    return np.unique(canonical(space, np.array(list(indices), np.int8)), axis=0)


@dataclass(frozen=True)
class Measurement:
    """One trial of a search."""

    suggestion: Suggestion
    architecture: Architecture
    metrics: TrialMetrics
    judgement: Judgement


def search(
    known: KnownAnswer,
    algorithm: str,
    *,
    seed: int,
    pseudo_trials: int = 0,
    budget: int = 40,
    parallel: int = 4,
    prediction: PredictionSpec | None = None,
) -> Iterator[Measurement]:
    """A whole search in process: the tuner reads the log that the operator would write.

    Trials end in the order in which they were started; each makes room for one more.
    """
    job = TuneJob(
        uid="tune",
        experiment="known",
        search_space=known.spec,
        classes=10,
        objective=known.objective,
        tuner=TunerSpec.model_validate({"algorithm": algorithm, "seed": seed, "pseudoTrials": pseudo_trials}),
        prediction=prediction or PredictionSpec(),
    )
    answers = Answers(make_proposer(job), made={})
    waiting = list(answers.to([LogEntry(event="Ask", count=min(parallel, budget))]))
    for done in range(budget):
        suggestion = waiting.pop(0)
        found = _measure(known, suggestion)
        yield found
        asked = min(done + 1 + parallel, budget)
        waiting += answers.to([entry_of(found), LogEntry(event="Ask", count=asked)])


def _measure(known: KnownAnswer, suggestion: Suggestion) -> Measurement:
    assert suggestion.architecture is not None, suggestion.exhausted
    architecture = known.space.parse(suggestion.architecture)
    metrics = known.measured(architecture)
    return Measurement(suggestion, architecture, metrics, judge(known.objective, metrics))


def entry_of(found: Measurement) -> LogEntry:
    """What the operator writes of it."""
    latency = found.metrics.latency_milliseconds
    assert latency is not None
    return LogEntry(
        event="Finished",
        index=found.suggestion.index,
        architecture=found.suggestion.architecture,
        outcome=found.judgement.outcome,
        score=found.judgement.score,
        accuracy=found.metrics.accuracy,
        latency_ms=latency.p50,
        reference_ms=latency.reference,
        violation=found.judgement.violation,
    )


def best_so_far(known: KnownAnswer, found: Sequence[Measurement]) -> FloatArray:
    """The best true score after each measurement, `(measurements,)`; minus infinity while none keeps the limit."""
    scores = known.scores(to_matrix(known.space, [one.architecture for one in found]))
    return np.maximum.accumulate(scores)


@dataclass(frozen=True)
class RandomsBest:
    """What random search finds in its budget: the true score, and after how many measurements it was found."""

    score: float
    found_at: int


def randoms_best(known: KnownAnswer, *, seed: int, budget: int = 200) -> RandomsBest:
    """Of one seed; -inf where nothing kept the limit."""
    course = best_so_far(known, list(search(known, "RandomSearch", seed=seed, budget=budget)))
    return RandomsBest(float(course[-1]), int(np.argmax(course == course[-1])) + 1)


@dataclass(frozen=True)
class Needed:
    """What one tuner needs to be as good as random search after its budget, by seed.

    Attributes:
        measurements: For each seed; None if it wasn't as good within the budget.
    """

    measurements: tuple[int | None, ...]

    def within(self, count: int) -> int:
        """How many seeds need at most so many."""
        return sum(one is not None and one <= count for one in self.measurements)

    @property
    def median(self) -> float | None:
        """Over all seeds; None where half of them were not as good within the budget: it is more than that then."""
        middle = statistics.median(np.inf if one is None else one for one in self.measurements)
        return middle if np.isfinite(middle) else None


@dataclass(frozen=True)
class Courses:
    """One tuner's searches, a seed each.

    Attributes:
        algorithm: The tuner.
        pseudo_trials: Its draws a refit.
        scores: The best true score after each measurement, `(seeds, measurements)`.
    """

    algorithm: str
    pseudo_trials: int
    scores: FloatArray

    def needed(self, targets: Sequence[float]) -> Needed:
        """After how many measurements each seed's search has reached its target."""
        there = self.scores >= np.array(targets)[:, None]  # (seeds, measurements)
        return Needed(tuple(int(np.argmax(row)) + 1 if row.any() else None for row in there))

    def regret(self, best: float, *, after: int) -> FloatArray:
        """What the best net so far lacks to the best there is, `(seeds,)`; all of it while none keeps the limit."""
        return best - np.maximum(self.scores[:, after - 1], 0.0)


def courses(
    known: KnownAnswer,
    seeds: Sequence[int],
    *,
    pseudo_trials: Sequence[int],
    algorithms: Sequence[str] = ("RandomSearch", "TPE", "Anneal", "NSGA2"),
    budget: int,
) -> Iterator[Courses]:
    """Every tuner with and without pseudo trials, each search to the end of its budget."""
    for algorithm, count in product(algorithms, pseudo_trials):
        found = (search(known, algorithm, seed=seed, pseudo_trials=count, budget=budget) for seed in seeds)
        yield Courses(algorithm, count, np.array([best_so_far(known, list(one)) for one in found]))
