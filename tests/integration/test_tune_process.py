"""The tuner as a process: killed, flushed, cut off and stopped, it goes on and answers nothing twice."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from redis import Redis

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.bus import OperatorBus, connect
from pfpnas_api.jobs import EXIT_RETRY, TuneJob
from pfpnas_api.kinds import ObjectiveSpec, PredictorStatus, SearchSpaceSpec, TunerSpec
from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.spaces import cost
from pfpnas_workloads.prediction import AccuracyPredictor, width
from pfpnas_workloads.prediction.predictor import Layer
from support.redis_server import redis_server
from support.workload_service import WorkloadProcess, workload

EXPERIMENT = "e-1"
SPACE = SearchSpaceSpec(
    backbone="MobileNetV2", width_multiplier="0.25", kernel_sizes=(3, 5), expand_ratios=(2, 3), depths=(1, 2)
)


def tune_job(**fields: object) -> TuneJob:
    job = {
        "uid": "tune-1",
        "experiment": EXPERIMENT,
        "search_space": SPACE,
        "classes": 10,
        "objective": ObjectiveSpec(),
        "tuner": TunerSpec(algorithm="TPE", seed=3),
    }
    return TuneJob.model_validate(job | fields)


def ask(operator: OperatorBus, count: int) -> None:
    operator.append_log(EXPERIMENT, [LogEntry(event="Ask", count=count)])


def results(suggestions: Sequence[Suggestion]) -> list[LogEntry]:
    return [
        LogEntry(
            event="Finished",
            index=s.index,
            architecture=s.architecture,
            outcome="Scored",
            score=len(s.architecture or "") / 100,
        )
        for s in suggestions
    ]


def answered(operator: OperatorBus, process: WorkloadProcess, count: int) -> list[Suggestion]:
    """All suggestions, once there are so many."""
    return process.until(
        lambda: found if len(found := [s for _, s in operator.suggestions(EXPERIMENT)]) >= count else None
    )


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_it_answers_asks_rings_the_bell_and_ends_with_75_when_told_to_stop(
    redis_client: Redis, redis_url: str, store: Path
) -> None:
    operator = OperatorBus(redis_client)
    with workload("tune", job=tune_job(), store=store, redis_url=redis_url) as process:
        ask(operator, 3)
        first = answered(operator, process, 3)
        operator.append_log(EXPERIMENT, results(first))
        ask(operator, 5)
        suggestions = answered(operator, process, 5)
        _, bells = operator.wait_for_bell(after="0", block_milliseconds=1)
        assert process.terminate() == EXIT_RETRY
    assert [s.index for s in suggestions] == [0, 1, 2, 3, 4]
    assert len({s.architecture for s in suggestions}) == 5
    assert {bell.uid for bell in bells} == {"tune-1"}
    progress = operator.progress("tune-1")
    assert progress is not None
    assert progress.stage == "Tune"


def test_killed_and_started_again_it_goes_on_as_an_unbroken_one(
    redis_client: Redis, redis_url: str, store: Path
) -> None:
    operator = OperatorBus(redis_client)

    def rounds(*, killed: bool) -> list[Suggestion]:
        redis_client.flushall()
        ask(operator, 6)
        with workload("tune", job=tune_job(), store=store, redis_url=redis_url) as process:
            first = answered(operator, process, 3 if killed else 6)
            if killed:
                process.kill()
            else:
                operator.append_log(EXPERIMENT, results(first[:6]))
                ask(operator, 10)
                return answered(operator, process, 10)
        with workload("tune", job=tune_job(), store=store, redis_url=redis_url) as process:
            operator.append_log(EXPERIMENT, results(answered(operator, process, 6)))
            ask(operator, 10)
            return answered(operator, process, 10)

    unbroken, broken = rounds(killed=False), rounds(killed=True)
    assert [s.index for s in broken] == list(range(10))
    assert broken == unbroken


def measured(suggestions: Sequence[Suggestion]) -> list[LogEntry]:
    """Results with an accuracy and a latency, which the private predictors learn from."""
    space = SPACE.space(classes=10)
    entries = []
    for entry in results(suggestions):
        macs = cost(space, space.parse(entry.architecture or "")).macs / 1e6
        accuracy = 0.9 - 0.2 / macs
        figures = {"accuracy": accuracy, "score": accuracy, "latency_ms": macs, "reference_ms": 0.5, "violation": 0.0}
        entries.append(entry.model_copy(update=figures))
    return entries


@pytest.mark.parametrize("algorithm", ["TPE", "NSGA2"])
def test_killed_between_two_refits_it_predicts_the_same_to_the_last_bit(
    redis_client: Redis, redis_url: str, store: Path, algorithm: str
) -> None:
    operator = OperatorBus(redis_client)
    tuner = TunerSpec.model_validate({"algorithm": algorithm, "seed": 3, "pseudoTrials": 50})

    def rounds(*, killed: bool) -> list[Suggestion]:
        redis_client.flushall()
        with workload("tune", job=tune_job(tuner=tuner), store=store, redis_url=redis_url) as process:
            ask(operator, 8)
            operator.append_log(EXPERIMENT, measured(answered(operator, process, 8)))
            ask(operator, 10)
            operator.append_log(EXPERIMENT, measured(answered(operator, process, 10)[8:]))
            if killed:
                process.kill()
            else:
                ask(operator, 12)
                return answered(operator, process, 12)
        with workload("tune", job=tune_job(tuner=tuner), store=store, redis_url=redis_url) as process:
            ask(operator, 12)
            return answered(operator, process, 12)

    unbroken, broken = rounds(killed=False), rounds(killed=True)
    assert broken == unbroken
    assert [s.index for s in broken if s.predictor] == [8]
    assert all(s.predicted and s.predicted.labels == 8 for s in broken[8:])


WEIGHTS, OTHER_WEIGHTS = "a" * 64, "b" * 64
"""Digests of the supernet that is searched, and of the one before it was trained anew."""


def predictors_after(
    operator: OperatorBus, process: WorkloadProcess, entries: Callable[[Sequence[Suggestion]], list[LogEntry]]
) -> PredictorStatus:
    """What the tuner says of its predictors after eight results."""
    ask(operator, 8)
    operator.append_log(EXPERIMENT, entries(answered(operator, process, 8)))
    ask(operator, 9)
    (status,) = [s.predictor for s in answered(operator, process, 9) if s.predictor]
    return status


@pytest.mark.parametrize(("weights", "labels"), [(WEIGHTS, 8), (OTHER_WEIGHTS, None)], ids=["searched", "other"])
def test_accuracies_of_other_weights_are_not_learnt_from_and_latencies_are(
    redis_client: Redis, redis_url: str, store: Path, weights: str, labels: int | None
) -> None:
    def entries(suggestions: Sequence[Suggestion]) -> list[LogEntry]:
        return [entry.model_copy(update={"checkpoint": weights}) for entry in measured(suggestions)]

    job = tune_job(tuner=TunerSpec(algorithm="TPE", seed=3, pseudo_trials=50), checkpoint=WEIGHTS)
    with workload("tune", job=job, store=store, redis_url=redis_url) as process:
        status = predictors_after(OperatorBus(redis_client), process, entries)
    assert status.latency is not None
    assert status.latency.labels == 8
    assert (status.accuracy.labels if status.accuracy else None) == labels


def test_private_predictors_start_from_the_public_one(redis_client: Redis, redis_url: str, store: Path) -> None:
    import numpy as np

    space = SPACE.space(classes=10)
    weights = np.random.default_rng(0).normal(0, 0.05, (width(space), 1)).astype(np.float32)
    public = AccuracyPredictor(space, "0" * 64, (Layer(weights, np.full(1, 0.5, np.float32)),))

    def entries(suggestions: Sequence[Suggestion]) -> list[LogEntry]:
        said = public.predict([space.parse(s.architecture or "") for s in suggestions]).tolist()
        pairs = zip(measured(suggestions), said, strict=True)
        return [entry.model_copy(update={"accuracy": 0.3 + 0.5 * accuracy}) for entry, accuracy in pairs]

    tuner = TunerSpec(algorithm="TPE", seed=3, pseudo_trials=50)
    job = tune_job(tuner=tuner, predictor=FolderStore(store).put(public.save()))
    with workload("tune", job=job, store=store, redis_url=redis_url) as process:
        status = predictors_after(OperatorBus(redis_client), process, entries)
    assert status.accuracy is not None
    assert status.accuracy.encoding == "public"


def test_after_a_flush_it_reads_the_log_that_is_written_anew_and_repeats_nothing(
    redis_client: Redis, redis_url: str, store: Path
) -> None:
    operator = OperatorBus(redis_client)
    with workload("tune", job=tune_job(), store=store, redis_url=redis_url) as process:
        ask(operator, 4)
        before = answered(operator, process, 4)
        redis_client.flushall()
        operator.append_log(EXPERIMENT, [*results(before), LogEntry(event="Ask", count=7)])
        after = answered(operator, process, 3)
        assert process.terminate() == EXIT_RETRY
    assert [s.index for s in after] == [4, 5, 6]
    assert len({s.architecture for s in before + after}) == 7


def test_it_waits_for_a_redis_that_is_away_and_stops_while_it_waits(tmp_path: Path, store: Path) -> None:
    with (
        redis_server(persist=tmp_path) as server,
        workload("tune", job=tune_job(), store=store, redis_url=server.url) as process,
    ):
        ask(OperatorBus(connect(server.url)), 2)
        answered(OperatorBus(connect(server.url)), process, 2)
        server.kill()
        process.until(lambda: "redis is away" in process.log.read_text())
        server.start()
        operator = OperatorBus(connect(server.url))
        ask(operator, 4)
        assert [s.index for s in answered(operator, process, 4)] == [0, 1, 2, 3]
        server.kill()
        assert process.terminate() == EXIT_RETRY


def test_what_nothing_can_keep_is_said_with_the_closest(redis_client: Redis, redis_url: str, store: Path) -> None:
    operator = OperatorBus(redis_client)
    objective = ObjectiveSpec.model_validate({"constraints": [{"metric": "FLOPs", "max": "1k"}]})
    with workload("tune", job=tune_job(objective=objective), store=store, redis_url=redis_url) as process:
        ask(operator, 1)
        (suggestion,) = answered(operator, process, 1)
    assert suggestion.exhausted == "NoFeasibleArchitecture"
    assert suggestion.closest == SPACE.space(classes=10).minimum().id


def test_the_public_predictor_has_its_word_beside_each_suggestion(
    redis_client: Redis, redis_url: str, store: Path
) -> None:
    import numpy as np

    space = SPACE.space(classes=10)
    constant = Layer(np.zeros((width(space), 1), np.float32), np.full(1, 0.625, np.float32))
    artifact = FolderStore(store).put(AccuracyPredictor(space, "0" * 64, (constant,)).save())
    operator = OperatorBus(redis_client)
    with workload("tune", job=tune_job(predictor=artifact), store=store, redis_url=redis_url) as process:
        ask(operator, 2)
        assert [s.predicted.public_accuracy for s in answered(operator, process, 2)] == [0.625, 0.625]


def test_a_predictor_of_another_space_is_refused_by_name(redis_url: str, store: Path) -> None:
    import numpy as np

    other = SPACE.model_copy(update={"depths": (1,)}).space(classes=10)
    constant = Layer(np.zeros((width(other), 1), np.float32), np.zeros(1, np.float32))
    artifact = FolderStore(store).put(AccuracyPredictor(other, "0" * 64, (constant,)).save())
    with workload("tune", job=tune_job(predictor=artifact), store=store, redis_url=redis_url) as process:
        assert process.wait() == 42
    manifest = FolderStore(store).read_manifest("tune-1")
    assert manifest is not None
    assert "another search space" in manifest.message
