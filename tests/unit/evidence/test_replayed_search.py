"""The searches behind the tables: their course is the tuner's, their time is what the trials took."""

from itertools import count

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import Latency, ObjectiveSpec, SearchSpaceSpec, TrialMetrics, TunerSpec
from pfpnas_api.spaces import Architecture, cost
from support.replayed_search import Replay, Yield, replay

SPACE = SearchSpaceSpec(
    backbone="MobileNetV2",
    width_multiplier="0.25",
    kernel_sizes=(3, 5),
    expand_ratios=(2, 3),
    depths=(1, 2),
    resolutions=(16, 24),
)
OF_TWO_NETS = SearchSpaceSpec(
    backbone="MobileNetV2",
    width_multiplier="0.25",
    kernel_sizes=(3,),
    expand_ratios=(2,),
    depths=(1,),
    resolutions=(16, 24),
)


def job(space: SearchSpaceSpec = SPACE, **tuner: object) -> TuneJob:
    return TuneJob(
        uid="tune",
        experiment="e",
        search_space=space,
        classes=10,
        objective=ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "maxRelative": "3"}]}),
        tuner=TunerSpec.model_validate({"algorithm": "RandomSearch", **tuner}),
    )


def of_one_second(architecture: Architecture) -> Yield:
    """Latency and accuracy follow from the MACs; every trial takes a second."""
    macs = cost(SPACE.space(classes=10), architecture).macs / 1e6
    metrics = TrialMetrics(
        accuracy=macs / (1 + macs), latency_milliseconds=Latency(p50=macs, p90=macs, mad=0, runs=64, reference=1.0)
    )
    return Yield(metrics, 1.0)


def run(in_flight: int, *, trials: int = 12, **tuner: object) -> Replay:
    return replay(job(**tuner), of_one_second, trials=trials, in_flight=in_flight, clock=lambda: 0.0)


def test_so_many_trials_at_once_as_are_in_flight() -> None:
    assert [run(in_flight).wall_seconds for in_flight in (1, 3, 12, 24)] == [12.0, 4.0, 1.0, 1.0]


def test_the_budget_is_spent_and_no_index_comes_twice() -> None:
    assert sorted(trial.index for trial in run(5).trials) == list(range(12))


def test_random_search_tries_the_same_however_many_are_in_flight() -> None:
    tried = [{trial.architecture for trial in run(in_flight).trials} for in_flight in (1, 12)]
    assert tried[0] == tried[1]


def test_what_the_tuner_takes_delays_its_trials_one_after_the_other() -> None:
    # Each answer takes a second, and so does the look that finds no more of them.
    seconds = count()
    found = replay(job(), of_one_second, trials=2, in_flight=2, clock=lambda: float(next(seconds)))
    assert [trial.finished_at for trial in found.trials] == [2.0, 3.0]
    assert found.tuner_seconds == found.wall_seconds + 2


def test_a_space_that_is_used_up_ends_the_search() -> None:
    found = replay(job(OF_TWO_NETS), of_one_second, trials=12, in_flight=3, clock=lambda: 0.0)
    assert len(found.trials) == 2


def test_predictions_come_with_trials_once_there_are_labels() -> None:
    found = run(2, trials=16, pseudo_trials=20)
    assert found.trials[0].predicted is None
    assert found.trials[-1].predicted is not None
    assert found.trials[-1].predicted.latency_milliseconds is not None
