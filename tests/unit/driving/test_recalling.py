"""An operator that was restarted knows from the tuner's log what it has told it."""

from pfpnas_api.messages import LogEntry
from pfpnas_operator.driving import Road
from support.reconcile_builders import NOW, make_trial


def test_asks_and_trials_are_recalled_by_index_and_by_architecture() -> None:
    own, hand, twin = make_trial(0), make_trial(None, name="hand-a"), make_trial(None, name="hand-b")
    log = [
        LogEntry(event="Started", index=own.spec.index, architecture=own.spec.architecture),
        LogEntry(event="Started", architecture=hand.spec.architecture),
        LogEntry(event="Ask", count=4),
        LogEntry(event="Finished", index=own.spec.index, architecture=own.spec.architecture),
    ]
    road = Road.recalled(log, [twin, own, hand], now=NOW)
    assert (road.asked, road.asked_at, road.appended) == (4, NOW, 4)
    assert road.started == {own.metadata.name, "hand-a"}
    assert road.finished == {own.metadata.name}


def test_an_empty_log_recalls_nothing() -> None:
    road = Road.recalled([], [make_trial(0)], now=NOW)
    assert (road.asked, road.asked_at, road.started) == (0, None, set())
