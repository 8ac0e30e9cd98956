"""Pseudo trials: predictors decide what is measured, all but an exploration share, and the log decides everything."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pytest

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import ObjectiveSpec, PredictionSpec, TunerSpec
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.spaces import sample_matrix
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.prediction.encoding import coded, one_hot
from pfpnas_workloads.prediction.network import Layer
from pfpnas_workloads.tuning._base import DESIGN_SUGGESTIONS
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.workload import make_proposer
from support.known_answer import KnownAnswer, entry_of, search

KNOWN = KnownAnswer()
ALGORITHMS = ("TPE", "RandomSearch", "Anneal", "NSGA2")
BUDGET = 22


def job(algorithm: str, **fields: object) -> TuneJob:
    tuner = TunerSpec.model_validate({"algorithm": algorithm, "seed": 1, "pseudoTrials": 60})
    whole = {"uid": "t", "experiment": "e", "search_space": KNOWN.spec, "classes": 10, "objective": KNOWN.objective}
    return TuneJob.model_validate(whole | {"tuner": tuner} | fields)


@lru_cache
def run(algorithm: str, *, budget: int = BUDGET) -> tuple[list[LogEntry], list[Suggestion]]:
    """A whole search, one trial at a time: its log, and what was suggested on the way."""
    log, made = [], []
    for measurement in search(KNOWN, algorithm, seed=1, pseudo_trials=60, budget=budget, parallel=1):
        made.append(measurement.suggestion)
        log += [LogEntry(event="Ask", count=len(made)), entry_of(measurement)]
    return log, made


def answered(
    of: TuneJob,
    log: Sequence[LogEntry],
    *,
    made: Sequence[Suggestion] = (),
    public: AccuracyPredictor | None = None,
) -> list[Suggestion]:
    """What a tuner says that reads the log entry by entry."""
    answers = Answers(make_proposer(of, public=public), made={suggestion.index: suggestion for suggestion in made})
    return [suggestion for entry in log for suggestion in answers.to([entry])]


def make_public() -> AccuracyPredictor:
    """The supernet's predictor: what a linear one can say of the accuracies."""
    matrix = sample_matrix(KNOWN.space, 400, rng=np.random.default_rng(0))
    codes = one_hot(KNOWN.space, coded(KNOWN.space, matrix))
    weights = np.linalg.lstsq(codes.T, KNOWN.accuracies(matrix), rcond=None)[0].astype(np.float32)
    return AccuracyPredictor(KNOWN.space, "a" * 64, (Layer(weights[:, None], np.zeros(1, np.float32)),))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_restarted_tuner_suggests_the_same_to_the_last_bit(algorithm: str) -> None:
    log, made = run(algorithm)
    stopped_after = BUDGET - 7  # between two refits, and behind a choice that has to be made again
    assert answered(job(algorithm), log, made=made[:stopped_after]) == made[stopped_after:]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_after_the_design_the_tuner_chooses_what_is_predicted_to_be_good(algorithm: str) -> None:
    _, made = run(algorithm)
    assert [s.origin for s in made[:DESIGN_SUGGESTIONS]] == ["Random"] * DESIGN_SUGGESTIONS
    chosen = [s for s in made[DESIGN_SUGGESTIONS:] if s.origin == "Tuner"]
    assert len(chosen) >= 8
    predicted = [s.predicted for s in chosen if s.predicted]
    assert len(predicted) == len(chosen)
    for metrics in predicted:
        assert metrics.accuracy is not None
        assert metrics.latency_milliseconds is not None
        assert metrics.feasible is not None
        assert metrics.labels is not None
    feasible = [metrics.feasible or 0 for metrics in predicted]
    assert sum(feasible) / len(feasible) > 0.4, "of all nets 27 % keep the limit"


def test_predicted_milliseconds_are_those_of_the_device_although_the_limit_is_relative() -> None:
    log, made = run("TPE")
    assert made[-1].predicted is not None
    assert made[-1].predicted.latency_milliseconds == pytest.approx(log[-1].latency_ms, rel=0.3)
    assert made[-1].predicted.latency_relative is not None
    assert log[-1].latency_ms is not None
    assert log[-1].reference_ms is not None
    assert made[-1].predicted.latency_relative == pytest.approx(log[-1].latency_ms / log[-1].reference_ms, rel=0.3)


