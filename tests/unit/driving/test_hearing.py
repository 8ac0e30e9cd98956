"""What Jobs say of their progress: only news count as such, and nobody is blamed for an outage."""

from pfpnas_api.messages import Progress
from pfpnas_operator.driving import Hearing
from pfpnas_operator.reconcile import JobView
from support.reconcile_builders import NOW, seconds


def view(since: float = 0) -> dict[str, JobView]:
    moment = NOW + seconds(since)
    return {"w": JobView(name="w", state="Running", since=moment, progressed_at=moment)}


def at(done: int) -> dict[str, Progress | None]:
    return {"w": Progress(stage="Pretrain", done=done)}


def test_progress_counts_as_new_only_when_it_changes() -> None:
    hearing = Hearing()
    for second, done in ((1, 5), (2, 5), (3, 6), (4, 6)):
        hearing.note(at(done), now=NOW + seconds(second))
    told = hearing.told(view())["w"]
    assert told.progressed_at == NOW + seconds(3)
    assert told.progress == at(6)["w"]


def test_what_was_said_is_kept_when_redis_forgets_it() -> None:
    hearing = Hearing()
    hearing.note(at(5), now=NOW)
    hearing.note({"w": None}, now=NOW + seconds(9))
    assert hearing.told(view())["w"].progress == at(5)["w"]
    assert hearing.told(view())["w"].progressed_at == NOW


def test_a_job_that_says_nothing_is_silent_since_it_was_first_seen() -> None:
    hearing = Hearing()
    hearing.note({"w": None}, now=NOW + seconds(7200))
    assert hearing.told(view(since=0))["w"].progressed_at == NOW + seconds(7200)


def test_after_an_outage_silence_begins_anew() -> None:
    hearing = Hearing()
    hearing.note(at(5), now=NOW)
    hearing.reanchor(NOW + seconds(3000))
    assert hearing.told(view())["w"].progressed_at == NOW + seconds(3000)


def test_a_job_that_is_gone_is_forgotten() -> None:
    hearing = Hearing()
    hearing.note(at(5), now=NOW)
    hearing.note({}, now=NOW)
    assert hearing.told(view())["w"].progress is None
