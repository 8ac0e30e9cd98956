"""A whole search with a given number of trials in flight, its time simulated from measured seconds.

The tuner is the real one and reads the log that the operator would write; what a trial yields is looked up. A trial
takes the seconds that its build and its measurement took when they were made, on a device of its own: so many trials in
flight are so many workers and devices. What the tuner takes is measured now, one answer after the other.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import PredictedMetrics, TrialMetrics
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.scoring import Judgement, judge
from pfpnas_api.spaces import Architecture
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.workload import make_proposer


@dataclass(frozen=True)
class Yield:
    """What a trial brings, and the seconds until it does."""

    metrics: TrialMetrics
    seconds: float


@dataclass(frozen=True)
class ReplayedTrial:
    """A finished trial, as it was judged and foretold."""

    index: int
    architecture: str
    metrics: TrialMetrics
    judgement: Judgement
    predicted: PredictedMetrics | None
    finished_at: float


@dataclass
class Replay:
    """A finished search.

    Attributes:
        trials: In the order in which they ended.
        tuner_seconds: That the tuner took for all its answers.
    """

    trials: list[ReplayedTrial] = field(default_factory=list)
    tuner_seconds: float = 0.0

    @property
    def wall_seconds(self) -> float:
        """When the last trial ended."""
        return max((trial.finished_at for trial in self.trials), default=0.0)


def replay(
    job: TuneJob,
    lookup: Callable[[Architecture], Yield],
    *,
    trials: int,
    in_flight: int,
    public: AccuracyPredictor | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Replay:
    """Search until so many trials have ended, or the tuner has nothing left to suggest.

    Args:
        job: Space, objective and tuner.
        lookup: What an architecture yields.
        trials: Budget.
        in_flight: Trials under way at once.
        public: The supernet's own accuracy predictor.
        clock: Of the tuner's seconds.
    """
    space, found = job.search_space.space(classes=job.classes), Replay()
    tuner = _TimedTuner(Answers(make_proposer(job, public=public), made={}, checkpoint=job.checkpoint), clock)
    under_way: list[tuple[float, int, Suggestion, Yield]] = []
    told: list[LogEntry] = []
    now, asked = 0.0, min(in_flight, trials)
    while True:
        entries, told = [*told, LogEntry(event="Ask", count=asked)], []
        for suggestion, at in tuner.answer(entries, now):
            if suggestion.architecture is not None:
                told.append(LogEntry(event="Started", index=suggestion.index, architecture=suggestion.architecture))
                outcome = lookup(space.parse(suggestion.architecture))
                heapq.heappush(under_way, (at + outcome.seconds, suggestion.index, suggestion, outcome))
        if not under_way:
            break
        now, _, suggestion, outcome = heapq.heappop(under_way)
        ended = _ended(job, suggestion, outcome, now)
        found.trials.append(ended)
        told, asked = [_entry(job, ended), *told], min(asked + 1, trials)
    found.tuner_seconds = tuner.seconds
    return found


class _TimedTuner:
    """Answers, each with the simulated moment at which it is there; the tuner does one thing after the other."""

    def __init__(self, answers: Answers, clock: Callable[[], float]) -> None:
        self._answers, self._clock = answers, clock
        self.seconds, self._free_at = 0.0, 0.0

    def answer(self, entries: Sequence[LogEntry], now: float) -> Iterator[tuple[Suggestion, float]]:
        self._free_at = max(self._free_at, now)
        answers = self._answers.to(entries)
        while True:
            started = self._clock()
            suggestion = next(answers, None)
            took = self._clock() - started
            self.seconds += took
            self._free_at += took
            if suggestion is None:
                return
            yield suggestion, self._free_at


def _ended(job: TuneJob, suggestion: Suggestion, outcome: Yield, now: float) -> ReplayedTrial:
    assert suggestion.architecture is not None
    judgement = judge(job.objective, outcome.metrics)
    return ReplayedTrial(
        suggestion.index, suggestion.architecture, outcome.metrics, judgement, suggestion.predicted, now
    )


def _entry(job: TuneJob, trial: ReplayedTrial) -> LogEntry:
    latency = trial.metrics.latency_milliseconds
    assert latency is not None
    return LogEntry(
        event="Finished",
        index=trial.index,
        architecture=trial.architecture,
        outcome=trial.judgement.outcome,
        score=trial.judgement.score,
        accuracy=trial.metrics.accuracy,
        latency_ms=latency.p50,
        reference_ms=latency.reference,
        violation=trial.judgement.violation,
        checkpoint=job.checkpoint,
    )