def test_how_good_the_predictors_are_is_told_once_a_refit() -> None:
    _, made = run("TPE")
    told = [(s.index, s.predictor.labels) for s in made if s.predictor]
    # With one trial at a time the first suggestion after 4, 8, … results is the one of that index.
    assert told == [(labels, labels) for labels in range(4, BUDGET, 4)]


def test_a_restart_tells_a_refit_again_only_if_the_first_word_was_lost() -> None:
    log, made = run("TPE", budget=14)
    assert made[12].predictor is not None
    after = answered(job("TPE"), log, made=made[:13])
    assert [s.predictor for s in after] == [None]
    (lost,) = answered(
        job("TPE"), [*log[: 2 * 12 - 1], log[2 * 12 - 1], LogEntry(event="Ask", count=13)], made=made[:12]
    )
    assert lost.predictor == made[12].predictor


@pytest.mark.parametrize(("public", "start"), [(make_public(), "public"), (None, "log MACs")])
def test_accuracy_is_predicted_from_what_the_public_predictor_says(
    public: AccuracyPredictor | None, start: str
) -> None:
    log, _ = run("TPE")
    until_12_results = log[: 2 * 13 - 1]
    told = [s.predictor for s in answered(job("TPE"), until_12_results, public=public) if s.predictor]
    codes = [status.accuracy.encoding for status in told if status.accuracy]
    assert codes
    assert all(code.startswith(start) for code in codes)


@pytest.mark.parametrize(("share", "least", "most"), [("0", 0, 0), ("0.5", 4, 14), ("1", 22, 22)])
def test_a_share_of_the_trials_is_the_tuners_own_draw(share: str, least: int, most: int) -> None:
    log, _ = run("RandomSearch", budget=DESIGN_SUGGESTIONS + 22)
    made = answered(job("RandomSearch", prediction=PredictionSpec(exploration=share)), log)
    explored = [s for s in made[DESIGN_SUGGESTIONS:] if s.origin == "Random"]
    assert least <= len(explored) <= most


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_without_pseudo_trials_it_is_the_plain_tuner_and_nothing_is_predicted(algorithm: str) -> None:
    log, _ = run(algorithm, budget=16)
    plain = answered(job(algorithm, tuner=TunerSpec.model_validate({"algorithm": algorithm, "seed": 1})), log)
    assert all(s.predicted is None and s.predictor is None for s in plain)
    all_exploration = answered(job(algorithm, prediction=PredictionSpec(exploration="1")), log)
    assert [s.architecture for s in plain] == [s.architecture for s in all_exploration]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_trial_comes_twice_and_none_breaks_a_limit_known_beforehand(algorithm: str) -> None:
    limits = [{"metric": "Latency", "maxRelative": "1.7"}, {"metric": "FLOPs", "maxRelative": "1.6"}]
    of = job(algorithm, objective=ObjectiveSpec.model_validate({"constraints": limits}))
    proposer = make_proposer(of)
    answers, made = Answers(proposer, made={}), []
    waiting = list(answers.to([LogEntry(event="Ask", count=8)]))
    for _ in range(24):
        suggestion = waiting.pop(0)
        made.append(suggestion)
        assert suggestion.architecture is not None
        metrics = KNOWN.measured(KNOWN.space.parse(suggestion.architecture))
        latency = metrics.latency_milliseconds
        assert latency is not None
        done = LogEntry(
            event="Finished",
            index=suggestion.index,
            architecture=suggestion.architecture,
            outcome="Scored",
            score=metrics.accuracy or 0.0,
            accuracy=metrics.accuracy,
            latency_ms=latency.p50,
            reference_ms=latency.reference,
        )
        waiting += answers.to([done, LogEntry(event="Ask", count=8 + len(made))])
    nets = [KNOWN.space.parse(s.architecture or "") for s in made]
    assert len(set(nets)) == len(nets)
    assert all(proposer.region.contains(net) for net in nets)
