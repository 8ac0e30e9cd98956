"""Refits follow from the results alone: when they come, what they know, and which bits come out."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from pfpnas_api.kinds import ObjectiveSpec, PredictionSpec
from pfpnas_api.messages import LogEntry
from pfpnas_api.spaces import SearchSpace, cost, sample_matrix
from pfpnas_workloads.tuning._base import Observation
from pfpnas_workloads.tuning.labels import labels_of, milliseconds
from pfpnas_workloads.tuning.ledger import Ledger
from pfpnas_workloads.tuning.losses import FAILED_LOSS
from pfpnas_workloads.tuning.refit import GROWTH, LatestRefit, Refits

SPACE = SearchSpace()
RELATIVE = ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "maxRelative": "2"}]})
ABSOLUTE = ObjectiveSpec.model_validate({"constraints": [{"metric": "Latency", "max": "2ms"}]})
NEW, OLD = "a" * 64, "b" * 64


def measured(count: int, *, failed: Sequence[int] = ()) -> tuple[Observation, ...]:
    rng = np.random.default_rng(1)
    found = []
    for number in range(count):
        net = SPACE.sample(rng)
        work = cost(SPACE, net).macs / 1e6
        ok = Observation(net, -0.5, accuracy=0.9 - 0.1 / work, latency_ms=work, reference_ms=0.5)
        found.append(Observation(net, FAILED_LOSS) if number in failed else ok)
    return tuple(found)


def refits(*, every: int = 4) -> Refits:
    return Refits(SPACE, RELATIVE, PredictionSpec(refit_every=every), None, 0)


def finished(index: int, **fields: object) -> LogEntry:
    architecture = SPACE.sample(np.random.default_rng(index)).id
    entry = {"event": "Finished", "index": index, "architecture": architecture, "outcome": "Scored", "score": 0.5}
    return LogEntry.model_validate(entry | fields)


def told(*entries: LogEntry, checkpoint: str | None = None) -> Sequence[Observation]:
    ledger = Ledger(SPACE, checkpoint=checkpoint)
    for entry in entries:
        ledger.add(entry)
    return ledger.history


@pytest.mark.parametrize(("count", "known"), [(0, 0), (3, 0), (4, 4), (7, 4), (8, 8), (30, 28)])
def test_only_whole_rounds_of_results_are_learnt_from(count: int, known: int) -> None:
    results = measured(count)
    assert refits().due(results) == results[:known]


def test_too_few_labels_make_no_predictor() -> None:
    latest = LatestRefit(refits())
    assert latest.after(()) is None
    assert latest.after(measured(8, failed=range(1, 8))) is None


def test_encodings_and_regressors_are_chosen_anew_when_labels_have_grown_by_a_quarter() -> None:
    results = measured(120)
    chosen = sorted({refits().chosen_at(results[:end]) for end in range(4, 121, 4)})
    assert chosen[0] == 4
    assert chosen[-1] > 60
    assert all(later >= GROWTH * earlier for earlier, later in pairwise(chosen))
    assert len(chosen) < 16, "in between they are only fitted again"


def test_failures_are_no_labels_and_call_for_no_choice() -> None:
    assert refits().chosen_at(measured(40, failed=range(8, 40))) == 8


def test_a_tuner_that_missed_all_refits_but_the_last_comes_to_the_same_bits() -> None:
    results, matrix = measured(46), sample_matrix(SPACE, 50, rng=np.random.default_rng(0))
    unbroken = LatestRefit(refits())
    for count in range(47):
        unbroken.after(results[:count])
    kept, fresh = unbroken.after(results), LatestRefit(refits()).after(results)
    assert kept is not None
    assert fresh is not None
    assert kept.predictors.labels == fresh.predictors.labels == 44
    first, second = kept.predictors.predict(matrix), fresh.predictors.predict(matrix)
    for name in ("accuracy", "accuracy_deviation", "latency", "latency_deviation"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_the_latest_refit_is_not_made_twice_but_made_again_for_other_results() -> None:
    latest, results = LatestRefit(refits()), measured(24)
    assert latest.after(results[:20]) is latest.after(results[:23])
    before = latest.after(results[:20])
    corrected = (
        Observation(results[0].architecture, -0.1, accuracy=0.1, latency_ms=1.0, reference_ms=0.5),
        *results[1:],
    )
    assert latest.after(corrected[:20]) is not before


def test_a_relative_limit_makes_relative_latencies_and_an_absolute_one_milliseconds() -> None:
    trial = Observation(SPACE.minimum(), -0.5, accuracy=0.5, latency_ms=3.0, reference_ms=2.0)
    assert [label.latency for label in labels_of([trial], RELATIVE)] == [1.5]
    assert [label.latency for label in labels_of([trial], ABSOLUTE)] == [3.0]
    assert milliseconds([trial], RELATIVE) == 2.0
    assert milliseconds([trial], ABSOLUTE) == 1.0
    assert milliseconds([], RELATIVE) is None


def test_a_skipped_accuracy_is_no_label_of_accuracy() -> None:
    trials = told(finished(0, latency_ms=3.0, reference_ms=1.0), finished(1, accuracy=0.5))
    assert [(label.latency, label.accuracy) for label in labels_of(trials, RELATIVE)] == [(3.0, None), (None, 0.5)]


def test_accuracies_of_other_weights_are_stale_and_latencies_stay() -> None:
    entries = [
        finished(number, accuracy=0.5, latency_ms=2.0, reference_ms=1.0, checkpoint=checkpoint)
        for number, checkpoint in enumerate([NEW, OLD, None])
    ]
    stale = labels_of(told(*entries, checkpoint=NEW), RELATIVE)
    assert [label.accuracy for label in stale] == [0.5, None, 0.5]
    assert [label.latency for label in stale] == [2.0, 2.0, 2.0]
    assert [trial.stale for trial in told(*entries, checkpoint=NEW)] == [False, True, False]
    assert [label.accuracy for label in labels_of(told(*entries), RELATIVE)] == [0.5, 0.5, 0.5]


def test_only_what_is_limited_measured_and_not_known_beforehand_is_predicted_besides() -> None:
    (trial,) = told(
        finished(0, latency_ms=1.0, ratios={"Latency": 0.5, "PeakMemory": 0.7, "FLOPs": 0.9, "Energy": 0.0})
    )
    (label,) = labels_of([trial], ABSOLUTE)
    assert label.ratios == {"PeakMemory": 0.7}


def test_results_are_in_the_order_in_which_they_came_and_before_all_that_is_under_way() -> None:
    entries = [finished(number) for number in range(3)]
    begun = [entry.model_copy(update={"event": "Started", "outcome": None}) for entry in entries]
    history = told(*begun, entries[2], entries[0])
    assert [trial.architecture.id for trial in history] == [entries[at].architecture for at in (2, 0, 1)]
    assert [trial.loss is None for trial in history] == [False, False, True]
