"""Replaying the log: what is asked is answered once, in order, the same whatever happened to the tuner."""

from collections.abc import Sequence

import pytest

from pfpnas_api.messages import LogEntry, Suggestion
from pfpnas_api.scoring import StaticLimits
from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.tuning._base import Tuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.ledger import Ledger
from pfpnas_workloads.tuning.losses import FAILED_LOSS
from pfpnas_workloads.tuning.nsga2 import NSGA2
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.region import Region
from pfpnas_workloads.tuning.tpe import TPE

SPACE = SearchSpace(depths=(1, 2), resolutions=(16,))
BY_HAND = SPACE.maximum().id


def answers(kind: type[Tuner] = TPE, made: Sequence[Suggestion] = ()) -> Answers:
    proposer = Proposer(kind(SPACE, seed=4), Region(SPACE, StaticLimits()))
    return Answers(proposer, made={suggestion.index: suggestion for suggestion in made})


def ask(count: int) -> LogEntry:
    return LogEntry(event="Ask", count=count)


def started(suggestion: Suggestion) -> LogEntry:
    return LogEntry(event="Started", index=suggestion.index, architecture=suggestion.architecture)


def finished(suggestion: Suggestion, score: float) -> LogEntry:
    return started(suggestion).model_copy(update={"event": "Finished", "outcome": "Scored", "score": score})


def search(kind: type[Tuner] = TPE, *, count: int = 14, parallel: int = 3) -> tuple[list[LogEntry], list[Suggestion]]:
    """A whole search: its log, and what was suggested on the way."""
    tuner, log, made = answers(kind), [ask(parallel)], []
    made += list(tuner.to(log))
    log += [started(suggestion) for suggestion in made]
    list(tuner.to(log[1:]))
    for index in range(count - parallel):
        score = sum(SPACE.parse(made[index].architecture or "").depths) / 20
        entries = [finished(made[index], score), ask(parallel + index + 1)]
        new = list(tuner.to(entries))
        entries += [started(suggestion) for suggestion in new]
        list(tuner.to(entries[2:]))
        log += entries
        made += new
    return log, made


def test_every_index_is_answered_once_and_in_order() -> None:
    tuner = answers()
    assert [s.index for s in tuner.to([ask(3)])] == [0, 1, 2]
    assert [s.index for s in tuner.to([ask(3), ask(2)])] == []
    assert [s.index for s in tuner.to([ask(5)])] == [3, 4]


@pytest.mark.parametrize("kind", [RandomSearch, TPE, Anneal, NSGA2])
def test_the_same_log_gives_the_same_suggestions_in_whatever_batches_it_is_read(kind: type[Tuner]) -> None:
    log, made = search(kind)
    asks_and_results = [entry for entry in log if entry.event != "Started"]
    one_by_one = answers(kind)
    assert [s for entry in asks_and_results for s in one_by_one.to([entry])] == made


@pytest.mark.parametrize("stopped_after", [1, 4, 9, 13])
def test_a_restarted_tuner_goes_on_where_the_killed_one_stopped(stopped_after: int) -> None:
    log, made = search()
    until = next(i for i, entry in enumerate(log) if entry.event == "Ask" and (entry.count or 0) > stopped_after)
    resumed = list(answers(made=made[:stopped_after]).to(log[: until + 1]))
    assert resumed == made[stopped_after : log[until].count]


def test_after_a_flush_no_index_that_was_started_is_suggested_again() -> None:
    _, made = search(count=6)
    rewritten = [*(finished(s, 0.5) for s in made[:4]), *(started(s) for s in made[4:]), ask(8)]
    new = list(answers().to(rewritten))
    assert [s.index for s in new] == [6, 7]
    assert {s.architecture for s in new}.isdisjoint(s.architecture for s in made)


def test_started_trials_count_even_when_they_stand_behind_the_ask() -> None:
    _, made = search(count=4)
    assert [s.index for s in answers().to([ask(6), *(started(s) for s in made)])] == [4, 5]


def test_a_trial_by_hand_is_never_suggested_and_counts_in_the_history() -> None:
    ledger = Ledger(SPACE)
    ledger.add(LogEntry(event="Started", architecture=BY_HAND))
    assert [o.loss for o in ledger.history] == [None]
    ledger.add(LogEntry(event="Finished", architecture=BY_HAND, outcome="Scored", score=0.7))
    assert [(o.architecture.id, o.loss) for o in ledger.history] == [(BY_HAND, -0.7)]
    one_net_left = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1,), resolutions=(16, 24))
    tuner = Answers(Proposer(TPE(one_net_left, seed=0), Region(one_net_left, StaticLimits())), made={})
    by_hand = LogEntry(event="Started", architecture=one_net_left.maximum().id)
    first, second = tuner.to([by_hand, ask(2)])
    assert first.architecture == one_net_left.minimum().id
    assert second.exhausted == "SpaceExhausted"


def test_results_change_what_a_model_suggests() -> None:
    log, made = search(count=12)
    turned = [entry.model_copy(update={"score": -(entry.score or 0)}) if entry.score else entry for entry in log]
    tuner = answers()
    others = [s for entry in turned if entry.event != "Started" for s in tuner.to([entry])]
    assert others[:8] == made[:8], "the first ones are random"
    assert others != made


def test_a_failed_trial_stays_in_the_history_with_the_worst_loss() -> None:
    ledger = Ledger(SPACE)
    ledger.add(LogEntry(event="Started", index=0, architecture=BY_HAND))
    ledger.add(LogEntry(event="Finished", index=0, outcome="Failed"))
    assert [(o.architecture.id, o.loss) for o in ledger.history] == [(BY_HAND, FAILED_LOSS)]


def test_entries_that_come_twice_or_late_change_nothing() -> None:
    ledger, once = Ledger(SPACE), LogEntry(event="Started", index=0, architecture=BY_HAND)
    done = LogEntry(event="Finished", index=0, architecture=BY_HAND, outcome="Scored", score=0.4)
    for entry in (once, done, once, done):
        ledger.add(entry)
    assert [o.loss for o in ledger.history] == [-0.4]


@pytest.mark.parametrize("text", [None, "nonsense", "r16-k9e9", "r64-k3e2-k3e2-k3e2-k3e2-k3e2-k3e2"])
def test_what_is_no_architecture_of_the_space_is_passed_over(text: str | None) -> None:
    ledger = Ledger(SPACE)
    ledger.add(LogEntry(event="Finished", index=0, architecture=text, outcome="Scored", score=0.4))
    assert ledger.history == ()


def test_an_exhausted_index_is_not_answered_again() -> None:
    end = Suggestion(index=0, exhausted="SpaceExhausted")
    assert [s.index for s in answers(made=[end]).to([ask(2)])] == [1]
