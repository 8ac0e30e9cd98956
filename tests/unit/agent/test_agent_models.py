"""Models from Redis are believed only when size, chunks and digest are as the task says."""

import hashlib
from pathlib import Path

import pytest

from pfpnas_agent.failures import Refused
from pfpnas_agent.models import MOST_MODELS, ModelCache
from pfpnas_api.bus import AgentBus
from pfpnas_api.messages import ModelRef
from support.agent_models import tiny_model

MODEL = b"\x08\x09\x12\x01x"
"""A model's first fields: version 9, made by x."""


class Chunks:
    """A Redis that knows chunks only."""

    def __init__(self, *contents: bytes) -> None:
        self.held = {hashlib.sha256(content).hexdigest(): content for content in contents}
        self.reads = 0

    def get(self, key: str) -> bytes | None:
        self.reads += 1
        return self.held.get(key.split(":")[-2])


def bus(chunks: Chunks) -> AgentBus:
    return AgentBus(chunks, pool="p", agent="a")


def ref(content: bytes, **changes: int) -> ModelRef:
    digest = hashlib.sha256(content).hexdigest()
    return ModelRef.model_validate({"sha256": digest, "size": len(content), "chunks": 1, **changes})


def test_a_model_is_fetched_once(tmp_path: Path) -> None:
    chunks, cache = Chunks(MODEL), ModelCache(tmp_path, max_bytes=100)
    for _ in range(2):
        assert cache.path(ref(MODEL), bus(chunks)).read_bytes() == MODEL
    assert chunks.reads == 1


def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    chunks, cache = Chunks(MODEL), ModelCache(tmp_path, max_bytes=100)
    cache.path(ref(MODEL), bus(chunks)).write_bytes(b"\x08\x08")
    assert cache.path(ref(MODEL), bus(chunks)).read_bytes() == MODEL


def test_only_a_few_models_are_kept(tmp_path: Path) -> None:
    contents = [bytes([8, number]) for number in range(2 * MOST_MODELS)]
    cache = ModelCache(tmp_path, max_bytes=100)
    for content in contents:
        cache.path(ref(content), bus(Chunks(*contents)))
    assert len(list(tmp_path.glob("*.onnx"))) == MOST_MODELS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 101}, "allows 100"),
        ({"chunks": 3}, "don't fit together"),
        ({"size": 4}, "another size or digest"),
    ],
)
def test_what_does_not_fit_is_a_bad_model(tmp_path: Path, wrong: dict[str, int], message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        ModelCache(tmp_path, max_bytes=100).path(ref(MODEL, **wrong), bus(Chunks(MODEL)))
    assert caught.value.reason == "BadModel"


def test_other_bytes_under_the_digest_are_a_bad_model(tmp_path: Path) -> None:
    chunks = Chunks(MODEL)
    chunks.held = dict.fromkeys(chunks.held, b"\x08\x09\x12\x01y")
    with pytest.raises(Refused, match="another size or digest"):
        ModelCache(tmp_path, max_bytes=100).path(ref(MODEL), bus(chunks))
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_names_files_of_the_device_is_a_bad_model(tmp_path: Path) -> None:
    content = tiny_model(external="../private/images.npy")
    with pytest.raises(Refused, match="external data"):
        ModelCache(tmp_path, max_bytes=10_000).path(ref(content), bus(Chunks(content)))
