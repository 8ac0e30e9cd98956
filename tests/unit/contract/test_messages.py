"""Messages: strict, small, versioned; and task ids that stay what they are."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfpnas_api.kinds import Accuracy, ArtifactRef, Latency
from pfpnas_api.messages import (
    MAX_MESSAGE_BYTES,
    Bell,
    BuildRequest,
    Heartbeat,
    LogEntry,
    MeasurementRequest,
    MeasureResult,
    MeasureTask,
    Message,
    MessageError,
    ModelRef,
    Progress,
    Suggestion,
)

TASK_ID = "0123456789abcdef" * 2
ARTIFACT = ArtifactRef(sha256="c" * 64, size=2_500_000)


def make_task(**fields: Any) -> MeasureTask:
    known: dict[str, Any] = {
        "experiment": "uid-1",
        "namespace": "default",
        "model": ModelRef.of(ARTIFACT),
        "reference": ModelRef(sha256="d" * 64, size=5, chunks=1),
        "dataset": "digits",
        "head": "Fitted",
        "backend": "onnxruntime",
    }
    return MeasureTask.identified(**{**known, **fields})


EXAMPLES: list[Message] = [
    make_task(measurement=MeasurementRequest(warmup_seconds=0.25, skip_accuracy_over_ms=170.0)),
    make_task(model=None, reference=None, split="Test"),
    MeasureResult(
        task_id=TASK_ID,
        latency=Latency(p50=1.5, p90=2.0, mad=0.0, runs=64, reference=0.1),
        accuracy=Accuracy(value=1.0, samples=359),
        peak_memory_bytes=2**40,
        energy_millijoules=0.0,
        seconds=1 / 3,
    ),
    MeasureResult(task_id=TASK_ID, failure="OutOfMemory"),
    Heartbeat(state="Busy", task_id=TASK_ID),
    BuildRequest(uid="t-1", pool="p.a", architecture="r16-k3e2", checkpoint=ARTIFACT, calibration=ARTIFACT),
    LogEntry(event="Finished", index=3, architecture="r16", outcome="Scored", score=-0.25, accuracy=0.5),
    LogEntry(event="Ask", count=7),
    Suggestion(index=0, exhausted="NoFeasibleArchitecture", closest="r16"),
    Progress(stage="FitPredictor", done=3, total=400, eta_seconds=12.5, accuracy=0.25),
    Bell(uid="job-1"),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    payload = message.encode()
    again = type(message).decode(payload)
    assert again == message
    assert again.encode() == payload
    assert isinstance(json.loads(payload), dict)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize(("name", "value"), [("extra", 1), ("version", 2), ("version", "1"), ("version", None)])
def test_unknown_fields_and_other_versions_are_refused(message: Message, name: str, value: object) -> None:
    content = {**json.loads(message.encode()), name: value}
    with pytest.raises(MessageError, match=name):
        type(message).decode(json.dumps(content).encode())


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_without_a_version_is_refused(message: Message) -> None:
    content = json.loads(message.encode())
    del content["version"]
    with pytest.raises(MessageError, match="version: is missing"):
        type(message).decode(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("taskId", TASK_ID.upper()),
        ("taskId", 5),
        ("task_id", TASK_ID),
        ("dataset", "../etc"),
        ("head", "fitted"),
        ("repetition", "1"),
        ("repetition", 1.5),
        ("repetition", -1),
        ("repetition", True),
        ("model", {"sha256": "c" * 64, "size": 2**40, "chunks": 1}),
        ("model", {"sha256": "c" * 64, "size": 1, "chunks": 1, "url": "http://x"}),
        ("measurement", {"runs": 64, "maxSeconds": "30"}),
        ("measurement", {"maxSeconds": 1e9}),
        ("measurement", {"throughput": 1}),
    ],
)
def test_a_task_is_read_strictly(name: str, value: object) -> None:
    content = {**json.loads(make_task().encode()), name: value}
    with pytest.raises(MessageError, match=name):
        MeasureTask.decode(json.dumps(content).encode())


def test_whole_numbers_are_read_as_floats_too() -> None:
    content = json.loads(make_task().encode())
    content["measurement"]["maxSeconds"] = 30
    assert MeasureTask.decode(json.dumps(content).encode()).measurement.max_seconds == 30.0


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"{", b"\xff\xfe", b"{}" + b"\x00", b"[" * 60_000, b'{"uid": NaN}', b'{"uid": "\\ud800"}'],
)
def test_what_is_no_message_is_refused_and_not_repeated(payload: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        Bell.decode(payload)
    assert len(str(caught.value)) < 500


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        MeasureResult.decode(payload)


def test_refusals_hold_no_text_of_the_sender() -> None:
    with pytest.raises(MessageError) as caught:
        Heartbeat.decode(b'{"state": "secret-state", "taskId": "secret-id"}')
    assert "secret" not in str(caught.value)


def test_messages_are_bounded_both_ways() -> None:
    class Long(Message):
        text: str

    fits = MAX_MESSAGE_BYTES - len(Long(text="").encode())
    assert Long.decode(Long(text="x" * fits).encode()).text == "x" * fits
    with pytest.raises(MessageError, match="allowed are 65536"):
        Long(text="x" * (fits + 1)).encode()
    with pytest.raises(MessageError, match="allowed are 65536"):
        Long.decode(b'{"text":"' + b"x" * (fits + 1) + b'","version":1}')


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_do_not_travel(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        LogEntry(event="Finished", score=value)
    with pytest.raises(ValueError, match="finite"):
        Latency(p50=value, p90=1.0, mad=0.0, runs=64)
    assert Progress.decode(Progress(stage="Pretrain", loss=value).encode()).loss is None


def test_a_result_says_something() -> None:
    with pytest.raises(ValueError, match="needs a latency, an accuracy, or the failure"):
        MeasureResult(task_id=TASK_ID, seconds=1.0)


def test_a_model_is_cut_into_chunks_of_a_mebibyte() -> None:
    assert [ModelRef.of(ArtifactRef(sha256="c" * 64, size=size)).chunks for size in (1, 2**20, 2**20 + 1)] == [1, 1, 2]


def test_task_ids_are_what_they_always_were() -> None:
    # A changed id would have every measurement that is under way made again: change it only with the version.
    assert make_task().task_id == "450f26e56863825c0c4180334c387aaf"
    assert make_task(model=None, reference=None, split="Test").task_id == "cf2b33b7141f7ed1bf3911793944f5aa"


def test_the_same_measurement_has_the_same_id() -> None:
    whole, fraction = MeasurementRequest(max_seconds=30), MeasurementRequest(max_seconds=30.0)
    assert make_task(measurement=whole) == make_task(measurement=fraction)
    assert make_task(namespace="other").task_id == make_task().task_id
    task = make_task()
    assert MeasureTask.decode(task.encode()).task_id == task.task_id


@pytest.mark.parametrize(
    "fields",
    [
        {"experiment": "uid-2"},
        {"model": ModelRef(sha256="e" * 64, size=5, chunks=1)},
        {"model": None},
        {"dataset": "other"},
        {"head": "Supernet"},
        {"backend": "other"},
        {"split": "Test"},
        {"repetition": 1},
        {"measurement": MeasurementRequest(threads=2)},
    ],
)
def test_another_measurement_has_another_id(fields: dict[str, Any]) -> None:
    assert make_task(**fields).task_id != make_task().task_id
