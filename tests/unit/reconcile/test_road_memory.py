"""The operator's memory of the road: when a lease began, what the tuner was told, what an outage changes."""

from datetime import datetime
from typing import Any

from pfpnas_api.bus import Queued
from pfpnas_api.messages import Heartbeat, LogEntry
from pfpnas_operator.driving import Records, Road
from support.reconcile_builders import NOW, make_answer, make_experiment, make_supernet, make_trial, seconds
from support.world import World
from support.world_parts import Stream


def queued(entry: str = "1-0", state: Any = "Claimed", consumer: str | None = "agent-1") -> Queued:
    return Queued(entry, b"", state, consumer)


def since(road: Road, *entries: Queued, at: float, stream: str = "tasks") -> list[datetime]:
    return [lease.since for lease in road.leases(stream, entries, NOW + seconds(at))]


def test_a_lease_counts_from_when_its_state_was_first_seen() -> None:
    road = Road()
    assert since(road, queued(), at=0) == [NOW]
    assert since(road, queued(), at=50) == [NOW]


def test_another_state_or_holder_begins_anew() -> None:
    road = Road()
    since(road, queued(state="Waiting", consumer=None), at=0)
    assert since(road, queued(), at=10) == [NOW + seconds(10)]
    assert since(road, queued(consumer="agent-2"), at=20) == [NOW + seconds(20)]


def test_streams_are_kept_apart_and_what_is_gone_is_forgotten() -> None:
    road = Road()
    since(road, queued(), at=0)
    assert since(road, queued(), at=5, stream="builds") == [NOW + seconds(5)]
    since(road, at=6)
    assert len(road.since) == 1
    assert since(road, queued(), at=7) == [NOW + seconds(7)]


def test_after_an_outage_every_deadline_begins_anew() -> None:
    road = Road()
    since(road, queued(), at=0)
    road.note_log([LogEntry(event="Ask", count=4)], {}, now=NOW)
    road.reanchor(NOW + seconds(900))
    assert since(road, queued(), at=901) == [NOW + seconds(901)]
    assert road.view().asked_at == NOW + seconds(900)


def test_what_an_agent_says_counts_from_when_it_was_new() -> None:
    road, idle, busy = Road(), Heartbeat(state="Idle"), Heartbeat(state="Busy", task_id="a" * 32)
    for second, beats in ((0, {"a": idle, "b": idle}), (10, {"a": idle, "b": busy}), (20, {"a": idle, "b": busy})):
        road.note_agents(beats, now=NOW + seconds(second))
    assert road.said_for(NOW + seconds(30)) == {"a": seconds(30), "b": seconds(20)}
    road.note_agents({"a": idle, "b": Heartbeat(state="Busy", task_id="b" * 32)}, now=NOW + seconds(30))
    assert road.said_for(NOW + seconds(30)) == {"a": seconds(30), "b": seconds(0)}


def test_an_agent_that_was_not_heard_meanwhile_begins_anew() -> None:
    road, heard = Road(), {"a": Heartbeat(state="Idle")}
    for lost in (lambda: road.note_agents({}, now=NOW), lambda: road.reanchor(NOW)):
        road.note_agents(heard, now=NOW)
        lost()
        assert road.said_for(NOW + seconds(60)) == {}
        road.note_agents(heard, now=NOW + seconds(60))
        assert road.said_for(NOW + seconds(60)) == {"a": seconds(0)}


def test_asking_for_more_counts_from_then() -> None:
    road = Road()
    assert road.view().asked_at is None
    road.note_log([LogEntry(event="Ask", count=4)], {}, now=NOW)
    road.note_log([LogEntry(event="Started", index=0)], {"a": "Started"}, now=NOW + seconds(5))
    assert (road.view().asked, road.view().asked_at) == (4, NOW)
    road.note_log([LogEntry(event="Ask", count=5)], {}, now=NOW + seconds(9))
    assert (road.view().asked, road.view().asked_at) == (5, NOW + seconds(9))


def test_what_was_told_is_not_looked_at_again() -> None:
    road, finished = Road(), [make_trial(index, "Succeeded") for index in range(4)]
    assert road.untold(finished) == tuple(finished)
    road.note_log([], {finished[0].metadata.name: "Finished", finished[2].metadata.name: "Finished"}, now=NOW)
    assert road.untold(finished) == (finished[1], finished[3])
    road.note_log([], {finished[1].metadata.name: "Finished", finished[3].metadata.name: "Started"}, now=NOW)
    assert road.untold(finished) == (finished[3],)
    assert road.told == 3
    assert road.view().started == {trial.metadata.name for trial in finished}


def test_who_refused_is_known_until_it_measures_or_is_gone() -> None:
    road = Road()
    refusal = {"t-1": (make_answer("f" * 32, failure="UnknownDataset"),)}
    road.note_answers(refusal, now=NOW)
    road.note_answers(refusal, now=NOW + seconds(5))  # seen twice: Redis went away before it was deleted
    assert road.refusing({"agent-1", "agent-2"}) == {"agent-1": "UnknownDataset"}
    assert {task: len(answers) for task, answers in road.refusals.items()} == {"t-1": 1}
    assert road.refused_ago(NOW + seconds(65)) == {"agent-1": seconds(60)}
    road.note_answers({"t-1": (make_answer("f" * 32, entry="8-0"),)}, now=NOW)
    assert (road.refusing({"agent-1"}), road.refusals, road.refused_ago(NOW)) == ({}, {}, {})
    road.note_answers(refusal, now=NOW)
    assert road.refusing({"agent-2"}) == road.refusing({"agent-1"}) == {}


def test_records_count_a_finished_trial_once() -> None:
    trials = [make_trial(1, "Succeeded"), make_trial(0), make_trial(2, "Failed")]
    records = Records.of(make_supernet(), make_experiment(), trials)
    assert list(records.active) == ["digits-00000"]
    assert (records.summary.succeeded, records.summary.failed) == (1, {"Poisoned": 1})


def test_after_redis_lost_everything_the_tuners_log_is_written_again_in_full() -> None:
    world = World(make_supernet(), make_experiment(), seed=3)
    while len([t for t in world.documents.values() if t.finished]) < 2:
        world.cycle()
        world.tick()
    world.cycle()
    before = {(entry.event, entry.index) for entry in world.log if entry.event == "Finished"}
    world.flush()
    world.cycle()
    after = [(entry.event, entry.index) for entry in world.log]
    assert before <= set(after)
    told = [one for one in after if one[0] != "Ask"]
    assert len(told) == len(set(told)) == len(world.documents)


def test_the_worlds_stream_behaves_as_redis_does() -> None:
    stream = Stream(1)
    stream.add("first")  # type: ignore[arg-type]
    stream.add("second")  # type: ignore[arg-type]
    assert stream.claim("a") == (1, "first")
    assert stream.claim("a") == (1, "first")  # what it holds comes first
    assert stream.claim("b") == (2, "second")
    stream.acknowledge(1)
    assert [(one.entry, one.state, one.consumer) for one, _ in stream.queued()] == [
        ("1", "Answered", None),
        ("2", "Claimed", "b"),
    ]
    stream.drop("2")
    stream.add("third")  # type: ignore[arg-type]
    assert [one.state for one, _ in stream.queued()] == ["Answered", "Waiting"]
